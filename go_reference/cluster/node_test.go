package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// A gate is a storage whose saves wait until the test lets them end.
type gate struct {
	raft.Storage
	saves chan error // what the save under way is to return
}

func newGate() *gate { return &gate{raft.NewMemoryStorage(), make(chan error)} }

func (g *gate) Save(save raft.Save) error {
	if err := <-g.saves; err != nil {
		return err
	}
	return g.Storage.Save(save)
}

// long is more than any election takes.
const long = 10 * time.Second

var config = lives.Config{Seed: 7, Settings: raft.Settings{
	Nodes:           []raft.NodeID{1, 2, 3},
	ElectionTimeout: raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond},
	Heartbeat:       50 * time.Millisecond,
	MaxBytes:        raft.DefaultMaxBytes,
	MaxEntries:      raft.DefaultMaxEntries,
	Window:          raft.DefaultWindow,
}}

// A scenario is node 1 of three, whose peers are played by the test, in a bubble of simulated time.
type scenario struct {
	*Cluster
	t      *testing.T
	failed []raft.NodeID
}

func lone(t *testing.T, play func(s *scenario, n *node, storage *gate)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scenario{t: t, Cluster: &Cluster{config: config, transport: newTransport(nil)}}
		s.events = lives.Events{
			RoleChanged:      func(lives.RoleChange) {},
			Failed:           func(id raft.NodeID, _ error) { s.failed = append(s.failed, id) },
			MembersCommitted: func(raft.Membership) {},
		}
		s.Operator = lives.NewOperator[*node](s.transport.change)
		s.transport.connect(2)
		s.transport.connect(3)
		storage := newGate()
		s.must(s.Load([]raft.NodeID{1}, func(id raft.NodeID) *node {
			n := s.newNode(id)
			n.Storage = storage
			return n
		}))
		n := s.Node(1)
		n.Begin()
		go n.run()
		play(s, n, storage)
		n.Call(n.end)
		s.transport.close()
	})
}

func (s *scenario) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scenario) wantRefused(code raft.Code, err error) {
	s.t.Helper()
	failure := &raft.Error{}
	if !errors.As(err, &failure) || failure.Code != code {
		s.t.Errorf("the error is %v, want the code %s", err, code)
	}
}

// propose has a client of the node propose a command; its outcome goes into the channel.
func (n *node) propose() <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	n.Ask(proposal(done))
	return done
}

func proposal(done chan<- raft.Outcome) lives.Event {
	command := &raft.Command{Op: raft.Set, Key: "k", Value: new("1")}
	return lives.Event{Proposal: raft.Proposal{Command: command, Done: raft.Into(done)}}
}

// sent takes what the node has sent to a peer.
func (s *scenario) sent(peer raft.NodeID) []raft.Message {
	synctest.Wait()
	var messages []raft.Message
	for range len(s.transport.inbox(peer)) {
		messages = append(messages, (<-s.transport.inbox(peer)).Message)
	}
	return messages
}

// Figure 2: a candidate's term and vote are durable before RequestVote leaves, a leader's entries before
// AppendEntries does, and what it counts itself for before a client hears of it.
func TestNothingLeavesBeforeItIsSaved(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long)
		if sent := s.sent(2); len(sent) > 0 {
			t.Fatalf("before its vote was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := s.sent(2); len(sent) != 1 {
			t.Fatalf("after its vote was saved it sent %v", sent)
		}
		term := n.Server.View().Term
		s.transport.deliver(raft.RequestVoteReply{Term: term, From: 2, To: 1, Granted: true})
		if sent := s.sent(2); len(sent) > 0 {
			t.Fatalf("before its first entry was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := s.sent(2); len(sent) != 1 {
			t.Fatalf("after its first entry was saved it sent %v", sent)
		}
		s.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 1})
		synctest.Wait()

		// The reply for the client's entry waits before the leader has saved that itself.
		done := n.propose()
		synctest.Wait() // An acknowledgement of what is not in the log would be none.
		s.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 2})
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("before the entry was saved the client heard %v", <-done)
		}
		storage.saves <- nil
		synctest.Wait()
		if len(done) == 0 {
			t.Fatal("the client heard nothing once the entry was saved")
		}
		if outcome := <-done; outcome.Err != nil || outcome.Index != 2 {
			t.Errorf("the client heard %+v", outcome)
		}
	})
}

// Figure 2: or a follower could vote again after a crash.
func TestAFollowersVoteIsSavedBeforeItIsGiven(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		s.transport.deliver(raft.RequestVote{Term: 1, From: 3, To: 1})
		if sent := s.sent(3); len(sent) > 0 {
			t.Fatalf("before its vote was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := s.sent(3); len(sent) != 1 || !sent[0].(raft.RequestVoteReply).Granted {
			t.Fatalf("it answered %v", sent)
		}
	})
}

// Whatever came while a save was under way is one save, and one message to each peer.
func TestLoadMakesBatches(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long)
		storage.saves <- nil
		synctest.Wait()
		term := n.Server.View().Term
		s.transport.deliver(raft.RequestVoteReply{Term: term, From: 2, To: 1, Granted: true})
		synctest.Wait()
		for range 100 {
			n.propose()
		}
		storage.saves <- nil // of the first entry
		s.sent(2)
		s.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 1})
		storage.saves <- nil // of all the others
		sent := s.sent(2)
		if len(sent) != 1 || len(sent[0].(raft.AppendEntries).Entries) != 100 {
			t.Errorf("sent %d messages", len(sent))
		}
	})
}

