package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"raftmark/lives"
	core "raftmark/raft"
)

// What the library's examples give its transport.
const (
	maxPool   = 3
	ioTimeout = 10 * time.Second
	noTimeout = 0
	// A client's command is not taken by a leader that has hung for so long.
	applyTimeout = 5 * time.Second
	// cached is how many entries a tuned node keeps in memory before its log on disk.
	cached = 1024
)

// A life is the library's node from its start to a crash.
type life struct {
	library *library
	raft    *raft.Raft
	config  *raft.Config
	logs    logStore
	closer  io.Closer // of the log, nil in memory
	stable  raft.StableStore
	machine *machine
	view    *view
	stream  *stream
	trans   *transport
	heir    atomic.Int64 // to whom a leader hands over
}

func (l *library) begin(logs logStore, stable raft.StableStore) (*life, error) {
	term, err := stable.GetUint64(currentTerm)
	if err != nil && err.Error() != boltNotFound {
		return nil, err
	}
	b := &life{
		library: l,
		config:  l.configure(),
		machine: newMachine(l.Gate),
		view: &view{
			id: l.Node, preVote: l.Settings.PreVote, tell: l.Events.RoleChanged, gate: l.Gate,
		},
		stream: l.listener.begin(),
	}
	b.closer, _ = logs.(io.Closer)
	b.logs = countedLog{logs, l}
	if l.tuned && l.memory == nil {
		if b.logs, err = raft.NewLogCache(cached, b.logs); err != nil {
			return nil, err
		}
	}
	b.stable = &watchedStore{StableStore: stable, library: l, newTerm: b.view.newTerm}
	b.view.present.Term = term
	b.trans = l.transport(b.stream)
	if err := b.bootstrap(b.trans); err != nil {
		return nil, errors.Join(err, b.trans.Close())
	}
	var fsm raft.FSM = b.machine
	if l.tuned {
		fsm = batching{b.machine}
	}
	b.raft, err = raft.NewRaft(b.config, fsm, b.logs, b.stable, l.snapshots, b.trans)
	if err != nil {
		return nil, errors.Join(err, b.trans.Close())
	}
	// Nobody is heard before the observer is there.
	b.raft.RegisterObserver(raft.NewObserver(nil, false, b.view.observe))
	b.view.change(func() { b.view.present.Role = core.Follower })
	b.stream.open()
	return b, nil
}

// boltNotFound is what the store says of what was never saved.
const boltNotFound = "not found"

// bootstrap begins the log, unless there is one, which is to have begun so.
func (b *life) bootstrap(trans raft.Transport) error {
	beginning := b.library.configuration()
	err := raft.BootstrapCluster(
		b.config, b.logs, b.stable, b.library.snapshots, trans, beginning)
	if !errors.Is(err, raft.ErrCantBootstrap) {
		return err
	}
	var first raft.Log
	if err := b.logs.GetLog(1, &first); errors.Is(err, raft.ErrLogNotFound) {
		return nil // It is compacted.
	} else if err != nil {
		return err
	}
	if !slices.Equal(raft.DecodeConfiguration(first.Data).Servers, beginning.Servers) {
		return core.Errorf(core.BadRequest, "its log was begun with other nodes: use another data_dir")
	}
	return nil
}

func (l *library) transport(stream *stream) *transport {
	logger := hclog.New(&hclog.LoggerOptions{Name: "raft-net", Output: os.Stderr, Level: hclog.Off})
	return &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			ServerAddressProvider: l,
			Logger:                logger,
			Stream:                stream,
			MaxPool:               maxPool,
			Timeout:               ioTimeout,
		}),
		library:   l,
		pipelines: map[*pipeline]bool{},
	}
}

// Do implements adapter.Life.
func (b *life) Do(command *core.Command) core.Outcome { return b.outcome(b.apply(command, noTimeout)) }

