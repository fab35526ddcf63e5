package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// lone is node 1 of three, whose peers are played by the test.
func lone(t *testing.T, play func(s *scenario, n *node, storage *gate)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scenario{t: t}
		config := configOf(3, "")
		transport := newTransport(config.Settings.Nodes)
		n := newNode(1, config, transport, s.events())
		storage := newGate()
		n.storage = storage
		s.must(n.load())
		n.begin()
		go n.run()
		play(s, n, storage)
		n.call(n.end)
		transport.close()
	})
}

// alone is a cluster that consists of the node.
func alone(n *node) *Cluster {
	return &Cluster{transport: n.transport, nodes: map[raft.NodeID]*node{n.id: n}}
}

// waiting takes what the node has sent to a peer.
func waiting(n *node, peer raft.NodeID) []raft.Message {
	synctest.Wait()
	var messages []raft.Message
	for range len(n.transport.inbox(peer)) {
		messages = append(messages, (<-n.transport.inbox(peer)).message)
	}
	return messages
}

// Figure 2: a candidate's term and vote are durable before RequestVote leaves, a leader's entries before
// AppendEntries does, and what it counts itself for before a client hears of it.
func TestNothingLeavesBeforeItIsSaved(t *testing.T) {
	lone(t, func(_ *scenario, n *node, storage *gate) {
		time.Sleep(long)
		if sent := waiting(n, 2); len(sent) > 0 {
			t.Fatalf("before its vote was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := waiting(n, 2); len(sent) != 1 {
			t.Fatalf("after its vote was saved it sent %v", sent)
		}
		term := n.server.View().Term
		n.transport.deliver(raft.RequestVoteReply{Term: term, From: 2, To: 1, Granted: true})
		if sent := waiting(n, 2); len(sent) > 0 {
			t.Fatalf("before its first entry was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := waiting(n, 2); len(sent) != 1 {
			t.Fatalf("after its first entry was saved it sent %v", sent)
		}
		n.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 1})
		synctest.Wait()

		// The reply for the client's entry waits before the leader has saved that itself.
		done := make(chan raft.Outcome, 1)
		n.propose(raft.Proposal{Command: set("1"), Done: done})
		n.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 2})
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("before the entry was saved the client heard %v", <-done)
		}
		storage.saves <- nil
		synctest.Wait()
		if outcome := <-done; outcome.Err != nil || outcome.Index != 2 {
			t.Errorf("the client heard %+v", outcome)
		}
	})
}

// Figure 2: or a follower could vote again after a crash.
func TestAFollowersVoteIsSavedBeforeItIsGiven(t *testing.T) {
	lone(t, func(_ *scenario, n *node, storage *gate) {
		n.transport.deliver(raft.RequestVote{Term: 1, From: 3, To: 1})
		if sent := waiting(n, 3); len(sent) > 0 {
			t.Fatalf("before its vote was saved it sent %v", sent)
		}
		storage.saves <- nil
		if sent := waiting(n, 3); len(sent) != 1 || !sent[0].(raft.RequestVoteReply).Granted {
			t.Fatalf("it answered %v", sent)
		}
	})
}

// Whatever came while a save was under way is one save, and one message to each peer.
func TestLoadMakesBatches(t *testing.T) {
	lone(t, func(_ *scenario, n *node, storage *gate) {
		time.Sleep(long)
		storage.saves <- nil
		synctest.Wait()
		term := n.server.View().Term
		n.transport.deliver(raft.RequestVoteReply{Term: term, From: 2, To: 1, Granted: true})
		synctest.Wait()
		for range 100 {
			n.propose(raft.Proposal{Command: set("1"), Done: make(chan raft.Outcome, 1)})
		}
		storage.saves <- nil // of the first entry
		waiting(n, 2)
		n.transport.deliver(raft.AppendEntriesReply{Term: term, From: 2, To: 1, Success: true, LogIndex: 1})
		storage.saves <- nil // of all the others
		sent := waiting(n, 2)
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
		if sent := waiting(n, 2); n.state() != Crashed || len(sent) > 0 {
			t.Errorf("it is %v, and sent %v", n.state(), sent)
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
			lone(t, func(_ *scenario, n *node, storage *gate) {
				n.transport.deliver(raft.RequestVoteReply{Term: 1, From: 2, To: 1})
				synctest.Wait()
				time.Sleep(wait[0])
				n.transport.deliver(raft.AppendEntries{Term: 1, From: 3, To: 1})
				time.Sleep(wait[1])
				storage.saves <- nil
				synctest.Wait()
				if n.server.View() != (raft.View{Role: raft.Follower, Term: 1, Leader: 3}) {
					t.Errorf("it became %+v", n.server.View())
				}
			})
		})
	}
}

