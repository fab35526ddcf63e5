package adapter

import (
	"errors"
	"sync"

	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// A Node is a library's node, as a host serves it. It is the only one here, so that whichever its
// methods name is this one.
type Node struct {
	*Surroundings
	Library

	mu     sync.Mutex
	life   *life          // nil while it is crashed
	paused *lives.Replica // what it was when it was paused, while it is
}

var _ host.Deployed = (*Node)(nil)

// A life that somebody waits in may end meanwhile.
type life struct {
	Life
	ended chan struct{}
}

// now is the present life, hanging or not; nil for none.
func (n *Node) now() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// alive is the present life, or an error where there is none or it hangs.
func (n *Node) alive() (*life, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if state := n.state(); state != lives.Running {
		return nil, raft.Errorf(raft.Unavailable, "node %d is %s", n.Place.Node, state)
	}
	return n.life, nil
}

// state looks after a life that has ended by itself. It is locked.
func (n *Node) state() lives.Lifecycle {
	if n.life != nil && n.life.Ceased() {
		n.end()
	}
	switch {
	case n.life == nil:
		return lives.Crashed
	case n.paused != nil:
		return lives.Paused
	default:
		return lives.Running
	}
}

// Lifecycle tells whether the node lives.
func (n *Node) Lifecycle(raft.NodeID) lives.Lifecycle {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state()
}

// mustBe fails where the node is in none of the states.
func (n *Node) mustBe(states ...lives.Lifecycle) error {
	now := n.state()
	for _, state := range states {
		if state == now {
			return nil
		}
	}
	return raft.Errorf(raft.BadRequest, "node %d is %s", n.Place.Node, now)
}

// Restart begins a life.
func (n *Node) Restart(id raft.NodeID) error { return n.Join(id, false) }

// Join begins a life, of a server that perhaps joins.
func (n *Node) Join(_ raft.NodeID, joins bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.mustBe(lives.Crashed); err != nil {
		return err
	}
	begun, err := n.Begin(joins)
	if known := (*raft.Error)(nil); err != nil && !errors.As(err, &known) {
		err = raft.Errorf(raft.Unavailable, "%v", err)
	}
	if err == nil {
		n.life = &life{begun, make(chan struct{})}
	}
	return err
}

// Crash ends the life; the time is that when it ceased.
func (n *Node) Crash(raft.NodeID) (atNs int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.mustBe(lives.Running, lives.Paused); err != nil {
		return 0, err
	}
	return n.end(), nil
}

func (n *Node) end() (atNs int64) {
	atNs = n.life.End()
	n.Open()
	close(n.life.ended)
	n.life, n.paused = nil, nil
	return atNs
}

// Leave ends the life, if there is one.
func (n *Node) Leave(raft.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil {
		n.end()
	}
}

// Stop ends the node.
func (n *Node) Stop() {
	n.Leave(n.Place.Node)
	if err := n.Close(); err != nil {
		n.Events.Failed(n.Place.Node, err)
	}
}

// Pause hangs a running node.
func (n *Node) Pause(raft.NodeID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.mustBe(lives.Running); err != nil {
		return err
	}
	replica, err := n.replica(n.life)
	if err != nil {
		return err
	}
	n.Shut()
	replica.Lifecycle = lives.Paused
	n.paused = &replica
	return nil
}

// Resume lets a paused node go on.
func (n *Node) Resume(raft.NodeID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.mustBe(lives.Paused); err != nil {
		return err
	}
	n.paused = nil
	n.Open()
	return nil
}

// outcome is what a life answers, or what is to be said if it ends before.
func (n *Node) outcome(ask func(Life) raft.Outcome, ended error) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	tell := raft.Into(done)
	life, err := n.alive()
	if err != nil {
		tell(raft.Outcome{Err: err})
		return done
	}
	answered := make(chan struct{})
	go func() {
		tell(ask(life))
		close(answered)
	}()
	go func() {
		select {
		case <-answered:
		case <-life.ended:
			tell(raft.Outcome{Err: ended})
		}
	}()
	return done
}

