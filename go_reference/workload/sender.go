package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"raftmark/lives"
)

// A Sender tells when the open loop's commands were sent. It keeps time by itself: a program
// of its own, as a goroutine of the contender's would wait for a processor of the runtime's, and
// its timers come in whole milliseconds where nothing else is to do.
type Sender interface {
	// Begin waits until it is ready: when the first command is due, by both clocks.
	Begin() (startNs int64, start time.Time, err error)
	// Next waits for some that were sent, each so long after the start; none when the measured
	// time is over.
	Next() ([]time.Duration, error)
	// End ends it, over or not, and returns the CPU time of its whole life.
	End() time.Duration
}

// SendArgument, first of its arguments, makes a contender's program a sender.
const SendArgument = "send"

// How long before a command is due the sender stops sleeping, at most, and of what part of the
// time between two: as Python's, raft/workload/sender.py.
const (
	sendAhead    = 20 * time.Microsecond
	sendSpinning = 5
	sendLead     = time.Millisecond
	pipeSize     = 1 << 20
)

// A process is a sender: this program itself, with other arguments.
type process struct {
	command *exec.Cmd
	out     *os.File
	buffer  []byte
	rest    int // so many bytes of the buffer are the beginning of a moment
	startNs int64
}

// StartSender starts one for the run, as a process.
func StartSender(o Offered) (Sender, error) {
	out, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	widen(end)
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	command := exec.Command(self, SendArgument, strconv.FormatFloat(o.Rate, 'g', -1, 64),
		strconv.FormatInt(o.dueBefore(o.Length()), 10), strconv.FormatInt(int64(o.Length()), 10))
	command.Stdout, command.Stderr = end, os.Stderr
	if err := command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("no process for the sender: %w", err), out.Close())
	}
	return &process{command: command, out: out, buffer: make([]byte, 1<<16)}, nil
}

func (p *process) read() (moments []int64, err error) {
	for len(moments) == 0 {
		n, err := p.out.Read(p.buffer[p.rest:])
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		n += p.rest
		for n >= 8*(len(moments)+1) {
			moments = append(moments, int64(binary.NativeEndian.Uint64(p.buffer[8*len(moments):])))
		}
		p.rest = copy(p.buffer, p.buffer[8*len(moments):n])
	}
	return moments, nil
}

func (p *process) Begin() (int64, time.Time, error) {
	// What was sent by then too stays in the pipe.
	buffer := p.buffer
	p.buffer = buffer[:8]
	moments, err := p.read()
	p.buffer = buffer
	if err == nil && len(moments) == 0 {
		err = errors.New("the sender ended before it began")
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	p.startNs = moments[0]
	return p.startNs, time.Now().Add(time.Duration(p.startNs - lives.Monotonic())), nil
}

func (p *process) Next() (sent []time.Duration, err error) {
	moments, err := p.read()
	for _, moment := range moments {
		sent = append(sent, time.Duration(moment-p.startNs))
	}
	return sent, err
}

func (p *process) End() time.Duration {
	p.out.Close()
	_ = p.command.Process.Kill() // It may have ended.
	_ = p.command.Wait()         // It was killed, or nobody read any more: no error of the run.
	state := p.command.ProcessState
	return state.UserTime() + state.SystemTime()
}

// Send is the sender's program: it writes its start, and then when it sent each command of a run
// (nanoseconds of the monotonic clock, eight bytes each), and ends with the run or when nobody
// reads.
func Send(out *os.File, arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("a sender takes a rate, how many commands, and nanoseconds")
	}
	rate, err := strconv.ParseFloat(arguments[0], 64)
	if err != nil {
		return err
	}
	total, err := strconv.ParseInt(arguments[1], 10, 64)
	if err != nil {
		return err
	}
	length, err := strconv.ParseInt(arguments[2], 10, 64)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Its timers' slack is the thread's.
	bePrecise()
	err = send(out, Offered{Rate: rate}, total, time.Duration(length))
	if errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

func send(out *os.File, spec Offered, total int64, length time.Duration) error {
	ahead := min(sendAhead, time.Duration(float64(time.Second)/spec.Rate/sendSpinning))
	start := lives.Monotonic() + sendLead.Nanoseconds()
	if err := write(out, start, 1); err != nil {
		return err
	}
	for sent := int64(0); sent < total; {
		if !waitUntil(out, start+spec.due(sent).Nanoseconds(), ahead) {
			return nil
		}
		now := lives.Monotonic()
		due := min(total, int64(float64(now-start)*spec.Rate/1e9)+1)
		count := max(1, due-sent)
		if err := write(out, now, count); err != nil {
			return err
		}
		sent += count
	}
	waitUntil(out, start+length.Nanoseconds(), ahead)
	return nil
}

func write(out *os.File, moment, times int64) error {
	bytes := make([]byte, 0, 8*times)
	for range times {
		bytes = binary.NativeEndian.AppendUint64(bytes, uint64(moment))
	}
	_, err := out.Write(bytes)
	return err
}

// waitUntil returns when it is time; false where nobody reads any more.
func waitUntil(out *os.File, due int64, ahead time.Duration) bool {
	const long = 10 * time.Millisecond
	for {
		left := time.Duration(due - lives.Monotonic())
		switch {
		case left <= 0:
			return true
		case left > long:
			// An end of the pipe without the other is told of, whatever is asked for.
			ends := []unix.PollFd{{Fd: int32(out.Fd())}}
			wait := (left - long/2) / time.Millisecond
			if n, err := unix.Poll(ends, int(min(wait, math.MaxInt32))); n > 0 && err == nil {
				return false
			}
		case left > ahead:
			nap(left - ahead)
		}
	}
}
