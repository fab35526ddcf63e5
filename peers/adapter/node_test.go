package adapter

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// A silent library's node takes commands and answers none, as one may that is shut down.
type silent struct {
	ceased bool
	begun  int
	ended  int
}

func (s *silent) Begin(bool) (Life, error)                  { s.begun++; return s, nil }
func (s *silent) Address() string                           { return "127.0.0.1:1" }
func (s *silent) SetPeers(map[raft.NodeID]string)           {}
func (s *silent) Close() error                              { return nil }
func (s *silent) Do(*raft.Command) raft.Outcome             { select {} }
func (s *silent) Propose(raft.Proposal)                     {}
func (s *silent) Offer([]*raft.Command, func(raft.Outcome)) {}
func (s *silent) Read(key string) raft.Outcome              { return raft.Outcome{Result: key} }
func (s *silent) Applied(int) bool                          { return false }
func (s *silent) Status() raft.Status                       { return raft.Status{FirstIndex: 1} }
func (s *silent) Machine() *raft.StateMachine               { return raft.NewStateMachine() }
func (s *silent) Log(first, _ int) (raft.LogSlice, error)   { return raft.LogSlice{First: first}, nil }
func (s *silent) Heartbeat() error                          { return nil }
func (s *silent) Transfer(raft.NodeID) bool                 { return true }
func (s *silent) Compact() (*raft.Snapshot, error)          { return &raft.Snapshot{}, nil }
func (s *silent) Ceased() bool                              { return s.ceased }
func (s *silent) End() int64                                { s.ended++; return 7 }

func node(t *testing.T) (*silent, host.Deployed) {
	t.Helper()
	library := &silent{}
	deployed, err := Deploy(func(*Surroundings) (Library, error) { return library, nil })(
		lives.Config{}, host.Place{Node: 2}, lives.Events{})
	if err != nil {
		t.Fatal(err)
	}
	return library, deployed
}

func code(err error) raft.Code {
	if err == nil {
		return ""
	}
	return raft.AsError(err).Code
}

func TestANodeIsDoneOnlyWhatItsStateAllows(t *testing.T) {
	library, n := node(t)
	crash := func() error { _, err := n.Crash(2); return err }
	for step, each := range []struct {
		do   func() error
		want raft.Code
		then lives.Lifecycle
	}{
		{crash, raft.BadRequest, lives.Crashed},
		{func() error { return n.Pause(2) }, raft.BadRequest, lives.Crashed},
		{func() error { return n.Heartbeat(2) }, raft.Unavailable, lives.Crashed},
		{func() error { return n.Join(2, false) }, "", lives.Running},
		{func() error { return n.Restart(2) }, raft.BadRequest, lives.Running},
		{func() error { return n.Resume(2) }, raft.BadRequest, lives.Running},
		{func() error { return n.Pause(2) }, "", lives.Paused},
		{func() error { return n.Pause(2) }, raft.BadRequest, lives.Paused},
		{func() error { return n.Restart(2) }, raft.BadRequest, lives.Paused},
		{func() error { return n.Heartbeat(2) }, raft.Unavailable, lives.Paused},
		{func() error { return n.Resume(2) }, "", lives.Running},
		{func() error { return n.Pause(2) }, "", lives.Paused},
		{crash, "", lives.Crashed},
		{func() error { return n.Restart(2) }, "", lives.Running},
	} {
		if got := code(each.do()); got != each.want {
			t.Errorf("step %d: %q, want %q", step, got, each.want)
		}
		if got := n.Lifecycle(2); got != each.then {
			t.Errorf("step %d: the node is %v, want %v", step, got, each.then)
		}
	}
	n.Stop()
	if library.begun != 2 || library.ended != 2 {
		t.Errorf("%d lives, of which %d ended", library.begun, library.ended)
	}
}

func TestALifeThatEndsByItselfIsACrash(t *testing.T) {
	library, n := node(t)
	if err := n.Restart(2); err != nil {
		t.Fatal(err)
	}
	library.ceased = true
	if state := n.Lifecycle(2); state != lives.Crashed {
		t.Errorf("the node is %v", state)
	}
	library.ceased = false
	if err := n.Restart(2); err != nil {
		t.Error(err)
	}
}

func TestWhoGetsNoAnswerHearsOfTheCrash(t *testing.T) {
	library, n := node(t)
	if err := n.Restart(2); err != nil {
		t.Fatal(err)
	}
	submitted := n.Submit(2, &raft.Command{Op: raft.Get, Key: "k"})
	if outcome := <-n.Read(2, "k"); outcome.Result != "k" {
		t.Errorf("%+v", outcome)
	}
	if atNs, err := n.Crash(2); atNs != 7 || err != nil || library.ended != 1 {
		t.Errorf("%d, %v", atNs, err)
	}
	if outcome := <-submitted; code(outcome.Err) != raft.OutcomeUnknown {
		t.Errorf("%+v", outcome)
	}
	if outcome := <-n.Submit(2, &raft.Command{Op: raft.Get, Key: "k"}); code(outcome.Err) != raft.Unavailable {
		t.Errorf("%+v", outcome)
	}
}

func TestAGateHoldsUpWhoPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, passed := NewGate(), new(atomic.Int32)
		gate.Pass()
		gate.Shut()
		for range 3 {
			go func() { gate.Pass(); passed.Add(1) }()
		}
		synctest.Wait()
		if passed.Load() != 0 {
			t.Errorf("%d passed a gate that is shut", passed.Load())
		}
		gate.Open()
		synctest.Wait()
		if passed.Load() != 3 {
			t.Errorf("%d passed", passed.Load())
		}
	})
}

func TestLinksAreOfThisNode(t *testing.T) {
	links := NewLinks(lives.Config{Seed: 1}, 2)
	if delay, arrives := links.Passage(2, 3); delay != 0 || !arrives || !links.Perfect() {
		t.Error("not perfect to begin with")
	}
	links.Partition([][]raft.NodeID{{1, 2}, {3}})
	if _, arrives := links.Passage(2, 3); arrives {
		t.Error("over a cut link")
	}
	mend := links.Cut([]raft.Way{{From: 2, To: 1}})
	if _, arrives := links.Passage(2, 1); arrives {
		t.Error("over a link that was cut besides")
	}
	mend()
	if _, arrives := links.Passage(2, 1); !arrives {
		t.Error("not over a mended link")
	}
	links.Partition(nil)
	links.Degrade(raft.Faults{Delay: raft.Range{Low: 5, High: 5}})
	if delay, arrives := links.Passage(2, 3); delay != 5 || !arrives {
		t.Errorf("%v, %v over a slow link", delay, arrives)
	}
}
