package host

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	followingDescription = "a goroutine for each client beside the nodes waits for its answer on a channel"
	// lastAnswers is how long clients that send nothing more wait for what is outstanding.
	lastAnswers = 5 * time.Second
)

// Clients follow the leader from beside the nodes: each has a goroutine and one command under
// way, which it sends again, with the same serial, to the next leader.
type clients struct {
	control      *control
	tally        *workload.Tally
	startNs      int64
	acknowledged []uint64 // the last serial of each, whole when all have ended

	running context.Context // ends with the cluster, and with the first client that fails
	sending context.Context // ends before that, when nothing more is to be sent
	abandon context.CancelCauseFunc
	stop    context.CancelFunc
	ended   chan struct{} // closed when all clients have
}

// follow lets a client for each session send until the load ends.
func (c *control) follow(sessions []*workload.Session) *clients {
	return c.followFor(sessions, func(int) uint64 { return math.MaxUint64 })
}

// followFor lets each client send so many commands, by its number.
func (c *control) followFor(sessions []*workload.Session, quota func(client int) uint64) *clients {
	f := &clients{
		control:      c,
		startNs:      lives.Monotonic(), // before the tally begins, so that no end is in the future
		tally:        workload.NewTally(),
		acknowledged: make([]uint64, len(sessions)),
		ended:        make(chan struct{}),
	}
	f.running, f.abandon = context.WithCancelCause(c.running)
	f.sending, f.stop = context.WithCancel(f.running)
	var living sync.WaitGroup
	for i, session := range sessions {
		living.Go(func() {
			if err := f.live(session, quota(i), &f.acknowledged[i]); err != nil {
				f.abandon(err)
			}
		})
	}
	go func() {
		living.Wait()
		close(f.ended)
	}()
	return f
}

// live is one client's goroutine.
func (f *clients) live(session *workload.Session, quota uint64, acknowledged *uint64) error {
	leader := f.control.leading()
	for f.sending.Err() == nil && *acknowledged < quota {
		command := session.Next()
		applied, err := f.commit(command, &leader)
		if err != nil || !applied {
			return err
		}
		*acknowledged = command.Serial
	}
	return nil
}

// commit has a command applied by the leader that the client knows, or by one that comes after
// it; false if the load ended before.
func (f *clients) commit(command *raft.Command, leader *lives.RoleChange) (applied bool, err error) {
	for again := false; ; again = true {
		if (again || leader.Node == 0) && !f.awaitOther(leader) {
			return false, nil
		}
		if again {
			f.tally.Retry()
		}
		select {
		case outcome := <-f.control.Submit(leader.Node, command):
			if outcome.Err == nil {
				f.tally.Acknowledge(leader.Node, outcome)
				return true, nil
			}
			if !retried(outcome.Err) {
				return false, outcome.Err
			}
		case <-f.running.Done():
			return false, nil
		}
	}
}

// awaitOther waits for a leader of another node or term; false if the load ended before.
func (f *clients) awaitOther(leader *lives.RoleChange) bool {
	asked := *leader
	err := f.control.await(f.sending, func() bool {
		*leader = f.control.leading()
		return leader.Node != 0 && (leader.Node != asked.Node || leader.Term != asked.Term)
	})
	return err == nil && f.sending.Err() == nil
}

// retried reports whether a command may be sent again after such an error.
func retried(err error) bool {
	failure := (*raft.Error)(nil)
	codes := []raft.Code{raft.NotLeader, raft.Unavailable, raft.Lost, raft.OutcomeUnknown}
	return errors.As(err, &failure) && slices.Contains(codes, failure.Code)
}

// end lets nothing more be sent, and returns what was heard by now, when the clients have
// heard of what is outstanding or given it up.
func (f *clients) end() (workload.Heard, error) {
	// In this order: what a client sends after its last one that counts is the last that it sends.
	f.stop()
	heard := f.tally.Close()
	defer time.AfterFunc(lastAnswers, func() { f.abandon(nil) }).Stop()
	<-f.ended
	return heard, f.failure()
}

// failure is why the load ended before its time, if it did.
func (f *clients) failure() error {
	if err := context.Cause(f.running); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close leaves what is outstanding to itself, if anything still is.
func (f *clients) close() {
	f.stop()
	f.abandon(nil)
	<-f.ended
}

// pass lets time pass under the clients' load.
func (f *clients) pass(d time.Duration, progress func(float64)) error {
	start := time.Now()
	return workload.Pass(f.running, d, func() { progress(min(1, float64(time.Since(start))/float64(d))) })
}

// finish waits until all have sent what they were to, or for so long in vain.
func (f *clients) finish(limit time.Duration, progress func(commands int64)) error {
	often := time.NewTicker(workload.ReportInterval)
	defer often.Stop()
	stuck := time.NewTimer(limit)
	defer stuck.Stop()
	for last := int64(0); ; {
		select {
		case <-f.ended:
			return f.failure()
		case <-often.C:
			if commands := f.tally.Commands(); commands > last {
				last = commands
				stuck.Reset(limit)
				progress(commands)
			}
		case <-stuck.C:
			return raft.Errorf(raft.Unavailable, "the clients' commands are not committed any more")
		}
	}
}
