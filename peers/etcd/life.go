package main

import (
	"encoding/binary"
	"math"
	"runtime"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"raftmark/lives"
	core "raftmark/raft"
)

// A life is the library's node from its start to a crash: one goroutine, which owns the RawNode. In
// each turn it takes everything that waits, proposes all commands at once, saves once, and sends.
type life struct {
	library *library
	store   *store
	inbox   chan event
	gone    chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	node      *raft.RawNode
	machine   *core.StateMachine
	conf      raftpb.ConfState
	view      core.View
	proposals []core.Proposal // since the last turn
	queries   []core.Query
	waiters   core.Waiters
	readers   core.Readers
	round     uint64 // of reads
	ending    bool
	failed    error
}

// An event is what comes for a node: one of these.
type event struct {
	message  raftpb.Message
	proposal core.Proposal
	query    core.Query
	call     func()
}

func (l *library) begin(store *store) (*life, error) {
	node, err := raft.NewRawNode(l.configure(store))
	if err != nil {
		return nil, err
	}
	b := &life{
		library: l,
		store:   store,
		inbox:   make(chan event, lives.Room),
		gone:    make(chan struct{}),
		node:    node,
		machine: core.NewStateMachine(),
	}
	if store.isNew {
		var peers []raft.Peer
		for _, id := range l.settings.Nodes {
			peers = append(peers, raft.Peer{ID: uint64(id)})
		}
		if err := node.Bootstrap(peers); err != nil {
			return nil, err
		}
	}
	b.announce()
	go b.run()
	return b, nil
}

func (b *life) run() {
	defer close(b.gone)
	tick, _, _ := b.library.ticks()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	b.carryOut()
	for !b.ending {
		select {
		case e := <-b.inbox:
			b.take(e)
			if b.waiters.Len()+len(b.proposals) > 1 {
				// Those that are ready to speak go first, or each would be a batch of its own.
				runtime.Gosched()
			}
		case <-ticker.C:
			b.node.Tick()
		}
		for waiting := len(b.inbox); waiting > 0 && !b.ending; waiting-- {
			b.take(<-b.inbox)
		}
		b.carryOut()
	}
	b.abandon()
}

// take takes an event. Commands and queries wait until all messages that came with them are taken.
func (b *life) take(e event) {
	switch {
	case e.call != nil:
		b.carryOut()
		e.call()
	case e.proposal.Command != nil:
		b.proposals = append(b.proposals, e.proposal)
	case e.query.Done != nil:
		b.queries = append(b.queries, e.query)
	default:
		// What a message from elsewhere may be wrong in is nothing to this node.
		_ = b.node.Step(e.message)
	}
}

// carryOut does all that follows from what was taken.
func (b *life) carryOut() {
	b.read()
	proposed := b.propose()
	for b.node.HasReady() && b.failed == nil {
		ready := b.node.Ready()
		b.announce()
		if count := len(proposed); count > 0 {
			// Nothing was appended since.
			first := ready.Entries[len(ready.Entries)-count]
			b.waiters.Add(int(first.Index), first.Term, proposed)
			proposed = nil
		}
		b.handle(ready)
	}
	b.announce()
}

// handle saves, sends and applies. A leader's disk writes while its followers' do (thesis §10.2.1).
func (b *life) handle(ready raft.Ready) {
	leads := b.view.Role == core.Leader
	if leads {
		b.library.network.send(b.library.links, ready.Messages)
	}
	if b.failed = b.store.save(ready); b.failed != nil {
		b.ending = true
		return
	}
	if !leads {
		b.library.network.send(b.library.links, ready.Messages)
	}
	b.apply(ready.CommittedEntries)
	var reads []core.ReadIndex
	for _, state := range ready.ReadStates {
		reads = append(reads, core.ReadIndex{
			Round: binary.LittleEndian.Uint64(state.RequestCtx), Index: int(state.Index),
		})
	}
	b.readers.Resolve(reads, b.machine, b.view.Leader)
	b.node.Advance(ready)
}

