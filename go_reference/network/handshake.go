package network

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"raftmark/raft"
)

// The handshake. Whoever dials says HELLO; a listener with a secret asks by CHALLENGE for a PROOF
// that the dialler has it too; then comes WELCOME, with the listener's own proof, or REFUSED and
// the end. A proof is over both nonces, one of which is in the HELLO, so that none is of use
// twice; and it says whose it is, so that none can be sent back.
const (
	tagHello     = 128
	tagChallenge = 129
	tagProof     = 130
	tagWelcome   = 131
	tagRefused   = 132

	magic       = "raftmark"
	wireVersion = 1
	nonceSize   = 16

	handshakeTime = 5 * time.Second
)

const (
	dialler  = "dialler"
	listener = "listener"
)

// A hello says who dials whom.
type hello struct {
	cluster  string
	from, to int64
	nonce    []byte
}

func (h hello) encode() []byte {
	b := append(msgp.AppendArrayHeader(nil, 6), opening...)
	b = append(b, spoken...)
	b = msgp.AppendString(b, h.cluster)
	b = msgp.AppendUint64(b, uint64(h.from))
	b = msgp.AppendUint64(b, uint64(h.to))
	return msgp.AppendBytes(b, h.nonce)
}

// What a hello of any version begins with, and what that of this version goes on with.
var (
	opening = msgp.AppendString(nil, magic)
	spoken  = msgp.AppendUint64(nil, wireVersion)
)

func decodeHello(body []byte) (h hello, err error) {
	if len(body) == 0 || !bytes.HasPrefix(body[1:], opening) {
		return h, errors.New("no hello of Raftmark's")
	}
	rest := body[1+len(opening):]
	if !bytes.HasPrefix(rest, spoken) {
		return h, fmt.Errorf("another wire version: only %d is spoken here", wireVersion)
	}
	rest = rest[len(spoken):]
	size, _, err := msgp.ReadArrayHeaderBytes(body)
	if err == nil {
		h.cluster, rest, err = msgp.ReadStringBytes(rest)
	}
	if err == nil {
		h.from, rest, err = msgp.ReadInt64Bytes(rest)
	}
	if err == nil {
		h.to, rest, err = msgp.ReadInt64Bytes(rest)
	}
	if err == nil {
		h.nonce, rest, err = msgp.ReadBytesBytes(rest, nil)
	}
	if err != nil || size != 6 || len(rest) > 0 || !utf8.ValidString(h.cluster) {
		return h, errNoHandshake
	}
	return h, checkNonce(h.nonce)
}

var errNoHandshake = errors.New("no handshake: it has other fields")

func checkNonce(nonce []byte) error {
	if len(nonce) != nonceSize {
		return fmt.Errorf("no nonce: %d bytes", len(nonce))
	}
	return nil
}

// proof shows, for this hello and this nonce, that one has the secret.
func (c *Config) proof(role string, hello, nonce []byte) []byte {
	mac := hmac.New(sha256.New, c.Secret)
	mac.Write([]byte(role))
	mac.Write(hello)
	mac.Write(nonce)
	return mac.Sum(nil)
}

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return nonce
}

// greet is the dialler's part. Afterwards the peer is who it should be, as far as a secret says.
func (c *Config) greet(conn io.Writer, reader *frameReader, to raft.NodeID, nonce []byte) error {
	said := hello{c.Cluster, int64(c.Node), int64(to), nonce}.encode()
	if err := say(conn, tagHello, said); err != nil {
		return err
	}
	answer, err := reader.next(maxGreeting)
	if err != nil {
		return err
	}
	var asked []byte
	if answer.tag == tagChallenge {
		if asked, err = onlyBytes(answer.body); err == nil {
			err = checkNonce(asked)
		}
		if err != nil {
			return err
		}
		shown := []byte{} // Who has no secret says so, to be refused in words.
		if c.Secret != nil {
			shown = c.proof(dialler, said, asked)
		}
		if err = say(conn, tagProof, oneBytes(shown)); err != nil {
			return err
		}
		if answer, err = reader.next(maxGreeting); err != nil {
			return err
		}
	}
	switch answer.tag {
	case tagWelcome:
		return c.checkWelcome(to, answer.body, said, asked)
	case tagRefused:
		return fmt.Errorf("node %d refuses: %s", to, reasonIn(answer.body))
	default:
		return fmt.Errorf("no answer to a hello: type %d", answer.tag)
	}
}

