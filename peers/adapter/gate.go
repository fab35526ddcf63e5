package adapter

import (
	"sync"
	"sync/atomic"
)

// A Gate holds up a node that hangs: whoever does something for it that shows outside, or hears from
// outside, passes first. Any goroutine may call its methods.
type Gate struct {
	shut atomic.Bool
	mu   sync.Mutex
	open sync.Cond
}

// NewGate returns an open one.
func NewGate() *Gate {
	g := &Gate{}
	g.open.L = &g.mu
	return g
}

// Pass waits until the gate is open.
func (g *Gate) Pass() {
	if !g.shut.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut.Load() {
		g.open.Wait()
	}
}

// Shut lets nobody pass.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut.Store(true)
}

// Open lets everybody pass.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut.Store(false)
	g.open.Broadcast()
}
