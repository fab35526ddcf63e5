package main

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	core "raftmark/raft"
)

var errCut = errors.New("the link is cut")

// A transport is the library's own, over links that may be cut, lossy or slow: then a request, or
// the answer to it, does not come, or late. It names servers by their ids alone.
type transport struct {
	*raft.NetworkTransport
	library *library

	mu        sync.Mutex
	pipelines map[*pipeline]bool // nil once it has ended
}

// hangUp ends all pipelines. The library ends none while it waits for room in it, as it may for ever:
// whoever made room has left at the first answer that failed.
func (t *transport) hangUp() {
	t.mu.Lock()
	pipelines := t.pipelines
	t.pipelines = nil
	t.mu.Unlock()
	for pipeline := range pipelines {
		pipeline.AppendPipeline.Close()
	}
}

// LocalAddr implements raft.Transport.
func (t *transport) LocalAddr() raft.ServerAddress {
	return raft.ServerAddress(serverID(t.library.Node))
}

// EncodePeer implements raft.Transport.
func (t *transport) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte { return []byte(id) }

// ask does a request to a server as the links have it.
func (t *transport) ask(id raft.ServerID, request func() error) error {
	to := nodeOf(string(id))
	if err := t.pass(t.library.Node, to); err != nil {
		return err
	}
	t.library.Counted.Messages.Add(1)
	if err := request(); err != nil {
		return err
	}
	return t.pass(to, t.library.Node)
}

func (t *transport) pass(from, to core.NodeID) error {
	delay, arrives := t.library.Passage(from, to)
	if !arrives {
		return errCut
	}
	if delay > 0 {
		time.Sleep(delay)
	}
	return nil
}

// AppendEntries implements raft.Transport.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.ask(id, func() error { return t.NetworkTransport.AppendEntries(id, target, args, resp) })
}

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.ask(id, func() error { return t.NetworkTransport.RequestVote(id, target, args, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.ask(id, func() error { return t.NetworkTransport.RequestPreVote(id, target, args, resp) })
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.ask(id, func() error { return t.NetworkTransport.InstallSnapshot(id, target, args, resp, data) })
}

// TimeoutNow implements raft.Transport.
func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.ask(id, func() error { return t.NetworkTransport.TimeoutNow(id, target, args, resp) })
}

// AppendEntriesPipeline implements raft.Transport: over a link that is not perfect there is none, and
// the library sends one request at a time.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	if !t.library.Perfect() {
		return nil, raft.ErrPipelineReplicationNotSupported
	}
	under, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pipelines == nil {
		return nil, errors.Join(errCut, under.Close())
	}
	kept := &pipeline{under, t}
	t.pipelines[kept] = true
	return kept, nil
}

type pipeline struct {
	raft.AppendPipeline
	transport *transport
}

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.transport.mu.Lock()
	delete(p.transport.pipelines, p)
	p.transport.mu.Unlock()
	return p.AppendPipeline.Close()
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if !p.transport.library.Perfect() {
		return nil, errCut
	}
	p.transport.library.Counted.Messages.Add(1)
	return p.AppendPipeline.AppendEntries(args, resp)
}
