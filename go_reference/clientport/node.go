package clientport

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"raftmark/raft"
)

// A Port is whose client port it is, and where those of all nodes are, as far as that is known.
type Port struct {
	Node   raft.NodeID
	Secret []byte

	mu        sync.Mutex
	addresses map[raft.NodeID]string
}

// Tell says where all nodes' client ports are from now on.
func (p *Port) Tell(addresses map[raft.NodeID]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = maps.Clone(addresses)
}

func (p *Port) address(id raft.NodeID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses[id]
}

// Welcome is the node's part of the handshake: whose session it is.
func (p *Port) Welcome(conn io.Writer, reader *Reader) (session string, err error) {
	body, err := reader.next(maxGreeting)
	if err != nil {
		return "", err
	}
	said := bytes.Clone(body)
	if session, err = decodeHello(said); err != nil {
		return "", err
	}
	proof := []byte{}
	if p.Secret != nil {
		nonce := make([]byte, nonceSize)
		rand.Read(nonce)
		if _, err := conn.Write(appendFrame(nil, typeChallenge, 1, func(b []byte) []byte {
			return msgp.AppendBytes(b, nonce)
		})); err != nil {
			return "", err
		}
		answer, err := reader.next(maxGreeting)
		if err != nil {
			return "", err
		}
		if err := p.check(answer, said, nonce); err != nil {
			return "", err
		}
		proof = proofOf(p.Secret, "service", said, nonce)
	}
	_, err = conn.Write(appendFrame(nil, typeWelcome, 2, func(b []byte) []byte {
		return msgp.AppendBytes(msgp.AppendInt(b, int(p.Node)), proof)
	}))
	return session, err
}

func decodeHello(body []byte) (session string, err error) {
	d, kind, fields := open(body)
	said, spoken := d.text(), d.integer()
	session = d.text()
	nonce := d.bytes()
	switch {
	case d.end() != nil || kind != typeHello || fields != 4 || said != magic || len(nonce) != nonceSize:
		return "", errors.New("no hello of a client's")
	case spoken != version:
		return "", fmt.Errorf("another version: only %d is spoken here", version)
	case session == "" || len(session) > maxSessionBytes || !utf8.ValidString(session):
		return "", fmt.Errorf("a session's name has 1 to %d bytes", maxSessionBytes)
	}
	return session, nil
}

func (p *Port) check(body, said, nonce []byte) error {
	d, kind, fields := open(body)
	shown := d.bytes()
	switch {
	case d.end() != nil || kind != typeProof || fields != 1:
		return errors.New("no proof")
	case len(shown) == 0:
		return errors.New("a secret is wanted")
	case !hmac.Equal(shown, proofOf(p.Secret, "client", said, nonce)):
		return errors.New("the secret is wrong")
	}
	return nil
}

// proofOf shows, for this hello and this nonce, that one has the secret.
func proofOf(secret []byte, role string, hello, nonce []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(role))
	mac.Write(hello)
	mac.Write(nonce)
	return mac.Sum(nil)
}

// Command is the next command of a client's session.
func (r *Reader) Command(session *string) (*raft.Command, error) {
	body, err := r.next(maxBody)
	if err != nil {
		return nil, err
	}
	d, kind, fields := open(body)
	serial := d.integer()
	command := &raft.Command{
		Op: raft.Op(d.text()), Key: d.text(), Value: d.optionalText(), Expect: d.optionalText(),
		Client: session, Serial: uint64(serial),
	}
	if d.end() != nil || kind != typeCommand || fields != 5 || serial < 1 || serial > maxSerial {
		return nil, errors.New("no command: its type, its serial, or what it is to do")
	}
	return command, check(command)
}

func check(c *raft.Command) error {
	switch value, expects := c.Value != nil, c.Expect != nil; {
	case c.Op != raft.Set && c.Op != raft.Get && c.Op != raft.Cas:
		return errors.New("no command: its type, its serial, or what it is to do")
	case value == (c.Op == raft.Get) || expects && c.Op != raft.Cas:
		return fmt.Errorf("no %s: it has too few fields, or others", c.Op)
	case len(c.Key) > maxKeyBytes:
		return fmt.Errorf("a key has at most %d bytes", maxKeyBytes)
	}
	for _, text := range []*string{&c.Key, c.Value, c.Expect} {
		switch {
		case text == nil:
		case len(*text) > maxValueBytes:
			return fmt.Errorf("a value has at most %d bytes", maxValueBytes)
		case !utf8.ValidString(*text):
			return errors.New("no command: what is no UTF-8")
		}
	}
	return nil
}

// AppendOutcome appends what became of a client's command.
func (p *Port) AppendOutcome(b []byte, serial uint64, o raft.Outcome) []byte {
	if o.Err == nil {
		return appendFrame(b, typeApplied, 4, func(b []byte) []byte {
			b = msgp.AppendUint64(b, serial)
			b = msgp.AppendInt(b, o.Index)
			b = msgp.AppendUint64(b, o.Term)
			switch result := o.Result.(type) {
			case string:
				return msgp.AppendString(b, result)
			case bool:
				return msgp.AppendBool(b, result)
			default:
				return msgp.AppendNil(b)
			}
		})
	}
	failure := raft.AsError(o.Err)
	return appendFrame(b, typeRefused, 5, func(b []byte) []byte {
		b = msgp.AppendUint64(b, serial)
		b = msgp.AppendString(b, string(failure.Code))
		b = msgp.AppendString(b, strings.ToValidUTF8(failure.Message, "?"))
		if failure.Leader == 0 {
			return msgp.AppendNil(msgp.AppendNil(b))
		}
		b = msgp.AppendInt(b, int(failure.Leader))
		if address := p.address(failure.Leader); address != "" {
			return msgp.AppendString(b, address)
		}
		return msgp.AppendNil(b)
	})
}

// AppendClosing appends why a connection is closed.
func AppendClosing(b []byte, why string) []byte {
	return appendFrame(b, typeClosing, 1, func(b []byte) []byte { return msgp.AppendString(b, why) })
}
