package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

const (
	// retained is how many snapshots are kept, as in the library's examples.
	retained = 2
	// lockPatience is how long another program may keep the file to itself.
	lockPatience = time.Second
	// snapshotInterval is how often it is looked whether enough was applied for a snapshot: the library
	// waits between one and two times as long, by default for minutes. At a twentieth of this its
	// followers came to a stand: see TestAFollowerRefusesWhatFollowsItsOwnSnapshot.
	snapshotInterval = time.Second
)

// A library is the node through all its lives.
type library struct {
	*adapter.Surroundings
	tuned    bool
	listener *listener
	peers    atomic.Pointer[map[core.NodeID]string]

	// What outlasts a life in memory.
	memory    *raft.InmemStore // nil on disk
	snapshots raft.SnapshotStore
}

func newLibrary(s *adapter.Surroundings, tuned bool) (*library, error) {
	l := &library{Surroundings: s, tuned: tuned}
	if err := raft.ValidateConfig(l.configure()); err != nil {
		return nil, core.Errorf(core.BadRequest, "the library takes no such setting: %v", err)
	}
	if s.DataDir == "" {
		l.memory, l.snapshots = raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	}
	socket, err := net.Listen("tcp", s.Place.Address)
	if err != nil {
		return nil, err
	}
	l.listener = listen(socket, s)
	l.peers.Store(&map[core.NodeID]string{})
	return l, nil
}

// configure is the library's configuration. Its timeouts are random between one and two times what
// it is told, and heartbeats are sent about ten times in that time.
func (l *library) configure() *raft.Config {
	config := raft.DefaultConfig()
	config.LocalID = serverID(l.Node)
	config.HeartbeatTimeout = l.Settings.ElectionTimeout.Low
	config.ElectionTimeout = l.Settings.ElectionTimeout.Low
	config.LeaderLeaseTimeout = min(config.LeaderLeaseTimeout, l.Settings.ElectionTimeout.Low)
	config.PreVoteDisabled = !l.Settings.PreVote
	config.SnapshotThreshold = uint64(l.Settings.SnapshotEntries)
	config.TrailingLogs = uint64(l.Settings.SnapshotEntries / 4)
	config.SnapshotInterval = snapshotInterval
	if l.Settings.SnapshotEntries == 0 {
		config.SnapshotThreshold = 1 << 62
	}
	config.LogLevel = "ERROR"
	if l.tuned {
		config.MaxAppendEntries = 1024
		config.BatchApplyCh = true
		config.CommitTimeout = 5 * time.Millisecond
		config.NoLegacyTelemetry = true
	}
	return config
}

// Begin begins a life. Members do not change here.
func (l *library) Begin(joins bool) (adapter.Life, error) {
	if joins {
		return nil, core.Errorf(core.BadRequest, "nobody joins these clusters")
	}
	logs, stable, err := l.open()
	if err != nil {
		return nil, err
	}
	begun, err := l.begin(logs, stable)
	if err != nil {
		return nil, closing(err, logs)
	}
	return begun, nil
}

// open opens what is stored.
func (l *library) open() (logStore, raft.StableStore, error) {
	if l.memory != nil {
		return l.memory, l.memory, nil
	}
	file := filepath.Join(l.DataDir, fmt.Sprintf("node-%d.hashicorp", l.Node))
	if err := os.MkdirAll(l.DataDir, 0o777); err != nil {
		return nil, nil, err
	}
	// Another program may have the file, which the library's options would wait for without an end.
	store, err := boltdb.New(boltdb.Options{Path: file, BoltOptions: &bbolt.Options{Timeout: lockPatience}})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		err = fmt.Errorf("%s: in use by another process", file)
	}
	if err != nil {
		return nil, nil, err
	}
	l.snapshots, err = raft.NewFileSnapshotStore(file+".snapshots", retained, os.Stderr)
	if err != nil {
		return nil, nil, closing(err, store)
	}
	return store, store, nil
}

// Address is where it listens.
func (l *library) Address() string { return l.listener.Addr().String() }

// SetPeers says where the peers are.
func (l *library) SetPeers(peers map[core.NodeID]string) { l.peers.Store(&peers) }

// Close closes the port.
func (l *library) Close() error { return l.listener.end() }

// The library names servers by texts, and asks where they are by their names.

func serverID(id core.NodeID) raft.ServerID { return raft.ServerID(strconv.Itoa(int(id))) }

func nodeOf(name string) core.NodeID {
	id, err := strconv.Atoi(name)
	if err != nil {
		return 0 // nobody
	}
	return core.NodeID(id)
}

// ServerAddr is where a server listens.
func (l *library) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	address, known := (*l.peers.Load())[nodeOf(string(id))]
	if !known {
		return "", fmt.Errorf("node %s is not known", id)
	}
	return raft.ServerAddress(address), nil
}

// configuration is what the log begins with.
func (l *library) configuration() (configuration raft.Configuration) {
	for _, id := range l.Settings.Nodes {
		configuration.Servers = append(configuration.Servers, raft.Server{
			Suffrage: raft.Voter, ID: serverID(id), Address: raft.ServerAddress(serverID(id)),
		})
	}
	return configuration
}