func (c *Config) checkWelcome(from raft.NodeID, body, said, asked []byte) error {
	shown, err := onlyBytes(body)
	switch {
	case err != nil || c.Secret == nil:
		return err
	case asked == nil:
		return fmt.Errorf("node %d has no secret, and here is one", from)
	case !hmac.Equal(shown, c.proof(listener, said, asked)):
		return fmt.Errorf("node %d has another secret", from)
	default:
		return nil
	}
}

// receive is the listener's part: who dials, one of those it knows, or why that is refused, which
// the dialler is told.
func (c *Config) receive(
	conn io.Writer, reader *frameReader, knows func(raft.NodeID) bool, nonce []byte,
) (raft.NodeID, error) {
	from, err := c.admit(conn, reader, knows, nonce)
	if err != nil && !ended(err) {
		// Whoever does not hear it has gone.
		_ = say(conn, tagRefused, msgp.AppendString(msgp.AppendArrayHeader(nil, 1), err.Error()))
	}
	return from, err
}

func (c *Config) admit(
	conn io.Writer, reader *frameReader, knows func(raft.NodeID) bool, nonce []byte,
) (raft.NodeID, error) {
	first, err := reader.step(tagHello)
	if err != nil {
		return 0, err
	}
	said := bytes.Clone(first)
	h, err := decodeHello(said)
	if err != nil {
		return 0, err
	}
	from := raft.NodeID(h.from)
	switch {
	case h.cluster != c.Cluster:
		return 0, errors.New("another cluster")
	case h.to != int64(c.Node):
		return 0, fmt.Errorf("this is node %d, not node %d", c.Node, h.to)
	case h.from < 1 || from == c.Node || !knows(from):
		return 0, errNoPeer(h.from)
	}
	shown := []byte{}
	if c.Secret != nil {
		if err := say(conn, tagChallenge, oneBytes(nonce)); err != nil {
			return from, err
		}
		answer, err := reader.step(tagProof)
		if err != nil {
			return from, err
		}
		if err := c.checkProof(answer, said, nonce); err != nil {
			return from, err
		}
		if !knows(from) {
			return from, errNoPeer(h.from) // Not any more.
		}
		shown = c.proof(listener, said, nonce)
	}
	return from, say(conn, tagWelcome, oneBytes(shown))
}

func errNoPeer(from int64) error { return fmt.Errorf("no such peer: %d", from) }

func (c *Config) checkProof(body, said, nonce []byte) error {
	shown, err := onlyBytes(body)
	switch {
	case err != nil:
		return err
	case len(shown) == 0:
		return errors.New("a secret is wanted")
	case !hmac.Equal(shown, c.proof(dialler, said, nonce)):
		return errors.New("the secret is wrong")
	default:
		return nil
	}
}

// step is the body of the next frame, which is to be this step of the handshake.
func (r *frameReader) step(tag uint8) ([]byte, error) {
	f, err := r.next(maxGreeting)
	if err == nil && f.tag != tag {
		err = fmt.Errorf("no handshake: type %d", f.tag)
	}
	return f.body, err
}

func say(conn io.Writer, tag uint8, body []byte) error {
	_, err := conn.Write(appendFrame(nil, 0, func(b []byte) ([]byte, uint8) { return append(b, body...), tag }))
	return err
}

// oneBytes is the body of a step that is but one string of bytes.
func oneBytes(b []byte) []byte { return msgp.AppendBytes(msgp.AppendArrayHeader(nil, 1), b) }

func onlyBytes(body []byte) ([]byte, error) {
	size, rest, err := msgp.ReadArrayHeaderBytes(body)
	var value []byte
	if err == nil {
		value, rest, err = msgp.ReadBytesBytes(rest, nil)
	}
	if err != nil || size != 1 || len(rest) > 0 {
		return nil, errNoHandshake
	}
	return value, nil
}

// maxReason is how much of another end's reason is shown.
const maxReason = 200

// reasonIn is why the other end refuses, as it may be shown.
func reasonIn(body []byte) string {
	size, rest, err := msgp.ReadArrayHeaderBytes(body)
	var reason string
	if err == nil {
		reason, rest, err = msgp.ReadStringBytes(rest)
	}
	if err != nil || size != 1 || len(rest) > 0 {
		return "it does not say why"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, reason[:min(len(reason), maxReason)])
}
