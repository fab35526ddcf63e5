package network

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"time"
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
	version  uint64
	cluster  string
	from, to raft.NodeID
	nonce    []byte
}

func (h hello) encode() []byte {
	b := msgp.AppendArrayHeader(nil, 6)
	b = msgp.AppendString(b, magic)
	b = msgp.AppendUint64(b, h.version)
	b = msgp.AppendString(b, h.cluster)
	b = msgp.AppendUint64(b, uint64(h.from))
	b = msgp.AppendUint64(b, uint64(h.to))
	return msgp.AppendBytes(b, h.nonce)
}

var errNoHello = errors.New("it does not speak to a node")

// decodeHello reads as much as every version has.
func decodeHello(f frame) (h hello, err error) {
	size, rest, err := msgp.ReadArrayHeaderBytes(f.body)
	if f.tag != tagHello || err != nil || size < 2 {
		return hello{}, errNoHello
	}
	spoken, rest, err := msgp.ReadStringBytes(rest)
	if err != nil || spoken != magic {
		return hello{}, errNoHello
	}
	if h.version, rest, err = msgp.ReadUint64Bytes(rest); err != nil {
		return hello{}, errNoHello
	}
	if h.version != wireVersion {
		return h, nil
	}
	var from, to uint64
	h.cluster, rest, err = msgp.ReadStringBytes(rest)
	if err == nil {
		from, rest, err = msgp.ReadUint64Bytes(rest)
	}
	if err == nil {
		to, rest, err = msgp.ReadUint64Bytes(rest)
	}
	if err == nil {
		h.nonce, rest, err = msgp.ReadBytesBytes(rest, nil)
	}
	whole := err == nil && size == 6 && len(rest) == 0 && len(h.nonce) == nonceSize
	if !whole || !utf8.ValidString(h.cluster) || from > maxNode || to > maxNode {
		return hello{}, errNoHello
	}
	h.from, h.to = raft.NodeID(from), raft.NodeID(to)
	return h, nil
}

const maxNode = 1<<31 - 1

func proof(secret []byte, whose string, hello, nonce []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(whose))
	mac.Write(hello)
	mac.Write(nonce)
	return mac.Sum(nil)
}

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return nonce
}

// A refusal is why the other end does not want this connection.
type refusal string

func (r refusal) Error() string { return "it refuses: " + string(r) }

// greet is the dialler's part. Afterwards the peer is who it should be, as far as a secret says.
func greet(conn net.Conn, reader *frameReader, config *Config, to raft.NodeID) error {
	said := hello{wireVersion, config.Cluster, config.Node, to, newNonce()}.encode()
	if err := say(conn, tagHello, said); err != nil {
		return err
	}
	answer, err := reader.next(maxGreeting)
	if err != nil {
		return err
	}
	var nonce []byte
	if answer.tag == tagChallenge {
		if nonce, err = onlyBytes(answer.body); err != nil {
			return err
		}
		shown := []byte{}
		if config.Secret != nil {
			shown = proof(config.Secret, dialler, said, nonce)
		}
		if err := say(conn, tagProof, oneBytes(shown)); err != nil {
			return err
		}
		if answer, err = reader.next(maxGreeting); err != nil {
			return err
		}
	}
	switch answer.tag {
	case tagWelcome:
		shown, err := onlyBytes(answer.body)
		if err != nil {
			return err
		}
		if config.Secret != nil && !hmac.Equal(shown, proof(config.Secret, listener, said, nonce)) {
			return errors.New("it does not know the secret")
		}
		return nil
	case tagRefused:
		return refusal(reasonIn(answer.body))
	default:
		return errors.New("it does not answer as a node does")
	}
}

// receive is the listener's part: who dials, or why that is refused, which the dialler is told.
func (n *Network) receive(conn net.Conn, reader *frameReader) (from raft.NodeID, err error) {
	first, err := reader.next(maxGreeting)
	if err != nil {
		return 0, err
	}
	said := append([]byte(nil), first.body...)
	h, err := decodeHello(first)
	if err != nil {
		return 0, err
	}
	if err := n.judge(h); err != nil {
		return h.from, errors.Join(err, refuse(conn, err))
	}
	shown := []byte{}
	if n.config.Secret != nil {
		nonce := newNonce()
		if err := say(conn, tagChallenge, oneBytes(nonce)); err != nil {
			return h.from, err
		}
		answer, err := reader.next(maxGreeting)
		if err != nil {
			return h.from, err
		}
		if err := n.judgeProof(answer, said, nonce); err != nil {
			return h.from, errors.Join(err, refuse(conn, err))
		}
		shown = proof(n.config.Secret, listener, said, nonce)
	}
	return h.from, say(conn, tagWelcome, oneBytes(shown))
}

// judge is why a hello is refused, or nil.
func (n *Network) judge(h hello) error {
	switch {
	case h.version != wireVersion:
		return fmt.Errorf("another wire version: %d, where %d is spoken", h.version, wireVersion)
	case h.cluster != n.config.Cluster:
		return errors.New("another cluster")
	case h.to != n.config.Node:
		return fmt.Errorf("not node %d", h.to)
	case !n.knows(h.from):
		return fmt.Errorf("no such peer: %d", h.from)
	default:
		return nil
	}
}

func (n *Network) judgeProof(answer frame, said, nonce []byte) error {
	shown, err := onlyBytes(answer.body)
	switch {
	case answer.tag != tagProof || err != nil || len(shown) == 0:
		return errors.New("a secret is wanted")
	case !hmac.Equal(shown, proof(n.config.Secret, dialler, said, nonce)):
		return errors.New("the secret is wrong")
	default:
		return nil
	}
}

func refuse(conn net.Conn, reason error) error {
	return say(conn, tagRefused, msgp.AppendString(msgp.AppendArrayHeader(nil, 1), reason.Error()))
}

func say(conn net.Conn, tag uint8, body []byte) error {
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
		return nil, errors.New("it does not keep to the handshake")
	}
	return value, nil
}

func reasonIn(body []byte) string {
	size, rest, err := msgp.ReadArrayHeaderBytes(body)
	var reason string
	if err == nil {
		reason, rest, err = msgp.ReadStringBytes(rest)
	}
	if err != nil || size != 1 || len(rest) > 0 || !utf8.ValidString(reason) {
		return "for no reason that it tells"
	}
	return reason
}
