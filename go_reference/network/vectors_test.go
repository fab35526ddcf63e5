package network

import (
	"bytes"
	"encoding/hex"
	"encoding/json/v2"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"raftmark/raft"
)

// vectors are the bytes that every language writes and reads; the Python tests read them too.
type vectors struct {
	Messages []struct {
		Name    string      `json:"name"`
		Tag     uint8       `json:"tag"`
		DelayNs int64       `json:"delay_ns"`
		Fields  any         `json:"fields"`
		Hex     hexadecimal `json:"hex"`
	} `json:"messages"`
	BadFrames []struct {
		Name string      `json:"name"`
		Hex  hexadecimal `json:"hex"`
	} `json:"bad_frames"`
	Nonces     map[string]hexadecimal `json:"nonces"`
	Known      []raft.NodeID          `json:"known"`
	Handshakes []struct {
		Name     string            `json:"name"`
		Dialler  identity          `json:"dialler"`
		To       raft.NodeID       `json:"to"`
		Listener identity          `json:"listener"`
		Said     [][2]string       `json:"said"`
		Refused  map[string]string `json:"refused"`
		Peer     *raft.NodeID      `json:"peer"`
	} `json:"handshakes"`
	BadHellos []struct {
		Name   string      `json:"name"`
		Hex    hexadecimal `json:"hex"`
		Begins string      `json:"begins"`
	} `json:"bad_hellos"`
}

type identity struct {
	Node    raft.NodeID `json:"node"`
	Cluster string      `json:"cluster"`
	Secret  hexadecimal `json:"secret"`
}

func (i identity) config() Config {
	config := Config{Node: i.Node, Cluster: i.Cluster}
	if len(i.Secret) > 0 {
		config.Secret = i.Secret
	}
	return config
}

type hexadecimal []byte

func (h *hexadecimal) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB) (read vectors) {
	t.Helper()
	content, err := os.ReadFile("../../tests/vectors/wire.json")
	if err == nil {
		err = json.Unmarshal(content, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Messages) == 0 || len(read.BadFrames) == 0 || len(read.Handshakes) == 0 || len(read.BadHellos) == 0 {
		t.Fatal("there are no vectors")
	}
	return read
}

func readerOf(stream []byte) *frameReader { return newFrameReader(bytes.NewReader(stream)) }

func TestMessagesHaveTheBytesThatEveryLanguageWrites(t *testing.T) {
	for _, vector := range readVectors(t).Messages {
		t.Run(vector.Name, func(t *testing.T) {
			reader := readerOf(vector.Hex)
			frame, err := reader.next(maxBody)
			if err != nil {
				t.Fatal(err)
			}
			if frame.tag != vector.Tag || frame.delay != time.Duration(vector.DelayNs) {
				t.Errorf("read the tag %d and a delay of %v", frame.tag, frame.delay)
			}
			var text bytes.Buffer
			if _, err := msgp.UnmarshalAsJSON(&text, frame.body); err != nil {
				t.Fatal(err)
			}
			var fields any
			if err := json.Unmarshal(text.Bytes(), &fields); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(fields, vector.Fields) {
				t.Errorf("the fields are %v, want %v", fields, vector.Fields)
			}
			message, err := frame.message(1, 2)
			if err != nil {
				t.Fatal(err)
			}
			if written := appendMessage(nil, message, frame.delay); !bytes.Equal(written, vector.Hex) {
				t.Errorf("wrote %x, want %x", written, []byte(vector.Hex))
			}
			if _, err := reader.next(maxBody); err != io.EOF {
				t.Errorf("after the frame came the error %v", err)
			}
		})
	}
}

func TestWhatNoNodeSendsIsRefused(t *testing.T) {
	for _, vector := range readVectors(t).BadFrames {
		t.Run(vector.Name, func(t *testing.T) {
			frame, err := readerOf(vector.Hex).next(maxBody)
			if err == nil {
				var message raft.Message
				message, err = frame.message(1, 2)
				if err == nil {
					t.Errorf("read %+v", message)
				}
			}
			if ended(err) {
				t.Errorf("it is no fault, but the end: %v", err)
			}
		})
	}
}

func TestHandshakesHaveTheBytesThatEveryLanguageWrites(t *testing.T) {
	vectors := readVectors(t)
	knows := func(id raft.NodeID) bool { return slices.Contains(vectors.Known, id) }
	for _, vector := range vectors.Handshakes {
		t.Run(vector.Name, func(t *testing.T) {
			said := map[string][]byte{}
			for _, words := range vector.Said {
				bytes, err := hex.DecodeString(words[1])
				if err != nil {
					t.Fatal(err)
				}
				said[words[0]] = append(said[words[0]], bytes...)
			}
			var byDialler, byListener bytes.Buffer
			config := vector.Dialler.config()
			err := config.greet(&byDialler, readerOf(said[listener]), vector.To, vectors.Nonces[dialler])
			checkRefused(t, dialler, err, vector.Refused)
			config = vector.Listener.config()
			from, err := config.receive(&byListener, readerOf(said[dialler]), knows, vectors.Nonces[listener])
			checkRefused(t, listener, err, vector.Refused)
			if err == nil && vector.Peer != nil && from != *vector.Peer {
				t.Errorf("node %d is taken for node %d", *vector.Peer, from)
			}
			if !bytes.Equal(byDialler.Bytes(), said[dialler]) || !bytes.Equal(byListener.Bytes(), said[listener]) {
				t.Errorf("said %x and %x, want %x", byDialler.Bytes(), byListener.Bytes(), said)
			}
		})
	}
}

func checkRefused(t *testing.T, who string, err error, refused map[string]string) {
	t.Helper()
	if text, ok := refused[who]; ok != (err != nil) || ok && err.Error() != text {
		t.Errorf("the %s ends with the error %v, want %q", who, err, text)
	}
}

func TestWhatIsNoHelloIsRefusedInWords(t *testing.T) {
	vectors := readVectors(t)
	config := Config{Node: 2, Cluster: "c-1"}
	for _, vector := range vectors.BadHellos {
		t.Run(vector.Name, func(t *testing.T) {
			var told bytes.Buffer
			_, err := config.receive(&told, readerOf(vector.Hex), func(raft.NodeID) bool { return true }, vectors.Nonces[listener])
			if err == nil || !strings.HasPrefix(err.Error(), vector.Begins) {
				t.Fatalf("the error is %v, want %q", err, vector.Begins)
			}
			frame, readErr := readerOf(told.Bytes()).next(maxGreeting)
			if readErr != nil || frame.tag != tagRefused || reasonIn(frame.body) != err.Error() {
				t.Errorf("the dialler is told %q", told.Bytes())
			}
		})
	}
}
