package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	core "raftmark/raft"
)

// A store is what the library reads its log from, and on disk what outlasts the process: etcd's own
// write-ahead log.
type store struct {
	*raft.MemoryStorage
	wal      *wal.WAL // nil in memory
	counters *counters
	isNew    bool
}

// open opens what is stored.
func (l *library) open() (*store, error) {
	if l.file == "" {
		isNew := l.memory == nil
		if isNew {
			l.memory = raft.NewMemoryStorage()
		}
		return &store{MemoryStorage: l.memory, counters: &l.counters, isNew: isNew}, nil
	}
	s := &store{MemoryStorage: raft.NewMemoryStorage(), counters: &l.counters}
	if !wal.Exist(l.file) {
		s.isNew = true
		log, err := wal.Create(zap.NewNop(), l.file, l.firstVoters())
		s.wal = log
		return s, err
	}
	return s, s.read(l)
}

// read reads the log, whose last record may be torn.
func (s *store) read(l *library) error {
	metadata, state, entries, err := s.load(l.file)
	if errors.Is(err, io.ErrUnexpectedEOF) && wal.Repair(zap.NewNop(), l.file) {
		l.events.Repaired(l.id, l.file+": its last record was torn")
		metadata, state, entries, err = s.load(l.file)
	}
	if err != nil {
		return err
	}
	if string(metadata) != string(l.firstVoters()) {
		return errors.Join(s.close(), core.Errorf(core.BadRequest,
			"%s was begun with nodes %s: use another data_dir", l.file, metadata))
	}
	// A crash may have come before the first save.
	s.isNew = raft.IsEmptyHardState(state) && len(entries) == 0
	return errors.Join(s.SetHardState(state), s.Append(entries))
}

func (s *store) load(file string) (metadata []byte, state raftpb.HardState, entries []raftpb.Entry, err error) {
	if s.wal, err = wal.Open(zap.NewNop(), file, walpb.Snapshot{}); err != nil {
		return nil, state, nil, err
	}
	metadata, state, entries, err = s.wal.ReadAll()
	if err != nil {
		err = errors.Join(err, s.close())
	}
	return metadata, state, entries, err
}

// firstVoters are with what the log begins.
func (l *library) firstVoters() []byte {
	var names []string
	for _, id := range l.settings.Nodes {
		names = append(names, string('0'+rune(id)))
	}
	return []byte(strings.Join(names, ", "))
}

// save makes durable what is to be.
func (s *store) save(ready raft.Ready) error {
	if raft.IsEmptyHardState(ready.HardState) && len(ready.Entries) == 0 {
		return nil
	}
	began := time.Now()
	if s.wal != nil {
		if err := s.wal.Save(ready.HardState, ready.Entries); err != nil {
			return err
		}
	}
	if !raft.IsEmptyHardState(ready.HardState) {
		if err := s.SetHardState(ready.HardState); err != nil {
			return err
		}
	}
	err := s.Append(ready.Entries)
	s.counters.saveNs.Add(time.Since(began).Nanoseconds())
	s.counters.saves.Add(1)
	s.counters.entries.Add(int64(len(ready.Entries)))
	return err
}

func (s *store) close() error {
	if s.wal == nil {
		return nil
	}
	return s.wal.Close()
}

func (s *store) lastIndex() int {
	last, err := s.LastIndex()
	if err != nil {
		panic(err) // In memory there is one.
	}
	return int(last)
}

func (s *store) firstIndex() int {
	first, err := s.FirstIndex()
	if err != nil {
		panic(err)
	}
	return int(first)
}
