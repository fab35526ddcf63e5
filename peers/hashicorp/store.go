package main

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

type logStore = raft.LogStore

// A countedLog counts what is saved, and saves nothing while the node hangs.
type countedLog struct {
	logStore
	library *library
}

func (c countedLog) StoreLog(log *raft.Log) error { return c.StoreLogs([]*raft.Log{log}) }

func (c countedLog) StoreLogs(logs []*raft.Log) error {
	c.library.Pass()
	began := time.Now()
	err := c.logStore.StoreLogs(logs)
	c.library.Counted.Saved(began, len(logs))
	return err
}

// What the library keeps beside the log, by these names.
var (
	currentTerm  = []byte("CurrentTerm")
	lastVoteTerm = []byte("LastVoteTerm")
	lastVoteFor  = []byte("LastVoteCand")
)

// A watchedStore tells of each new term, which the library saves before it goes by it: in the order
// in which they are saved, as several goroutines of the library's save some.
type watchedStore struct {
	raft.StableStore
	library *library
	newTerm func(uint64)
	saving  sync.Mutex
}

func (w *watchedStore) SetUint64(key []byte, value uint64) error {
	w.library.Pass()
	w.saving.Lock()
	defer w.saving.Unlock()
	began := time.Now()
	err := w.StableStore.SetUint64(key, value)
	w.library.Counted.Saved(began, 0)
	if err == nil && string(key) == string(currentTerm) {
		w.newTerm(value)
	}
	return err
}

func (w *watchedStore) Set(key, value []byte) error {
	w.library.Pass()
	began := time.Now()
	err := w.StableStore.Set(key, value)
	w.library.Counted.Saved(began, 0)
	return err
}

// closing closes a store after an error, if it is one to be closed.
func closing(err error, store any) error {
	if closer, ok := store.(io.Closer); ok {
		err = errors.Join(err, closer.Close())
	}
	return err
}