// propose proposes what waits for it, if the node leads, and returns what it then waits for.
func (b *life) propose() (proposed []core.Proposal) {
	if len(b.proposals) == 0 {
		return nil
	}
	waiting := b.proposals
	b.proposals = nil
	entries := make([]raftpb.Entry, len(waiting))
	for i, proposal := range waiting {
		entries[i].Data = core.AppendCommand(nil, proposal.Command)
	}
	err := raft.ErrProposalDropped
	if b.node.BasicStatus().RaftState == raft.StateLeader {
		err = b.node.Step(raftpb.Message{
			Type: raftpb.MsgProp, From: uint64(b.library.id), Entries: entries,
		})
	}
	if err == nil {
		return waiting
	}
	for _, proposal := range waiting {
		proposal.Done(core.Outcome{Err: core.NotTheLeader(b.leader())})
	}
	return nil
}

// leader is who leads, or is to.
func (b *life) leader() core.NodeID {
	status := b.node.BasicStatus()
	if status.LeadTransferee != raft.None {
		return core.NodeID(status.LeadTransferee)
	}
	return core.NodeID(status.Lead)
}

// read asks for the index that the queries wait for, if the node leads.
func (b *life) read() {
	if len(b.queries) == 0 {
		return
	}
	waiting := b.queries
	b.queries = nil
	if status := b.node.BasicStatus(); status.RaftState != raft.StateLeader {
		for _, query := range waiting {
			query.Done(core.Outcome{Err: core.NotTheLeader(core.NodeID(status.Lead))})
		}
		return
	}
	b.readers.Add(b.askIndex(), waiting)
}

// askIndex lets a leader find out whether it still leads: it speaks to all.
func (b *life) askIndex() (round uint64) {
	b.round++
	b.node.ReadIndex(binary.LittleEndian.AppendUint64(nil, b.round))
	return b.round
}

// apply applies what is committed, and answers those who wait for it.
func (b *life) apply(committed []raftpb.Entry) {
	if len(committed) == 0 {
		return
	}
	entries := make([]core.Entry, len(committed))
	for i, entry := range committed {
		entries[i] = entryOf(entry)
		if entry.Type == raftpb.EntryConfChange {
			var change raftpb.ConfChange
			if err := change.Unmarshal(entry.Data); err != nil {
				panic(err) // No other than this program writes this log.
			}
			b.conf = *b.node.ApplyConfChange(change)
		}
	}
	b.waiters.Applied(int(committed[0].Index), entries, b.machine.Apply)
}

// entryOf is an entry as the protocol has it. What the library has in the log for itself is a no-op.
func entryOf(entry raftpb.Entry) core.Entry {
	if entry.Type != raftpb.EntryNormal || len(entry.Data) == 0 {
		return core.Entry{Term: entry.Term, Command: noop}
	}
	command, err := core.DecodeCommand(entry.Data)
	if err != nil {
		panic(err)
	}
	return core.Entry{Term: entry.Term, Command: command}
}

var noop = &core.Command{Op: core.Noop}

var roles = map[raft.StateType]core.Role{
	raft.StateFollower:     core.Follower,
	raft.StateCandidate:    core.Candidate,
	raft.StatePreCandidate: core.PreCandidate,
	raft.StateLeader:       core.Leader,
}

// announce tells of a change of role, term or leader. Who asked a leader that leads no longer is told
// too.
func (b *life) announce() {
	status := b.node.BasicStatus()
	view := core.View{
		Role: roles[status.RaftState], Term: status.Term, Leader: core.NodeID(status.Lead),
	}
	if view == b.view {
		return
	}
	if b.view.Role == core.Leader {
		b.readers.Resolve([]core.ReadIndex{{Round: b.round}}, b.machine, view.Leader)
	}
	b.view = view
	b.library.events.RoleChanged(lives.RoleChange{
		Node: b.library.id, View: view, AtNs: lives.Monotonic(),
	})
}

// abandon ends the life: nobody here will learn what becomes of what they wait for.
func (b *life) abandon() {
	down := core.Errorf(core.Unavailable, "node %d is crashed", b.library.id)
	b.waiters.Abandon("the node crashed")
	b.readers.Abandon(down)
	for {
		for _, proposal := range b.proposals {
			proposal.Done(core.Outcome{Err: down})
		}
		for _, query := range b.queries {
			query.Done(core.Outcome{Err: down})
		}
		b.proposals, b.queries = nil, nil
		select {
		case e := <-b.inbox:
			if e.message.Type == 0 && e.message.To == 0 {
				b.take(e)
			}
		default:
			return
		}
	}
}

const everything = math.MaxUint64
