package host

import (
	"encoding/json/v2"
	"fmt"
	"io"
	"sync"
)

// An output writes lines in the order in which they were put, whichever goroutine does so.
// Nobody who puts a line waits for the reader; lines that wait are written together.
type output struct {
	mu      sync.Mutex
	waiting []byte
	wake    chan struct{} // holds one token while lines wait

	written sync.WaitGroup
	failed  func(error)
}

// newOutput starts an output; failed hears if it cannot write any more.
func newOutput(w io.Writer, failed func(error)) *output {
	o := &output{wake: make(chan struct{}, 1), failed: failed}
	o.written.Go(func() { o.writeTo(w) })
	return o
}

// put adds a value as a line of JSON.
func (o *output) put(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("host: %T is no JSON: %v", value, err))
	}
	o.mu.Lock()
	o.waiting = append(append(o.waiting, line...), '\n')
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close writes what waits and ends; nothing may be put any more.
func (o *output) close() {
	close(o.wake)
	o.written.Wait()
}

func (o *output) writeTo(w io.Writer) {
	for open := true; open; {
		_, open = <-o.wake
		o.mu.Lock()
		lines := o.waiting
		o.waiting = nil
		o.mu.Unlock()
		if _, err := w.Write(lines); err != nil {
			o.failed(err)
			return
		}
	}
}