var (
	errEnded = raft.Errorf(raft.OutcomeUnknown, "the node crashed")
	errDown  = raft.Errorf(raft.Unavailable, "the node crashed")
)

// Submit proposes a command.
func (n *Node) Submit(_ raft.NodeID, command *raft.Command) <-chan raft.Outcome {
	return n.outcome(func(l Life) raft.Outcome { return l.Do(command) }, errEnded)
}

// Propose proposes a client's command. One that comes while the node hangs waits for it.
func (n *Node) Propose(_ raft.NodeID, proposal raft.Proposal) {
	life := n.now()
	if life == nil {
		proposal.Done(raft.Outcome{
			Err: raft.Errorf(raft.Unavailable, "node %d is %s", n.Place.Node, lives.Crashed),
		})
		return
	}
	life.Propose(proposal)
}

// Read asks for a key's value.
func (n *Node) Read(_ raft.NodeID, key string) <-chan raft.Outcome {
	return n.outcome(func(l Life) raft.Outcome { return l.Read(key) }, errDown)
}

// Applied tells when an entry is applied here.
func (n *Node) Applied(_ raft.NodeID, index int) (<-chan raft.Outcome, error) {
	return n.outcome(func(l Life) raft.Outcome {
		if !l.Applied(index) {
			return raft.Outcome{Err: errDown}
		}
		return raft.Outcome{Index: index}
	}, errDown), nil
}

// Counters are what was sent and saved.
func (n *Node) Counters(raft.NodeID) raft.Counters { return n.Counted.Sums() }

// Status is the node's at this moment, or that when it was paused.
func (n *Node) Status(raft.NodeID) lives.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.state() {
	case lives.Crashed:
		return lives.Status{}
	case lives.Paused:
		return n.paused.Status
	default:
		return lives.Status{Lifecycle: lives.Running, Status: n.life.Status()}
	}
}

// Replica is the status with what the node holds by then, or a moment later.
func (n *Node) Replica(id raft.NodeID) lives.Replica {
	n.mu.Lock()
	life, paused := n.life, n.paused
	n.mu.Unlock()
	switch {
	case life == nil:
		return lives.Replica{}
	case paused != nil:
		return *paused
	}
	replica, err := n.replica(life)
	if err != nil {
		n.Events.Failed(id, err)
		return lives.Replica{}
	}
	return replica
}

func (n *Node) replica(life *life) (replica lives.Replica, err error) {
	replica.Status = lives.Status{Lifecycle: lives.Running, Status: life.Status()}
	replica.Machine = life.Machine()
	replica.Status.AppliedIndex = max(replica.Status.AppliedIndex, replica.Machine.AppliedIndex())
	replica.Status.CommitIndex = max(replica.Status.CommitIndex, replica.Status.AppliedIndex)
	replica.Status.LastIndex = max(replica.Status.LastIndex, replica.Status.CommitIndex)
	log, err := life.Log(replica.FirstIndex, replica.CommitIndex)
	if err != nil {
		return replica, err
	}
	replica.FirstIndex = log.First
	replica.Log = raft.NewReplicatedLog(raft.Snapshot{LastIndex: log.First - 1}, log.Entries)
	return replica, nil
}

// Log is a piece of the log.
func (n *Node) Log(_ raft.NodeID, first, last int) (raft.LogSlice, error) {
	life, err := n.alive()
	if err != nil {
		return raft.LogSlice{}, err
	}
	return life.Log(first, last)
}

// Heartbeat lets a leader speak to its followers.
func (n *Node) Heartbeat(raft.NodeID) error {
	life, err := n.alive()
	if err != nil {
		return err
	}
	return life.Heartbeat()
}

// Transfer lets a leader hand over.
func (n *Node) Transfer(_, to raft.NodeID) (begun bool, err error) {
	life, err := n.alive()
	if err != nil {
		return false, err
	}
	return life.Transfer(to), nil
}

// Compact lets a snapshot take the place of the log.
func (n *Node) Compact(raft.NodeID) (*raft.Snapshot, error) {
	life, err := n.alive()
	if err != nil {
		return nil, err
	}
	return life.Compact()
}
