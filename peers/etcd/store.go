package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

// A store is what the library reads its log from, and on disk what outlasts the process: etcd's own
// write-ahead log, and its snapshots.
type store struct {
	*raft.MemoryStorage
	counted   *adapter.Counters
	wal       *wal.WAL // nil in memory
	snapshots *snap.Snapshotter
	isNew     bool
}

// open opens what is stored.
func (l *library) open() (*store, error) {
	if l.DataDir == "" {
		isNew := l.memory == nil
		if isNew {
			l.memory = raft.NewMemoryStorage()
		}
		return &store{MemoryStorage: l.memory, counted: l.Counted, isNew: isNew}, nil
	}
	directory := filepath.Join(l.DataDir, fmt.Sprintf("node-%d.etcd", l.Node))
	s := &store{
		MemoryStorage: raft.NewMemoryStorage(),
		counted:       l.Counted,
		snapshots:     snap.New(zap.NewNop(), filepath.Join(directory, "snap")),
	}
	if err := os.MkdirAll(filepath.Join(directory, "snap"), 0o777); err != nil {
		return nil, err
	}
	log := filepath.Join(directory, "wal")
	if wal.Exist(log) {
		return s, s.read(l, log)
	}
	s.isNew = true
	var err error
	s.wal, err = wal.Create(zap.NewNop(), log, l.firstVoters())
	return s, err
}

// kept is what an earlier life has left on disk.
type kept struct {
	firstVoters []byte
	snapshot    *raftpb.Snapshot // nil for none
	state       raftpb.HardState
	entries     []raftpb.Entry
}

// read reads what was left; its last record may be torn.
func (s *store) read(l *library, log string) error {
	kept, err := s.load(log)
	if errors.Is(err, io.ErrUnexpectedEOF) && wal.Repair(zap.NewNop(), log) {
		l.Events.Repaired(l.Node, log+": cut a torn record off")
		kept, err = s.load(log)
	}
	if err != nil {
		return err
	}
	if string(kept.firstVoters) != string(l.firstVoters()) {
		return errors.Join(s.close(), core.Errorf(core.BadRequest,
			"%s was begun with nodes %s, not %s: use another data_dir", log, kept.firstVoters, l.firstVoters()))
	}
	if kept.snapshot != nil {
		err = s.ApplySnapshot(*kept.snapshot)
	}
	// A crash may have come before the first save.
	s.isNew = kept.snapshot == nil && raft.IsEmptyHardState(kept.state) && len(kept.entries) == 0
	return errors.Join(err, s.SetHardState(kept.state), s.Append(kept.entries))
}

func (s *store) load(log string) (found kept, err error) {
	known, err := wal.ValidSnapshotEntries(zap.NewNop(), log)
	if err != nil {
		return found, err
	}
	found.snapshot, err = s.snapshots.LoadNewestAvailable(known)
	if err != nil && !errors.Is(err, snap.ErrNoSnapshot) {
		return found, err
	}
	var at walpb.Snapshot
	if found.snapshot != nil {
		at.Index, at.Term = found.snapshot.Metadata.Index, found.snapshot.Metadata.Term
	}
	if s.wal, err = wal.Open(zap.NewNop(), log, at); err != nil {
		return found, err
	}
	found.firstVoters, found.state, found.entries, err = s.wal.ReadAll()
	if err != nil {
		err = errors.Join(err, s.close())
	}
	return found, err
}

// firstVoters are with what the log begins.
func (l *library) firstVoters() []byte {
	return []byte(strings.Trim(fmt.Sprint(l.Settings.Nodes), "[]"))
}

// save makes durable what is to be, a snapshot first.
func (s *store) save(ready raft.Ready) error {
	changed := !raft.IsEmptyHardState(ready.HardState)
	if !changed && len(ready.Entries) == 0 && raft.IsEmptySnap(ready.Snapshot) {
		return nil
	}
	began := time.Now()
	if !raft.IsEmptySnap(ready.Snapshot) {
		if err := s.write(ready.Snapshot); err != nil {
			return err
		}
		if err := s.ApplySnapshot(ready.Snapshot); err != nil {
			return err
		}
	}
	if s.wal != nil {
		if err := s.wal.Save(ready.HardState, ready.Entries); err != nil {
			return err
		}
	}
	if changed {
		if err := s.SetHardState(ready.HardState); err != nil {
			return err
		}
	}
	err := s.Append(ready.Entries)
	if ready.MustSync { // A commit index alone is written, and waits for nothing.
		s.counted.Saved(began, len(ready.Entries))
	}
	return err
}

// write makes a snapshot durable, if there is a disk.
func (s *store) write(snapshot raftpb.Snapshot) error {
	if s.wal == nil {
		return nil
	}
	if err := s.snapshots.SaveSnap(snapshot); err != nil {
		return err
	}
	about := snapshot.Metadata
	err := s.wal.SaveSnapshot(walpb.Snapshot{
		Index: about.Index, Term: about.Term, ConfState: &about.ConfState,
	})
	return errors.Join(err, s.wal.ReleaseLockTo(about.Index))
}

// compact makes a snapshot of the state at an index, and drops the log before another.
func (s *store) compact(state *core.Snapshot, members raftpb.ConfState, before int) error {
	if state.LastIndex > s.snapshotIndex() {
		made, err := s.CreateSnapshot(uint64(state.LastIndex), &members, core.AppendSnapshot(nil, state))
		if err != nil {
			return err
		}
		if err := s.write(made); err != nil {
			return err
		}
	}
	if before < s.firstIndex() {
		return nil
	}
	return s.Compact(uint64(before))
}

func (s *store) close() error {
	if s.wal == nil {
		return nil
	}
	return s.wal.Close()
}

// In memory there always is what these tell of.

func (s *store) lastIndex() int {
	last, _ := s.LastIndex()
	return int(last)
}

func (s *store) firstIndex() int {
	first, _ := s.FirstIndex()
	return int(first)
}

func (s *store) snapshotIndex() int {
	snapshot, _ := s.Snapshot()
	return int(snapshot.Metadata.Index)
}