func TestANodeWhoseStorageFailsCeases(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long)
		storage.saves <- errors.New("the disk is full")
		synctest.Wait()
		if sent := s.sent(2); n.State() != lives.Crashed || len(sent) > 0 {
			t.Errorf("it is %v, and sent %v", n.State(), sent)
		}
		if len(s.failed) != 1 || s.failed[0] != 1 {
			t.Errorf("failures of %v were told", s.failed)
		}
	})
}

// A follower that is held up, by saving a term here, finds its expired timer and the leader's
// message together, in whatever order.
func TestAMessageThatCameInTimeCounts(t *testing.T) {
	for name, wait := range map[string][2]time.Duration{"before": {0, long}, "after": {long, 0}} {
		t.Run(name, func(t *testing.T) {
			lone(t, func(s *scenario, n *node, storage *gate) {
				s.transport.deliver(raft.RequestVoteReply{Term: 1, From: 2, To: 1})
				synctest.Wait()
				time.Sleep(wait[0])
				s.transport.deliver(raft.AppendEntries{Term: 1, From: 3, To: 1})
				time.Sleep(wait[1])
				storage.saves <- nil
				synctest.Wait()
				if n.Server.View() != (raft.View{Role: raft.Follower, Term: 1, Leader: 3}) {
					t.Errorf("it became %+v", n.Server.View())
				}
			})
		})
	}
}

func TestAPausedNodeGoesOnWithWhatHasWaited(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		s.must(s.Pause(1))
		s.transport.deliver(raft.RequestVote{Term: 5, From: 3, To: 1})
		time.Sleep(long)
		if sent := s.sent(3); len(sent) > 0 {
			t.Errorf("it sent %v in its sleep", sent)
		}
		go func() { storage.saves <- nil }()
		s.must(s.Resume(1))
		if sent := s.sent(3); len(sent) != 1 || !sent[0].(raft.RequestVoteReply).Granted {
			t.Errorf("it answered %v", sent)
		}
	})
}

func TestATimerThatRingsInItsSleepIsHeardAfterwards(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		s.must(s.Pause(1))
		time.Sleep(long)
		go func() { storage.saves <- nil }()
		s.must(s.Resume(1))
		synctest.Wait()
		if n.Server.View().Role != raft.Candidate {
			t.Errorf("it is %+v", n.Server.View())
		}
	})
}

func TestTheEndAnswersWhoCameTooLate(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long) // it saves its vote
		ended := make(chan struct{})
		go func() {
			n.Call(n.end)
			close(ended)
		}()
		synctest.Wait()
		done := n.propose()
		storage.saves <- nil
		<-ended
		s.wantRefused(raft.Unavailable, (<-done).Err)
		n.ending = false
		go n.run() // which the scenario ends
	})
}

func TestAnOverloadedNodeRefuses(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long) // it saves its vote, and takes nothing in the meantime
		for range lives.Room {
			n.propose()
		}
		done := n.propose()
		s.wantRefused(raft.Unavailable, (<-done).Err)
		storage.saves <- nil
		synctest.Wait()
	})
}

func TestACrashLosesWhatWaits(t *testing.T) {
	lone(t, func(s *scenario, n *node, _ *gate) {
		s.must(s.Pause(1))
		done := make(chan raft.Outcome, 1)
		n.inbox <- event{Event: proposal(done)}
		s.transport.deliver(raft.AppendEntries{Term: 9, From: 2, To: 1})
		_, err := s.Crash(1)
		s.must(err)
		s.wantRefused(raft.Unavailable, (<-done).Err)
		s.transport.deliver(raft.AppendEntries{Term: 9, From: 2, To: 1})
		s.must(s.Restart(1))
		synctest.Wait()
		if n.Server.View().Term != 0 {
			t.Errorf("it heard of term %d before its second life", n.Server.View().Term)
		}
	})
}

func TestATimerRestartedExpiresLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rings := make(chan struct{}, 1)
		timer := newTimer(func() { rings <- struct{}{} })
		expires := func(after time.Duration) {
			t.Helper()
			for <-rings; !timer.Expired(); <-rings {
			}
			if took := time.Since(start); took != after {
				t.Errorf("expired after %v, not %v", took, after)
			}
			start = time.Now()
		}
		timer.Restart(2 * time.Second)
		expires(2 * time.Second)

		timer.Restart(2 * time.Second)
		time.Sleep(time.Second)
		timer.Restart(4 * time.Second) // later than it rings
		expires(5 * time.Second)

		timer.Restart(4 * time.Second)
		time.Sleep(time.Second)
		timer.Restart(time.Second) // earlier
		expires(2 * time.Second)

		timer.Restart(time.Second)
		timer.Stop()
		time.Sleep(time.Hour)
		if len(rings) > 0 {
			t.Error("it rang after it was stopped")
		}
		timer.Restart(time.Second)
		expires(time.Hour + time.Second)
	})
}
