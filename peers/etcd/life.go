package main

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync/atomic"
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
	ending  atomic.Bool
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

	appliedTerm uint64        // of the last entry applied
	lastChange  int           // the index of the last change of members that was proposed here
	outdated    bool          // the snapshot's members, by a change since
	members     []core.NodeID // of whom the node told last
	failed      error
}

// An event is what comes for a node: one of these.
type event struct {
	message  *raftpb.Message
	proposal core.Proposal
	query    *core.Query
	call     func()
}

func (l *library) begin(store *store, joins bool) (*life, error) {
	b := &life{
		library: l,
		store:   store,
		inbox:   make(chan event, lives.Room),
		gone:    make(chan struct{}),
		machine: core.NewStateMachine(),
	}
	snapshot, err := store.Snapshot()
	if err == nil && !raft.IsEmptySnap(snapshot) {
		err = b.restore(snapshot)
	}
	if err == nil {
		b.node, err = raft.NewRawNode(l.configure(store, snapshot.Metadata.Index))
	}
	if err == nil && store.isNew && !joins {
		var peers []raft.Peer
		for _, id := range l.Settings.Nodes {
			peers = append(peers, raft.Peer{ID: uint64(id)})
		}
		err = b.node.Bootstrap(peers)
	}
	if err != nil {
		return nil, err
	}
	b.announce()
	go b.run()
	return b, nil
}

// run is the goroutine: a turn for whatever happens.
func (b *life) run() {
	tick, _, _ := b.library.ticks()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	b.carryOut()
	for b.failed == nil {
		var e event
		ticked := false
		select {
		case e = <-b.inbox:
		case <-ticker.C:
			ticked = true
		}
		b.library.Pass()
		if b.ending.Load() {
			e.refuse(errDown)
			break
		}
		b.turn(e, ticked)
	}
	b.waiters.Abandon("the node crashed")
	b.readers.Abandon(errDown)
	for _, proposal := range b.proposals {
		proposal.Done(core.Outcome{Err: errDown})
	}
	for _, query := range b.queries {
		query.Done(core.Outcome{Err: errDown})
	}
	close(b.gone)
	b.refuseWaiting()
	if b.failed != nil {
		b.library.Events.Failed(b.library.Node, b.failed)
	}
}

// turn takes an event, and with it all that waits by then.
func (b *life) turn(e event, ticked bool) {
	if ticked {
		b.node.Tick()
		b.promote()
	} else {
		b.take(e)
		if b.waiters.Len()+len(b.proposals) > 1 {
			// Those that are ready to speak go first, or each would be a batch of its own.
			runtime.Gosched()
		}
	}
	for waiting := len(b.inbox); waiting > 0; waiting-- {
		b.take(<-b.inbox)
	}
	b.carryOut()
}

// take takes an event. Commands and queries wait until all messages that came with them are taken.
func (b *life) take(e event) {
	switch {
	case e.call != nil:
		b.carryOut()
		e.call()
	case e.proposal.Command != nil:
		b.proposals = append(b.proposals, e.proposal)
	case e.query != nil:
		b.queries = append(b.queries, *e.query)
	default:
		// What a message from elsewhere may be wrong in is nothing to this node.
		_ = b.node.Step(*e.message)
	}
}

// carryOut does all that follows from what was taken.
func (b *life) carryOut() {
	if b.failed != nil {
		return
	}
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
	var lost []uint64
	if leads {
		lost = b.library.network.send(ready.Messages)
	}
	if b.failed = b.store.save(ready); b.failed != nil {
		return
	}
	if !leads {
		lost = b.library.network.send(ready.Messages)
	}
	if !raft.IsEmptySnap(ready.Snapshot) {
		if b.failed = b.restore(ready.Snapshot); b.failed != nil {
			return
		}
		b.waiters.Skipped(int(ready.Snapshot.Metadata.Index))
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
	b.report(ready.Messages, lost)
	every, applied := b.library.Settings.SnapshotEntries, b.machine.AppliedIndex()
	switch {
	case every > 0 && applied/every > b.store.snapshotIndex()/every:
		b.failed = b.compact(applied/every*every - every/4)
	case b.outdated:
		// A new member takes no snapshot that does not name it.
		b.failed = b.compact(b.store.firstIndex() - 1)
	}
}

// report tells the library what became of its messages, as far as that is known.
func (b *life) report(messages []raftpb.Message, lost []uint64) {
	for _, id := range lost {
		b.node.ReportUnreachable(id)
	}
	for _, message := range messages {
		if message.Type != raftpb.MsgSnap {
			continue
		}
		status := raft.SnapshotFinish
		if slices.Contains(lost, message.To) {
			status = raft.SnapshotFailure
		}
		b.node.ReportSnapshot(message.To, status)
	}
}

// restore makes the state that of a snapshot.
func (b *life) restore(snapshot raftpb.Snapshot) error {
	state, err := core.DecodeSnapshot(snapshot.Data)
	if err != nil {
		return err
	}
	b.machine.Restore(state)
	b.conf = snapshot.Metadata.ConfState
	return nil
}

// compact makes a snapshot of what is applied, and drops the log before an index.
func (b *life) compact(before int) error {
	b.outdated = false
	return b.store.compact(&core.Snapshot{
		LastIndex: b.machine.AppliedIndex(), Items: b.machine.Items(),
	}, b.conf, before)
}

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
	b.library.Events.RoleChanged(lives.RoleChange{
		Node: b.library.Node, View: view, AtNs: lives.Monotonic(),
	})
}

// refuseWaiting refuses what waits for a goroutine that has ended.
func (b *life) refuseWaiting() {
	for {
		select {
		case e := <-b.inbox:
			e.refuse(errDown)
		default:
			return
		}
	}
}

// refuse answers a client, if the event is one's.
func (e event) refuse(why error) {
	switch {
	case e.proposal.Command != nil:
		e.proposal.Done(core.Outcome{Err: why})
	case e.query != nil:
		e.query.Done(core.Outcome{Err: why})
	}
}
