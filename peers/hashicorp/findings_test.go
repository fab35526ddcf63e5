package main

import (
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	core "raftmark/raft"
)

// What peers/findings.toml and docs/peers.md say of the library, each shown in one of its nodes. Who
// mends it there makes a test here fail, and the finding is to go.

// A subject is the library's node 1, and the transport of a leader 2, which the test speaks for.
type subject struct {
	t         *testing.T
	own       *raft.NetworkTransport
	leader    *raft.NetworkTransport
	config    *raft.Config
	logs      *raft.InmemStore
	snapshots *raft.InmemSnapshotStore
}

func newSubject(t *testing.T, timeout time.Duration) *subject {
	s := &subject{
		t: t, own: listening(t), leader: listening(t), config: raft.DefaultConfig(),
		logs: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore(),
	}
	s.config.LocalID, s.config.LogOutput, s.config.PreVoteDisabled = "1", io.Discard, true
	s.config.HeartbeatTimeout, s.config.ElectionTimeout = timeout, timeout
	s.config.LeaderLeaseTimeout = timeout
	return s
}

func listening(t *testing.T) *raft.NetworkTransport {
	transport, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, time.Minute, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	return transport
}

func (s *subject) members() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{
		{ID: "1", Address: s.own.LocalAddr()}, {ID: "2", Address: s.leader.LocalAddr()},
	}}
}

func (s *subject) start(stable raft.StableStore) {
	node, err := raft.NewRaft(s.config, newMachine(nil), s.logs, stable, s.snapshots, s.own)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.leader.Close() // It answers nobody, whom the node would wait for.
		if err := node.Shutdown().Error(); err != nil {
			s.t.Error(err)
		}
	})
}

// hears lets the leader of a term send nothing but what precedes: none (0) in a heartbeat.
func (s *subject) hears(term, previous, previousTerm uint64) (answer raft.AppendEntriesResponse) {
	address := []byte(s.leader.LocalAddr())
	request := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{
			ProtocolVersion: s.config.ProtocolVersion, ID: []byte("2"), Addr: address,
		},
		Term: term, Leader: address, PrevLogEntry: previous, PrevLogTerm: previousTerm,
	}
	if err := s.leader.AppendEntries("1", s.own.LocalAddr(), request, &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// A heldTerm saves the term of a candidacy when another leader's was heard.
type heldTerm struct {
	*raft.InmemStore
	candidacy uint64
	asked     chan struct{}
	heard     chan struct{}
	left      chan uint64
}

func (h *heldTerm) SetUint64(key []byte, value uint64) error {
	if string(key) != string(currentTerm) || value != h.candidacy {
		return h.InmemStore.SetUint64(key, value)
	}
	close(h.asked)
	<-h.heard
	err := h.InmemStore.SetUint64(key, value)
	left, _ := h.GetUint64(key)
	h.left <- left
	return err
}

// A heartbeat is taken beside the main goroutine, and neither looks at the term again as it saves.
func TestATermThatWasAnsweredWithFalls(t *testing.T) {
	s := newSubject(t, 50*time.Millisecond)
	stable := &heldTerm{
		InmemStore: raft.NewInmemStore(), candidacy: 2,
		asked: make(chan struct{}), heard: make(chan struct{}), left: make(chan uint64, 1),
	}
	if err := raft.BootstrapCluster(s.config, s.logs, stable, s.snapshots, s.own, s.members()); err != nil {
		t.Fatal(err)
	}
	s.start(stable)
	<-stable.asked
	if answer := s.hears(9, 0, 0); !answer.Success || answer.Term != 9 {
		t.Fatalf("it answers a leader of term 9 with %+v", answer)
	}
	close(stable.heard)
	if left := <-stable.left; left != 2 {
		t.Errorf("term %d is saved: it has not fallen from 9 to 2", left)
	}
}

// It looks for the entry before in its log, where its snapshot took that one's place, unless the log is
// empty. The leader then sends its snapshot, and then the same again.
func TestAFollowerRefusesWhatFollowsItsOwnSnapshot(t *testing.T) {
	s := newSubject(t, time.Minute)
	sink, err := s.snapshots.Create(raft.SnapshotVersionMax, 5, 1, s.members(), 1, s.own)
	if err != nil {
		t.Fatal(err)
	}
	if err := (snapshot{core.Snapshot{LastIndex: 5, LastTerm: 1}}).Persist(sink); err != nil {
		t.Fatal(err)
	}
	if err := s.logs.StoreLog(&raft.Log{Index: 6, Term: 1, Type: raft.LogNoop}); err != nil {
		t.Fatal(err)
	}
	s.start(s.logs)
	if answer := s.hears(1, 6, 1); !answer.Success {
		t.Fatalf("it answers %+v to its last entry", answer)
	}
	if answer := s.hears(1, 5, 1); answer.Success || answer.LastLog != 6 {
		t.Errorf("it answers %+v to the last entry of its snapshot", answer)
	}
}
