package loop

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

var config = lives.Config{Seed: 7, Settings: raft.Settings{
	Nodes:           []raft.NodeID{1, 2, 3},
	ElectionTimeout: raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond},
	Heartbeat:       50 * time.Millisecond,
	MaxBytes:        raft.DefaultMaxBytes,
	MaxEntries:      raft.DefaultMaxEntries,
	Window:          raft.DefaultWindow,
}}

// A gate is a storage whose saves wait until the test lets them end.
type gate struct {
	raft.Storage
	saves chan error // what the save under way is to return
}

func (g *gate) Save(save raft.Save) error {
	if err := <-g.saves; err != nil {
		return err
	}
	return g.Storage.Save(save)
}

// A scenario is nodes 1 and 2 of three in one loop, in a bubble of simulated time; the test plays
// node 3, and the saves of node 1, which are those of a disk.
type scenario struct {
	*Cluster
	t     *testing.T
	gate  *gate
	heard *mailbox // of node 3
}

func bubble(t *testing.T, play func(s *scenario)) {
	synctest.Test(t, func(t *testing.T) {
		loop := newLoop()
		s := &scenario{
			t:       t,
			Cluster: &Cluster{config: config, loop: loop, transport: newTransport(loop)},
			gate:    &gate{raft.NewMemoryStorage(), make(chan error)},
			heard:   &mailbox{wake: func() {}},
		}
		s.events = lives.Events{
			RoleChanged:      func(lives.RoleChange) {},
			Failed:           func(raft.NodeID, error) {},
			MembersCommitted: func(raft.Membership) {},
		}
		s.Operator = lives.NewOperator[*node](s.transport.change)
		if err := s.Load([]raft.NodeID{1, 2}, func(id raft.NodeID) *node {
			n := s.newNode(id)
			if id == 1 {
				n.Storage = &disk{s.gate, n}
			}
			return n
		}); err != nil {
			t.Fatal(err)
		}
		s.running.Go(loop.run)
		for id := raft.NodeID(1); id <= 2; id++ {
			n := s.Node(id)
			loop.do(func() { s.transport.connect(n) })
			n.Call(n.Begin)
		}
		loop.do(func() { s.transport.mailboxes[3] = s.heard })
		play(s)
		s.Stop()
	})
}

// sent takes what the nodes have sent to node 3.
func (s *scenario) sent() (messages []raft.Message) {
	synctest.Wait()
	s.loop.do(func() {
		for _, e := range s.heard.take() {
			messages = append(messages, e.Message)
		}
	})
	return messages
}

// deliver lets a message come.
func (s *scenario) deliver(message raft.Message) {
	s.loop.do(func() { s.transport.deliver(message) })
}

// Figure 2: nothing leaves before it is saved; and meanwhile the others go on.
func TestASaveHoldsUpItsNodeAndNobodyElse(t *testing.T) {
	bubble(t, func(s *scenario) {
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 1})
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 2})
		if sent := s.sent(); len(sent) != 1 || sent[0].(raft.RequestVoteReply).From != 2 {
			s.t.Fatalf("while node 1 saved, node 3 heard %v", sent)
		}
		// What comes meanwhile waits, and has its turn without another cause.
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 1})
		s.gate.saves <- nil
		if sent := s.sent(); len(sent) != 2 || !sent[0].(raft.RequestVoteReply).Granted {
			s.t.Errorf("after its save node 3 heard %v", sent)
		}
	})
}

func TestANodeWhoseSaveFailsCeases(t *testing.T) {
	bubble(t, func(s *scenario) {
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 1})
		synctest.Wait()
		s.gate.saves <- errors.New("the disk is full")
		if sent := s.sent(); len(sent) > 0 || s.Lifecycle(1) != lives.Crashed {
			s.t.Errorf("it is %v, and sent %v", s.Lifecycle(1), sent)
		}
	})
}

// A crash waits for the save under way, as it may be done or not.
func TestACallWaitsForTheSave(t *testing.T) {
	bubble(t, func(s *scenario) {
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 1})
		crashed := make(chan error)
		go func() {
			_, err := s.Crash(1)
			crashed <- err
		}()
		synctest.Wait()
		select {
		case err := <-crashed:
			s.t.Errorf("it did not: %v", err)
		default:
		}
		s.gate.saves <- nil
		if err := <-crashed; err != nil {
			s.t.Error(err)
		}
	})
}

func TestAFullMailboxLosesMessagesAndRefusesClients(t *testing.T) {
	bubble(t, func(s *scenario) {
		s.deliver(raft.RequestVote{Term: 7, From: 3, To: 1}) // it saves, and takes nothing
		synctest.Wait()
		refused := make(chan raft.Outcome, 1)
		n := s.Node(1)
		s.loop.do(func() {
			for range lives.Room + 5 {
				s.transport.deliver(raft.RequestVoteReply{From: 3, To: 1})
			}
			if waits := len(n.mailbox.events); waits != lives.Room {
				s.t.Errorf("%d wait", waits)
			}
			n.ask(lives.Event{Query: &raft.Query{Done: raft.Into(refused)}})
		})
		if outcome := <-refused; outcome.Err == nil {
			s.t.Errorf("it answered %+v", outcome)
		}
		s.gate.saves <- nil
	})
}
