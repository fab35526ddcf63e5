package network

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"raftmark/raft"
)

// A frame is a header and a body. The header, little-endian: the body's length (32 bits), for how
// many nanoseconds its receiver is to hold the message (64 bits), and a tag (8 bits) that says
// what the body is: one of package raft's, or a step of the handshake.
const headerSize = 4 + 8 + 1

const (
	// maxBody is far above what a node sends: a batch of entries, or one of the longest commands.
	maxBody = 64 << 20
	// maxGreeting is above what a handshake needs: until it is done, the peer may be anybody.
	maxGreeting = 4 << 10
	// maxDelay is the longest that a link may be told to take.
	maxDelay = time.Minute
	// keptBody is the size up to which a buffer is kept for what comes next.
	keptBody = 1 << 20
	readSize = 64 << 10
)

type frame struct {
	tag   uint8
	delay time.Duration
	body  []byte
}

func appendFrame(b []byte, delay time.Duration, append func([]byte) ([]byte, uint8)) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(delay))
	b = binary.LittleEndian.AppendUint64(b, 0)[:start+headerSize]
	b, tag := append(b)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-headerSize))
	b[start+headerSize-1] = tag
	return b
}

func appendMessage(b []byte, message raft.Message, delay time.Duration) []byte {
	return appendFrame(b, delay, func(b []byte) ([]byte, uint8) { return raft.AppendMessage(b, message) })
}

// message is the one in a frame, which is to be between these two.
func (f frame) message(from, to raft.NodeID) (raft.Message, error) {
	message, err := raft.DecodeMessage(f.tag, f.body)
	switch {
	case err != nil:
		return nil, err
	case message.Sender() != from:
		return nil, fmt.Errorf("node %d speaks for node %d", from, message.Sender())
	case message.Recipient() != to:
		return nil, fmt.Errorf("a message to node %d has come to node %d", message.Recipient(), to)
	default:
		return message, nil
	}
}

// A frameReader takes a stream apart. It takes memory for what has come, and not for what a
// header announces.
type frameReader struct {
	*bufio.Reader
	taken int          // bytes in the reader that were handed out
	long  bytes.Buffer // a body that is longer than the reader's buffer
}

func newFrameReader(conn io.Reader) *frameReader {
	return &frameReader{Reader: bufio.NewReaderSize(conn, readSize)}
}

// next is the next frame; its body is overwritten by the one after. The error io.EOF is the
// stream's end between two frames.
func (r *frameReader) next(limit int) (frame, error) {
	if _, err := r.Discard(r.taken); err != nil {
		return frame{}, err
	}
	r.taken = 0
	header, err := r.Peek(headerSize)
	if err != nil {
		if len(header) > 0 {
			err = cutShort(err)
		}
		return frame{}, err
	}
	length := int(binary.LittleEndian.Uint32(header))
	delay := binary.LittleEndian.Uint64(header[4:])
	tag := header[headerSize-1]
	if length > limit {
		return frame{}, fmt.Errorf("no frame: type %d, %d bytes", tag, length)
	}
	if delay > uint64(maxDelay) {
		return frame{}, fmt.Errorf("a frame to be held for longer than %v", maxDelay)
	}
	body, err := r.take(length)
	return frame{tag, time.Duration(delay), body}, cutShort(err)
}

// take is the body that follows the header.
func (r *frameReader) take(length int) ([]byte, error) {
	if headerSize+length <= r.Size() {
		both, err := r.Peek(headerSize + length)
		if err != nil {
			return nil, err
		}
		r.taken = len(both)
		return both[headerSize:], nil
	}
	if r.long.Cap() > keptBody {
		r.long = bytes.Buffer{}
	}
	r.long.Reset()
	if _, err := r.Discard(headerSize); err != nil {
		return nil, err
	}
	_, err := io.CopyN(&r.long, r.Reader, int64(length))
	return r.long.Bytes(), err
}

// cutShort is the end of a stream within a frame.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