// Propose implements adapter.Life: the library has taken the command when it returns.
func (b *life) Propose(proposal core.Proposal) {
	future := b.apply(proposal.Command, applyTimeout)
	go func() { proposal.Done(b.outcome(future)) }()
}

// Offer implements adapter.Life.
func (b *life) Offer(commands []*core.Command, done func(core.Outcome)) {
	for _, command := range commands {
		b.Propose(core.Proposal{Command: command, Done: done})
	}
}

func (b *life) apply(command *core.Command, timeout time.Duration) raft.ApplyFuture {
	return b.raft.Apply(core.AppendCommand(nil, command), timeout)
}

func (b *life) outcome(future raft.ApplyFuture) core.Outcome {
	if err := future.Error(); err != nil {
		return core.Outcome{Err: b.explain(err)}
	}
	became := future.Response().(applied)
	return core.Outcome{
		Index: int(future.Index()), Term: became.term, Result: became.result, Err: became.err,
	}
}

// explain says in the protocol's words why the library did not do something.
func (b *life) explain(err error) error {
	switch {
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return core.NotTheLeader(core.NodeID(b.heir.Load()))
	case errors.Is(err, raft.ErrNotLeader):
		return core.NotTheLeader(b.view.now().Leader)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return core.Errorf(core.Unavailable, "%v", err)
	default:
		// The entry may be in the log, and another leader commit it.
		return core.Errorf(core.OutcomeUnknown, "%v", err)
	}
}

// Read implements adapter.Life. It is not offered.
func (b *life) Read(string) core.Outcome {
	return core.Outcome{Err: core.Errorf(core.Unavailable, "the library reads from no log alone")}
}

// Heartbeat implements adapter.Life: to find out whether it still leads, the leader speaks to all.
func (b *life) Heartbeat() error {
	if err := b.raft.VerifyLeader().Error(); err != nil {
		return b.explain(err)
	}
	return nil
}

// Transfer implements adapter.Life.
func (b *life) Transfer(to core.NodeID) bool {
	if b.raft.State() != raft.Leader || to == b.library.Node || !b.votes(to) {
		return false
	}
	b.heir.Store(int64(to))
	future := b.raft.LeadershipTransferToServer(serverID(to), raft.ServerAddress(serverID(to)))
	// Whoever asked looks who leads.
	go func() { _ = future.Error() }()
	return true
}

func (b *life) votes(id core.NodeID) bool {
	for _, server := range b.raft.GetConfiguration().Configuration().Servers {
		if server.ID == serverID(id) && server.Suffrage == raft.Voter {
			return true
		}
	}
	return false
}

// Compact implements adapter.Life.
func (b *life) Compact() (*core.Snapshot, error) {
	settings := b.raft.ReloadableConfig()
	trailing := settings.TrailingLogs
	settings.TrailingLogs = 0
	if err := b.raft.ReloadConfig(settings); err != nil {
		return nil, err
	}
	err := b.raft.Snapshot().Error()
	settings.TrailingLogs = trailing
	err = errors.Join(err, b.raft.ReloadConfig(settings))
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil, err
	}
	taken := b.snapshot()
	if taken.LastIndex == 0 {
		return nil, core.Errorf(core.Unavailable, "there is nothing to be covered yet")
	}
	return &taken, nil
}

// Ceased implements adapter.Life.
func (b *life) Ceased() bool { return b.raft.State() == raft.Shutdown }

// End implements adapter.Life. Its connections end first: the library waits for its peers' answers.
func (b *life) End() (atNs int64) {
	b.view.end()
	err := b.stream.Close()
	atNs = lives.Monotonic()
	b.library.Open()
	b.trans.hangUp()
	err = errors.Join(err, b.raft.Shutdown().Error())
	b.machine.end()
	if b.closer != nil {
		err = errors.Join(err, b.closer.Close())
	}
	if err != nil {
		b.library.Events.Failed(b.library.Node, err)
	}
	return atNs
}