func TestAPausedNodeGoesOnWithWhatHasWaited(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		s.must(alone(n).Pause(1))
		n.transport.deliver(raft.RequestVote{Term: 5, From: 3, To: 1})
		time.Sleep(long)
		if sent := waiting(n, 3); len(sent) > 0 {
			t.Errorf("it sent %v in its sleep", sent)
		}
		go func() { storage.saves <- nil }()
		s.must(alone(n).Resume(1))
		if sent := waiting(n, 3); len(sent) != 1 || !sent[0].(raft.RequestVoteReply).Granted {
			t.Errorf("it answered %v", sent)
		}
	})
}

func TestATimerThatRingsInItsSleepIsHeardAfterwards(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		s.must(alone(n).Pause(1))
		time.Sleep(long)
		go func() { storage.saves <- nil }()
		s.must(alone(n).Resume(1))
		synctest.Wait()
		if n.server.View().Role != raft.Candidate {
			t.Errorf("it is %+v", n.server.View())
		}
	})
}

func TestOnlySoManyMessagesWaitForAPausedNode(t *testing.T) {
	lone(t, func(s *scenario, n *node, _ *gate) {
		s.must(alone(n).Pause(1))
		for range 3 {
			for range inboxSize {
				n.transport.deliver(raft.RequestVoteReply{Term: 0, From: 2, To: 1})
			}
			synctest.Wait()
		}
		if len(n.held) != inboxSize {
			t.Errorf("%d wait", len(n.held))
		}
	})
}

func TestTheEndAnswersWhoCameTooLate(t *testing.T) {
	lone(t, func(s *scenario, n *node, storage *gate) {
		time.Sleep(long) // it saves its vote
		ended := make(chan struct{})
		go func() {
			n.call(n.end)
			close(ended)
		}()
		synctest.Wait()
		done := make(chan raft.Outcome, 1)
		n.propose(raft.Proposal{Command: set("1"), Done: done})
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
		for range inboxSize {
			n.propose(raft.Proposal{Command: set("1"), Done: make(chan raft.Outcome, 1)})
		}
		done := make(chan raft.Outcome, 1)
		n.propose(raft.Proposal{Command: set("1"), Done: done})
		s.wantRefused(raft.Unavailable, (<-done).Err)
		storage.saves <- nil
		synctest.Wait()
	})
}

func TestACrashLosesWhatWaits(t *testing.T) {
	lone(t, func(s *scenario, n *node, _ *gate) {
		s.must(alone(n).Pause(1))
		done := make(chan raft.Outcome, 1)
		n.inbox <- event{proposal: raft.Proposal{Command: set("1"), Done: done}}
		n.transport.deliver(raft.AppendEntries{Term: 9, From: 2, To: 1})
		_, err := alone(n).Crash(1)
		s.must(err)
		s.wantRefused(raft.Unavailable, (<-done).Err)
		n.transport.deliver(raft.AppendEntries{Term: 9, From: 2, To: 1})
		s.must(alone(n).Restart(1))
		synctest.Wait()
		if n.server.View().Term != 0 {
			t.Errorf("it heard of term %d before its second life", n.server.View().Term)
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
			for <-rings; !timer.expired(); <-rings {
			}
			if took := time.Since(start); took != after {
				t.Errorf("expired after %v, not %v", took, after)
			}
			start = time.Now()
		}
		timer.restart(2 * time.Second)
		expires(2 * time.Second)

		timer.restart(2 * time.Second)
		time.Sleep(time.Second)
		timer.restart(4 * time.Second) // later than it rings
		expires(5 * time.Second)

		timer.restart(4 * time.Second)
		time.Sleep(time.Second)
		timer.restart(time.Second) // earlier
		expires(2 * time.Second)

		timer.restart(time.Second)
		timer.stop()
		time.Sleep(time.Hour)
		if len(rings) > 0 {
			t.Error("it rang after it was stopped")
		}
		timer.restart(time.Second)
		expires(time.Hour + time.Second)
	})
}
