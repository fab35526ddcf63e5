package main

import (
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

type logStore = raft.LogStore

// A countedLog counts what is saved.
type countedLog struct {
	logStore
	counters *counters
}

func (c countedLog) StoreLog(log *raft.Log) error { return c.StoreLogs([]*raft.Log{log}) }

func (c countedLog) StoreLogs(logs []*raft.Log) error {
	began := time.Now()
	err := c.logStore.StoreLogs(logs)
	c.counters.saveNs.Add(time.Since(began).Nanoseconds())
	c.counters.saves.Add(1)
	c.counters.entries.Add(int64(len(logs)))
	return err
}

// What the library keeps beside the log, by these names.
var (
	currentTerm  = []byte("CurrentTerm")
	lastVoteTerm = []byte("LastVoteTerm")
	lastVoteFor  = []byte("LastVoteCand")
)

// A watchedStore tells of each new term, which the library saves before it goes by it.
type watchedStore struct {
	raft.StableStore
	counters *counters
	newTerm  func(uint64)
}

func (w watchedStore) SetUint64(key []byte, value uint64) error {
	began := time.Now()
	err := w.StableStore.SetUint64(key, value)
	w.counters.saveNs.Add(time.Since(began).Nanoseconds())
	w.counters.saves.Add(1)
	if err == nil && string(key) == string(currentTerm) {
		w.newTerm(value)
	}
	return err
}

// closing closes a store after an error, if it is one to be closed.
func closing(err error, store any) error {
	if closer, ok := store.(io.Closer); ok {
		err = errors.Join(err, closer.Close())
	}
	return err
}
