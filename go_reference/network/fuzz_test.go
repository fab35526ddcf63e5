package network

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"raftmark/raft"
)

// Whatever comes is frames of messages up to where it is none; and what is read is written the same.
func FuzzFrames(f *testing.F) {
	vectors := readVectors(f)
	for _, vector := range vectors.Messages {
		f.Add([]byte(vector.Hex))
	}
	for _, vector := range vectors.BadFrames {
		f.Add([]byte(vector.Hex))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for reader := readerOf(stream); ; {
			frame, err := reader.next(maxBody)
			if err != nil {
				return
			}
			message, err := raft.DecodeMessage(frame.tag, frame.body)
			if err != nil {
				return
			}
			written, err := readerOf(appendMessage(nil, message, frame.delay)).next(maxBody)
			if err != nil {
				t.Fatal(err)
			}
			again, err := raft.DecodeMessage(written.tag, written.body)
			if err != nil || !reflect.DeepEqual(message, again) {
				t.Fatalf("%+v is written as %x, and read as %+v, %v", message, written.body, again, err)
			}
		}
	})
}

// Whoever has not the secret is not admitted, and hears why.
func FuzzHandshake(f *testing.F) {
	vectors := readVectors(f)
	for _, vector := range vectors.BadHellos {
		f.Add([]byte(vector.Hex))
	}
	config := Config{Node: 2, Cluster: "c-1", Secret: []byte("sixteen or more bytes")}
	f.Add(hello{"c-1", 1, 2, newNonce()}.encode())
	f.Fuzz(func(t *testing.T, stream []byte) {
		var told bytes.Buffer
		_, err := config.receive(&told, readerOf(stream), func(raft.NodeID) bool { return true }, newNonce())
		if err == nil {
			t.Fatalf("%x is a handshake", stream)
		}
		reader := readerOf(told.Bytes())
		for tag := uint8(0); ; {
			frame, err := reader.next(maxGreeting)
			if err == io.EOF {
				if ended := tag == 0 || tag == tagChallenge; !ended && tag != tagRefused {
					t.Errorf("the last word is %d", tag)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tag = frame.tag
		}
	})
}

// damaged is a stream with something wrong: bytes changed, cut out or put in.
func damaged(random *rand.Rand, stream []byte) []byte {
	stream = slices.Clone(stream)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(stream))
		switch random.IntN(3) {
		case 0:
			stream[at] ^= byte(1 + random.IntN(255))
		case 1:
			stream = slices.Delete(stream, at, min(len(stream), at+1+random.IntN(8)))
		default:
			noise := make([]byte, 1+random.IntN(16))
			for i := range noise {
				noise[i] = byte(random.Uint32())
			}
			stream = slices.Insert(stream, at, noise...)
		}
		if len(stream) == 0 {
			return []byte{0}
		}
	}
	return stream
}

// A peer that is welcome, and one that is not, may send what they like: it costs them their
// connection, and no memory to speak of, and whoever keeps to the rules is heard all the same.
func TestAHundredThousandHostileFramesHarmNobody(t *testing.T) {
	frames := 100_000
	if testing.Short() {
		frames = 10_000
	}
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	addresses := map[raft.NodeID]string{1: one.Address(), 2: two.Address(), 3: "127.0.0.1:1"}
	two.SetPeers(addresses)

	vectors := readVectors(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var sources [][]byte
	for _, vector := range vectors.Messages {
		sources = append(sources, vector.Hex)
	}
	for _, vector := range vectors.BadFrames {
		sources = append(sources, vector.Hex)
	}
	for _, vector := range vectors.BadHellos {
		sources = append(sources, vector.Hex)
	}
	attacker := Config{Node: 3}
	var conn net.Conn
	connect := func() {
		if conn != nil {
			conn.Close()
		}
		var err error
		if conn, err = net.Dial("tcp", two.Address()); err != nil {
			t.Fatal(err)
		}
		if random.IntN(4) > 0 {
			_ = attacker.greet(conn, newFrameReader(conn), 2, newNonce())
		}
	}
	var most uint64
	for sent := 0; sent < frames; {
		connect()
		for broken := false; !broken && sent < frames; sent++ {
			frame := damaged(random, sources[random.IntN(len(sources))])
			if _, err := conn.Write(frame); err != nil {
				broken = true
			}
			// One in a while goes on after what was wrong, to whom does not listen any more.
			broken = broken || random.IntN(8) == 0
		}
		if sent%1000 < 10 {
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			most = max(most, memory.HeapAlloc)
		}
		for len(two.refused) > 0 {
			<-two.refused
		}
	}
	conn.Close()
	if most > 256<<20 {
		t.Errorf("it took %d bytes of memory", most)
	}
	for {
		if m, ok := hears(t, one, two, beat(9)).(raft.AppendEntries); ok && m.From == 1 && m.Term == 9 {
			break
		}
	}
	two.mu.Lock()
	strangers, incoming := two.strangers, len(two.incoming)
	two.mu.Unlock()
	if strangers > maxStrangers || incoming > 2 {
		t.Errorf("%d are in the handshake, and %d connections are open", strangers, incoming)
	}
}

// Memory is taken as bytes come, whatever a header announces.
func TestAnAnnouncedLengthTakesNoMemory(t *testing.T) {
	header := appendFrame(nil, 0, func(b []byte) ([]byte, uint8) { return b, 2 })
	header[0], header[1], header[2], header[3] = 0, 0, 0, 4 // 64 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		if _, err := readerOf(append(header, "only this"...)).next(maxBody); err != io.ErrUnexpectedEOF {
			t.Fatal(fmt.Errorf("the error is %w", err))
		}
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 20*(readSize+4096)+1<<20 {
		t.Errorf("%d bytes were taken", taken)
	}
}

// Tiny entries take many times their bytes: of too many none is made.
func TestAListThatIsTooLongTakesNoMemory(t *testing.T) {
	most := 1 << 16
	entries := slices.Repeat([]raft.Entry{{Term: 3, Command: &raft.Command{Op: raft.Noop}}}, most+1)
	body, tag := raft.AppendMessage(nil, raft.AppendEntries{Term: 3, From: 1, To: 2, Entries: entries[:most]})
	if _, err := raft.DecodeMessage(tag, body); err != nil {
		t.Error(err)
	}
	body, tag = raft.AppendMessage(nil, raft.AppendEntries{Term: 3, From: 1, To: 2, Entries: entries})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := raft.DecodeMessage(tag, body); err == nil {
		t.Error("it was taken")
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<16 {
		t.Errorf("%d bytes were taken", taken)
	}
}
