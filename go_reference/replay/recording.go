// Package replay gives the core a cluster's inputs that were recorded once and kept: work that
// never changes, so that what it takes can be counted instead of timed. The recording is that of
// Python's twin, raftmark/replay, which also says how it is made.
package replay

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/tinylib/msgp/msgp"

	"raftmark/raft"
)

// A Story is what happened to three servers, in the order in which it did.
type Story struct {
	Name     string
	happened []happening
}

// What can happen to a server.
type kind uint64

const (
	turn     kind = iota // it does all that follows from what happened since the turn before
	timer                // its timer expires
	message              // a message has come
	commands             // clients ask for commands
)

type happening struct {
	node     raft.NodeID
	kind     kind
	message  raft.Message
	commands []*raft.Command
}

// Read returns the stories of a file.
func Read(path string) ([]Story, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	content, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := reader{rest: content}
	stories := make([]Story, 0, 2)
	for count := take(&r, msgp.ReadMapHeaderBytes); count > 0 && r.err == nil; count-- {
		story := Story{Name: take(&r, msgp.ReadStringBytes)}
		for rows := take(&r, msgp.ReadArrayHeaderBytes); rows > 0 && r.err == nil; rows-- {
			story.happened = append(story.happened, r.happening())
		}
		stories = append(stories, story)
	}
	if r.err != nil {
		return nil, fmt.Errorf("%s is no recording: %w", path, r.err)
	}
	return stories, nil
}

// A reader takes what is next, until something is wrong.
type reader struct {
	rest []byte
	err  error
}

func take[T any](r *reader, read func([]byte) (T, []byte, error)) (value T) {
	if r.err == nil {
		value, r.rest, r.err = read(r.rest)
	}
	return value
}

func (r *reader) expect(fields uint32) {
	if found := take(r, msgp.ReadArrayHeaderBytes); r.err == nil && found != fields {
		r.err = fmt.Errorf("%d fields where there are %d", found, fields)
	}
}

func (r *reader) happening() happening {
	r.expect(3)
	h := happening{node: raft.NodeID(take(r, msgp.ReadUint64Bytes)), kind: kind(take(r, msgp.ReadUint64Bytes))}
	switch h.kind {
	case message:
		h.message = r.message()
	case commands:
		for count := take(r, msgp.ReadArrayHeaderBytes); count > 0 && r.err == nil; count-- {
			h.commands = append(h.commands, r.command())
		}
	default:
		take(r, func(b []byte) (struct{}, []byte, error) {
			rest, err := msgp.ReadNilBytes(b)
			return struct{}{}, rest, err
		})
	}
	return h
}

// message is a tag and the body of one.
func (r *reader) message() raft.Message {
	r.expect(2)
	tag := take(r, msgp.ReadUint8Bytes)
	return take(r, func(b []byte) (raft.Message, []byte, error) {
		rest, err := msgp.Skip(b)
		if err != nil {
			return nil, b, err
		}
		message, err := raft.DecodeMessage(tag, b[:len(b)-len(rest)])
		return message, rest, err
	})
}

func (r *reader) command() *raft.Command {
	r.expect(6)
	return &raft.Command{
		Op:     raft.Op(take(r, msgp.ReadStringBytes)),
		Key:    take(r, msgp.ReadStringBytes),
		Value:  r.text(),
		Expect: r.text(),
		Client: r.text(),
		Serial: take(r, msgp.ReadUint64Bytes),
	}
}

// text is a string, or nil.
func (r *reader) text() *string {
	return take(r, func(b []byte) (*string, []byte, error) {
		if msgp.IsNil(b) {
			rest, err := msgp.ReadNilBytes(b)
			return nil, rest, err
		}
		text, rest, err := msgp.ReadStringBytes(b)
		return &text, rest, err
	})
}
