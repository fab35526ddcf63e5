package main

import (
	"errors"
	"io"
	"log"
	"math"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

const (
	// What etcd gives the library: as much in a message, and as many messages under way.
	maxSizePerMessage = 512 << 10
	maxInFlight       = 512
	// The finest of the library's ticks, of which a heartbeat has about ten.
	finestTick = time.Millisecond
	ticks      = 10
)

// A library is the node through all its lives.
type library struct {
	*adapter.Surroundings
	network *network
	living  atomic.Pointer[life]
	memory  *raft.MemoryStorage // what outlasts a life, without a disk
}

func newLibrary(s *adapter.Surroundings) (*library, error) {
	l := &library{Surroundings: s}
	if _, election, heartbeat := l.ticks(); election <= heartbeat {
		return nil, core.Errorf(core.BadRequest,
			"the library takes an election timeout of more than a heartbeat, in ticks of %s at least",
			finestTick)
	}
	var err error
	l.network, err = listen(s, l.deliver)
	return l, err
}

// ticks are the length of the library's tick, and an election timeout and a heartbeat in them. A
// timeout that is drawn is between one and two times the election timeout.
func (l *library) ticks() (tick time.Duration, election, heartbeat int) {
	tick = min(l.Settings.Heartbeat, max(finestTick, l.Settings.Heartbeat/ticks))
	count := func(d time.Duration) int { return int(math.Round(float64(d) / float64(tick))) }
	return tick, count(l.Settings.ElectionTimeout.Low), count(l.Settings.Heartbeat)
}

func (l *library) configure(storage raft.Storage, applied uint64) *raft.Config {
	_, election, heartbeat := l.ticks()
	return &raft.Config{
		ID:                        uint64(l.Node),
		ElectionTick:              election,
		HeartbeatTick:             heartbeat,
		Storage:                   storage,
		Applied:                   applied,
		MaxSizePerMsg:             maxSizePerMessage,
		MaxInflightMsgs:           maxInFlight,
		CheckQuorum:               l.Settings.CheckQuorum,
		PreVote:                   l.Settings.PreVote,
		DisableProposalForwarding: true, // clients are told who leads
		StepDownOnRemoval:         true, // as all will one day, its documentation says
		Logger:                    &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	}
}

// Begin begins a life.
func (l *library) Begin(joins bool) (adapter.Life, error) {
	store, err := l.open()
	if err != nil {
		return nil, err
	}
	begun, err := l.begin(store, joins)
	if err != nil {
		return nil, errors.Join(err, store.close())
	}
	l.living.Store(begun)
	return begun, nil
}

// deliver gives a message to the present life, if there is one and it has room.
func (l *library) deliver(message *raftpb.Message) {
	if life := l.living.Load(); life != nil {
		select {
		case life.inbox <- event{message: message}:
		default:
		}
	}
}

// Address is where it listens.
func (l *library) Address() string { return l.network.Addr().String() }

// SetPeers says where the peers are.
func (l *library) SetPeers(peers map[core.NodeID]string) { l.network.setPeers(peers) }

// Close ends the network.
func (l *library) Close() error { return l.network.end() }
