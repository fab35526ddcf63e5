package host

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"raftmark/raft"
)

// maxLine is the most bytes that a line has, its newline included.
const maxLine = 1 << 20

var errLineTooLong = raft.Errorf(raft.BadRequest, "a line has at most %d bytes", maxLine)

// A lineReader splits a stream into lines, in bounded memory.
type lineReader struct{ *bufio.Reader }

func newLineReader(r io.Reader) lineReader { return lineReader{bufio.NewReaderSize(r, maxLine)} }

// next is the next line, which the one after overwrites. A longer line than is allowed is
// skipped: errLineTooLong. What follows the last newline is no line.
func (r lineReader) next() ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	if err != nil {
		return nil, err
	}
	return nil, errLineTooLong
}

// An inputLine is a line, or why there is none.
type inputLine struct {
	text []byte
	err  error
}

// readLines sends every line, and at last the error that ended them; or as much of that as
// comes before done.
func readLines(in io.Reader, done <-chan struct{}) <-chan inputLine {
	lines := make(chan inputLine)
	go func() {
		defer close(lines)
		reader := newLineReader(in)
		for {
			text, err := reader.next()
			select {
			case lines <- inputLine{bytes.Clone(text), err}:
			case <-done:
				return
			}
			if err != nil && !errors.Is(err, errLineTooLong) {
				return
			}
		}
	}()
	return lines
}
