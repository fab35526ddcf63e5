// Package clientport is what a client and a node say to each other over the node's client port, as
// docs/protocol.md has it: the twin of raft/client_port.py. Both ends are here.
package clientport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// A frame is its body's length (32 bits, little-endian) and the body, a MessagePack array that
// begins with its type: what a client says, and what a node does.
const (
	typeHello = iota
	typeProof
	typeCommand
	typeWelcome
	typeChallenge
	typeApplied
	typeRefused
	typeClosing
)

const (
	magic   = "raftmark-client"
	version = 1

	lengthSize = 4
	nonceSize  = 16
	readSize   = 4 << 10
	keptBody   = 64 << 10

	maxKeyBytes     = 64 << 10
	maxValueBytes   = 512 << 10
	maxSessionBytes = 64
	maxGreeting     = 4 << 10
	maxBody         = maxKeyBytes + 2*maxValueBytes + 1<<10
	maxSerial       = 1<<53 - 1

	// MaxInFlight is how many of a connection's commands may wait for their answers: its share,
	// however much it sends. The rest waits in its own buffers, so that a turn of the node has no
	// more of it.
	MaxInFlight = 32
)

// A Reader takes a stream of frames apart. It takes memory for what has come, and not for what a
// frame announces.
type Reader struct {
	buffered *bufio.Reader
	taken    int          // bytes in the buffer that were handed out
	long     bytes.Buffer // a body that is longer than the buffer
}

// NewReader returns one of a connection's stream.
func NewReader(conn io.Reader) *Reader {
	return &Reader{buffered: bufio.NewReaderSize(conn, readSize)}
}

// next is the next frame's body, which is overwritten by the one after. The error io.EOF is the
// stream's end between two frames.
func (r *Reader) next(limit int) ([]byte, error) {
	if _, err := r.buffered.Discard(r.taken); err != nil {
		return nil, err
	}
	r.taken = 0
	header, err := r.buffered.Peek(lengthSize)
	if err != nil {
		if len(header) > 0 {
			err = cutShort(err)
		}
		return nil, err
	}
	length := int(binary.LittleEndian.Uint32(header))
	if length > limit {
		return nil, fmt.Errorf("no frame: %d bytes", length)
	}
	if lengthSize+length <= r.buffered.Size() {
		both, err := r.buffered.Peek(lengthSize + length)
		if err != nil {
			return nil, cutShort(err)
		}
		r.taken = len(both)
		return both[lengthSize:], nil
	}
	if r.long.Cap() > keptBody {
		r.long = bytes.Buffer{}
	}
	r.long.Reset()
	if _, err := r.buffered.Discard(lengthSize); err != nil {
		return nil, err
	}
	_, err = io.CopyN(&r.long, r.buffered, int64(length))
	return r.long.Bytes(), cutShort(err)
}

// Waiting reports whether another frame has come whole, so that nobody need wait for it.
func (r *Reader) Waiting() bool {
	whole := r.taken + lengthSize
	if r.buffered.Buffered() < whole {
		return false
	}
	ahead, err := r.buffered.Peek(whole)
	return err == nil && r.buffered.Buffered()-whole >= int(binary.LittleEndian.Uint32(ahead[r.taken:]))
}

// Ended reports whether the connection that is read has ended, without waiting for more than a moment.
// It does not see the end behind more frames than there is room for.
func (r *Reader) Ended(conn net.Conn) bool {
	// A deadline that has passed already would let nothing be read.
	if conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	_, err := r.buffered.Peek(r.buffered.Buffered() + 1)
	if conn.SetReadDeadline(time.Time{}) != nil {
		return true
	}
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, bufio.ErrBufferFull)
}

// cutShort is the end of a stream within a frame.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends a frame with so many fields, which are appended after its type.
func appendFrame(b []byte, kind int, fields uint32, body func([]byte) []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = msgp.AppendArrayHeader(b, fields+1)
	b = body(msgp.AppendInt(b, kind))
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-lengthSize))
	return b
}

// A decoder reads the fields of a body in their order. After an error all that it reads is zero.
type decoder struct {
	rest []byte
	err  error
}

var errForm = errors.New("it has other fields")

// open begins to read a body, and returns its type and how many fields follow.
func open(body []byte) (d *decoder, kind, fields int) {
	d = &decoder{rest: body}
	size, rest, err := msgp.ReadArrayHeaderBytes(body)
	d.rest, d.err = rest, err
	kind = int(d.integer())
	return d, kind, int(size) - 1
}

func (d *decoder) integer() (n int64) {
	if d.err == nil {
		n, d.rest, d.err = msgp.ReadInt64Bytes(d.rest)
	}
	return n
}

func (d *decoder) text() (s string) {
	if d.err == nil {
		s, d.rest, d.err = msgp.ReadStringBytes(d.rest)
	}
	return s
}

func (d *decoder) bytes() (b []byte) {
	if d.err == nil {
		b, d.rest, d.err = msgp.ReadBytesBytes(d.rest, nil)
	}
	return b
}

// isNil takes a null, if that is what comes.
func (d *decoder) isNil() bool {
	if d.err == nil && msgp.IsNil(d.rest) {
		d.rest, d.err = msgp.ReadNilBytes(d.rest)
		return true
	}
	return false
}

func (d *decoder) optionalText() *string {
	if d.isNil() {
		return nil
	}
	return new(d.text())
}

// end is what was wrong with the fields, or that there are more of them.
func (d *decoder) end() error {
	if d.err != nil || len(d.rest) > 0 {
		return errForm
	}
	return nil
}

func appendOptional(b []byte, text *string) []byte {
	if text == nil {
		return msgp.AppendNil(b)
	}
	return msgp.AppendString(b, *text)
}
