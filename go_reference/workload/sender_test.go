package workload

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"raftmark/lives"
)

// As the sender of a contender, this program is run with the argument of one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == SendArgument {
		if err := Send(os.Stdout, os.Args[2:]); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEachCommandIsSentOnceItIsDueAndNotBefore(t *testing.T) {
	for _, rate := range []float64{500, 3_000_000} {
		spec := Offered{Rate: rate, Duration: 50 * ms}
		sender, err := StartSender(spec)
		if err != nil {
			t.Fatal(err)
		}
		startNs, _, err := sender.Begin()
		var sent []time.Duration
		for more := sent; err == nil; sent = append(sent, more...) {
			if more, err = sender.Next(); len(more) == 0 {
				break
			}
		}
		overNs := lives.Monotonic()
		cpu := sender.End()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := int64(len(sent)), spec.dueBefore(spec.Length()); got != want || !slices.IsSorted(sent) {
			t.Errorf("at %v a second: %d commands, want %d in order", rate, got, want)
		}
		for number, at := range sent {
			if due := spec.due(int64(number)); at+1 < due {
				t.Errorf("command %d is due at %v and sent at %v", number, due, at)
			}
		}
		if overNs < startNs+spec.Length().Nanoseconds() || cpu <= 0 {
			t.Errorf("over %d ns after the start, with %v of CPU time", overNs-startNs, cpu)
		}
	}
}

func TestASenderEndsWhenNobodyReadsAnyMore(t *testing.T) {
	out, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer end.Close()
		ended <- Send(end, []string{"0.001", "9", strconv.FormatInt(int64(time.Hour), 10)})
	}()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Error(err)
	}
	out.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
