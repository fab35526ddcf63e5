// Package adapter lets somebody's Raft library be a node program of docs/protocol.md: what its
// lives, its clients and its command line have in common is here, and whatever a library does
// itself is behind [Library] and [Life].
package adapter

import (
	"errors"
	"sync"

	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// A Library is one node through all its lives: its storage, in memory too, and where it listens.
type Library interface {
	// Begin begins a life on what is stored.
	Begin() (Life, error)
	Address() string
	SetPeers(map[raft.NodeID]string)
	// Counters are what the node has sent and saved in all its lives.
	Counters() raft.Counters
	// Close lets go of everything; there is no life any more.
	Close() error
}

// A Life is a node from a start to a crash. Any goroutine may call its methods.
type Life interface {
	// Do proposes a command and waits for its outcome, however long that takes; of one that is
	// under way when the life ends perhaps for ever.
	Do(*raft.Command) raft.Outcome
	// Propose proposes a command and does not wait for its outcome. One caller's commands keep
	// their order.
	Propose(raft.Proposal)
	// Read is a key's value, with what a library offers so that it is the latest.
	Read(key string) raft.Outcome
	// Applied waits until an entry is applied; false where the life ends before.
	Applied(index int) bool
	// Status is all but the hashes.
	Status() raft.Status
	// Machine is a copy of the state machine.
	Machine() *raft.StateMachine
	// Log is the log from first to last, both inclusive, cut to what is kept.
	Log(first, last int) (raft.LogSlice, error)
	// Heartbeat lets a leader speak to all its followers now.
	Heartbeat() error
	// Transfer lets a leader hand over; false if it does not lead, or that may not.
	Transfer(to raft.NodeID) bool
	// Compact lets a snapshot take the place of the log as far as it is applied.
	Compact() (*raft.Snapshot, error)
	// End ends it as a crash does, and returns when nothing of it is left.
	End()
}

// A Node is a library's node, as a host serves it. It is the only one here, so that whichever its
// methods name is this one.
type Node struct {
	Library
	*Links
	id     raft.NodeID
	events lives.Events

	mu   sync.Mutex
	life *life // nil while it is crashed
}

var _ host.Deployed = (*Node)(nil)

// A life that somebody waits in may end meanwhile.
type life struct {
	Life
	ended chan struct{}
}

// NewNode returns a crashed node.
func NewNode(library Library, links *Links, id raft.NodeID, events lives.Events) *Node {
	return &Node{Library: library, Links: links, id: id, events: events}
}

func (n *Node) now() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// alive is the present life, or an error.
func (n *Node) alive() (*life, error) {
	if life := n.now(); life != nil {
		return life, nil
	}
	return nil, raft.Errorf(raft.Unavailable, "node %d is crashed", n.id)
}

// Join begins a life. A server that is no member yet cannot join one of these clusters.
func (n *Node) Join(id raft.NodeID, joins bool) error {
	if joins {
		return raft.Errorf(raft.BadRequest, "members do not change here")
	}
	return n.Restart(id)
}

// Restart begins a life.
func (n *Node) Restart(raft.NodeID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil {
		return raft.Errorf(raft.BadRequest, "node %d is running", n.id)
	}
	begun, err := n.Begin()
	if known := (*raft.Error)(nil); err != nil && !errors.As(err, &known) {
		err = raft.Errorf(raft.Unavailable, "%v", err)
	}
	if err == nil {
		n.life = &life{begun, make(chan struct{})}
	}
	return err
}

// Crash ends the life; the time is that when it had ended.
func (n *Node) Crash(raft.NodeID) (atNs int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		return 0, raft.Errorf(raft.BadRequest, "node %d is crashed", n.id)
	}
	n.end()
	return lives.Monotonic(), nil
}

func (n *Node) end() {
	n.life.End()
	close(n.life.ended)
	n.life = nil
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
	n.Leave(n.id)
	if err := n.Close(); err != nil {
		n.events.Failed(n.id, err)
	}
}

// Lifecycle tells whether the node lives.
func (n *Node) Lifecycle(raft.NodeID) lives.Lifecycle {
	if n.now() == nil {
		return lives.Crashed
	}
	return lives.Running
}

// outcome is what a life answers, unless it ends before.
func (n *Node) outcome(ask func(Life) raft.Outcome) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	life, err := n.alive()
	if err != nil {
		done <- raft.Outcome{Err: err}
		return done
	}
	tell := raft.Into(done)
	go func() { tell(ask(life)) }()
	go func() {
		<-life.ended
		tell(raft.Outcome{Err: errEnded})
	}()
	return done
}

var errEnded = raft.Errorf(raft.OutcomeUnknown, "the node crashed")

// Submit proposes a command.
func (n *Node) Submit(_ raft.NodeID, command *raft.Command) <-chan raft.Outcome {
	return n.outcome(func(l Life) raft.Outcome { return l.Do(command) })
}

// Propose proposes a client's command.
func (n *Node) Propose(_ raft.NodeID, proposal raft.Proposal) {
	life, err := n.alive()
	if err != nil {
		proposal.Done(raft.Outcome{Err: err})
		return
	}
	life.Propose(proposal)
}

// Read asks for a key's value.
func (n *Node) Read(_ raft.NodeID, key string) <-chan raft.Outcome {
	return n.outcome(func(l Life) raft.Outcome { return l.Read(key) })
}

// Applied tells when an entry is applied here.
func (n *Node) Applied(_ raft.NodeID, index int) (<-chan raft.Outcome, error) {
	return n.outcome(func(l Life) raft.Outcome {
		if !l.Applied(index) {
			return raft.Outcome{Err: errEnded}
		}
		return raft.Outcome{Index: index}
	}), nil
}

// Counters are what was sent and saved.
func (n *Node) Counters(raft.NodeID) raft.Counters { return n.Library.Counters() }

// Status is the node's at this moment.
func (n *Node) Status(raft.NodeID) lives.Status {
	life := n.now()
	if life == nil {
		return lives.Status{}
	}
	return lives.Status{Lifecycle: lives.Running, Status: life.Status()}
}

// Replica is the status with what the node holds by then, or a moment later.
func (n *Node) Replica(id raft.NodeID) (replica lives.Replica) {
	life := n.now()
	if life == nil {
		return replica
	}
	replica.Status = lives.Status{Lifecycle: lives.Running, Status: life.Status()}
	replica.Machine = life.Machine()
	replica.Status.AppliedIndex = max(replica.Status.AppliedIndex, replica.Machine.AppliedIndex())
	log, err := life.Log(replica.FirstIndex, replica.CommitIndex)
	if err != nil {
		n.events.Failed(id, err)
		return lives.Replica{}
	}
	replica.Log = raft.NewReplicatedLog(raft.Snapshot{LastIndex: log.First - 1}, log.Entries)
	return replica
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

// Pause hangs no library: none has a way to.
func (n *Node) Pause(raft.NodeID) error { return errNoPause }

// Resume resumes none.
func (n *Node) Resume(raft.NodeID) error { return errNoPause }

var errNoPause = raft.Errorf(raft.Unavailable, "the library knows no pause")
