package clientport

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/tinylib/msgp/msgp"

	"raftmark/raft"
)

// An Answer is what a node says of the command with that serial: where it was applied, or why it
// was not, as far as the node knows.
type Answer struct {
	Serial uint64
	Index  int
	Term   uint64
	Code   raft.Code // of a refusal; empty for what was applied
	Leader string    // the address of who leads, with a refusal, if that is known
}

// Greet is the client's part of the handshake.
func Greet(conn io.Writer, reader *Reader, session string, secret []byte) error {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	hello := appendFrame(nil, typeHello, 4, func(b []byte) []byte {
		b = msgp.AppendString(b, magic)
		b = msgp.AppendInt(b, version)
		return msgp.AppendBytes(msgp.AppendString(b, session), nonce)
	})
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	said, asked := hello[lengthSize:], []byte(nil)
	for {
		body, err := reader.next(maxGreeting)
		if err != nil {
			return err
		}
		d, kind, _ := open(body)
		switch {
		case kind == typeChallenge && asked == nil:
			asked = d.bytes()
			shown := []byte{} // Who has no secret says so, to be refused in words.
			if secret != nil {
				shown = proofOf(secret, "client", said, asked)
			}
			if _, err := conn.Write(appendFrame(nil, typeProof, 1, func(b []byte) []byte {
				return msgp.AppendBytes(b, shown)
			})); err != nil {
				return err
			}
		case kind == typeWelcome:
			d.integer()
			shown := d.bytes()
			if err := d.end(); err != nil {
				return err
			}
			if secret != nil && !hmac.Equal(shown, proofOf(secret, "service", said, asked)) {
				return errors.New("the node has another secret")
			}
			return nil
		case kind == typeClosing:
			return fmt.Errorf("the node refuses: %q", d.text())
		default:
			return errors.New("no answer to a hello")
		}
	}
}

// AppendCommand appends a command, which has a serial.
func AppendCommand(b []byte, c *raft.Command) []byte {
	return appendFrame(b, typeCommand, 5, func(b []byte) []byte {
		b = msgp.AppendUint64(b, c.Serial)
		b = msgp.AppendString(b, string(c.Op))
		b = msgp.AppendString(b, c.Key)
		return appendOptional(appendOptional(b, c.Value), c.Expect)
	})
}

// Answer is the next answer.
func (r *Reader) Answer() (a Answer, err error) {
	body, err := r.next(maxBody)
	if err != nil {
		return a, err
	}
	d, kind, _ := open(body)
	switch kind {
	case typeApplied:
		a.Serial, a.Index, a.Term = uint64(d.integer()), int(d.integer()), uint64(d.integer())
		// What it has come to is not looked at.
		return a, d.err
	case typeRefused:
		a.Serial, a.Code = uint64(d.integer()), raft.Code(d.text())
		d.text()
		if !d.isNil() {
			d.integer()
		}
		if address := d.optionalText(); address != nil {
			a.Leader = *address
		}
		return a, d.end()
	case typeClosing:
		return a, fmt.Errorf("the node hangs up: %q", d.text())
	default:
		return a, errors.New("no answer of a node's")
	}
}
