package host

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// patience is how long a workload waits for a cluster to settle, and for a leader's answer.
const patience = 30 * time.Second

var errStopped = raft.Errorf(raft.Unavailable, "the cluster was stopped")

// A control is a running cluster as its operator sees it, who leads above all.
//
// Its context ends with the cluster, so that whoever waits for the cluster can end too.
type control struct {
	Cluster
	config   lives.Config
	settings raft.Settings
	seed     uint64
	running  context.Context
	cancel   context.CancelCauseFunc

	working sync.WaitGroup // the workload, and what else takes its time
	busy    atomic.Bool    // with a workload

	// Held while a member comes or goes, and for reading while an operation names one.
	membership sync.RWMutex
	left       chan struct{} // holds one token while members are to be ended

	mu      sync.Mutex
	nodes   []raft.NodeID // in ascending order; replaced, never changed
	changed chan struct{} // closed at the next role change
	roles   map[raft.NodeID]lives.RoleChange
	joining map[raft.NodeID]bool // started, and not known to be members yet
	leaving map[raft.NodeID]bool // members no more, and not ended yet
	asOf    int                  // the index as of which the members are known
	history []lives.RoleChange   // while a workload records it
}

// startControl starts a cluster of that model; events hears what it tells.
func startControl(model Model, config lives.Config, events lives.Events) (*control, error) {
	nodes, err := membersIn(config)
	if err != nil {
		return nil, err
	}
	c := &control{
		config:   config,
		settings: config.Settings,
		nodes:    nodes,
		seed:     config.Seed,
		changed:  make(chan struct{}),
		roles:    map[raft.NodeID]lives.RoleChange{},
		joining:  map[raft.NodeID]bool{},
		leaving:  map[raft.NodeID]bool{},
		left:     make(chan struct{}, 1),
	}
	c.running, c.cancel = context.WithCancelCause(context.Background())
	announce := events.RoleChanged
	events.RoleChanged = func(change lives.RoleChange) {
		c.note(change)
		announce(change)
	}
	events.MembersCommitted = c.noteMembers
	if c.Cluster, err = model.Start(config, nodes, events); err != nil {
		c.cancel(errStopped)
		return nil, err
	}
	c.working.Go(c.endThoseWhoLeave)
	return c, nil
}

func (c *control) note(change lives.RoleChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roles[change.Node] = change
	if c.history != nil {
		c.history = append(c.history, change)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// members are the nodes of the cluster.
func (c *control) members() []raft.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes
}

// role is what a node last said of itself.
func (c *control) role(node raft.NodeID) lives.RoleChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roles[node]
}

// asked is who is to answer a client that asked a node, or with 0 the present leader.
func (c *control) asked(node raft.NodeID) (raft.NodeID, error) {
	if node == 0 {
		node = c.leader()
	}
	if node == 0 {
		return 0, raft.Errorf(raft.Unavailable, "no leader is known; wait for an election")
	}
	return node, nil
}

// leader is the node that leads, 0 if there is none.
func (c *control) leader() raft.NodeID { return c.leading().Node }

// leading is what the running node said that last said it leads, the highest term's if there
// are two, and the zero value if there is none.
func (c *control) leading() (leader lives.RoleChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, role := range c.roles {
		leads := role.Role == raft.Leader && c.Lifecycle(id) == lives.Running
		if leads && role.Term >= leader.Term {
			leader = role
		}
	}
	return leader
}

// An agreement is that nodes follow one leader in one term.
type agreement struct {
	leader  lives.RoleChange
	sinceNs int64 // when the last of them came to it
}

// agreed is what the nodes agree on; false while they do not, or know no leader.
func (c *control) agreed(nodes []raft.NodeID) (a agreement, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(nodes) == 0 {
		return a, false
	}
	a.leader = c.roles[c.roles[nodes[0]].Leader]
	for _, id := range nodes {
		role := c.roles[id]
		if role.Leader != a.leader.Node || role.Term != a.leader.Term {
			return agreement{}, false
		}
		a.sinceNs = max(a.sinceNs, role.AtNs)
	}
	return a, a.leader.Role == raft.Leader
}

// await waits until a role change has made the condition true, and fails with ctx's cause.
func (c *control) await(ctx context.Context, condition func() bool) error {
	for {
		changed := c.nextChange()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *control) nextChange() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// awaitSettled waits until all nodes run and follow one leader with the same log, and returns
// that leader.
func (c *control) awaitSettled(limit time.Duration) (leader lives.RoleChange, err error) {
	ctx, stop := context.WithTimeoutCause(c.running, limit,
		raft.Errorf(raft.Unavailable, "the cluster did not settle on a leader"))
	defer stop()
	for {
		changed := c.nextChange()
		nodes := c.members()
		if agreement, ok := c.agreed(nodes); ok && len(c.up()) == len(nodes) && c.sameLog(nodes) {
			return agreement.leader, nil
		}
		// A heartbeat brings the followers up to date, and announces nothing.
		select {
		case <-changed:
		case <-time.After(c.settings.Heartbeat):
		case <-ctx.Done():
			return leader, context.Cause(ctx)
		}
	}
}

// sameLog reports whether the nodes' logs, and what they know to be committed, end at the
// same index.
func (c *control) sameLog(nodes []raft.NodeID) bool {
	type end struct{ last, commit int }
	ends := map[end]bool{}
	for _, id := range nodes {
		status := c.Status(id)
		ends[end{status.LastIndex, status.CommitIndex}] = true
	}
	return len(ends) == 1
}

// awaitTold returns when all that the nodes have told of themselves so far has been heard.
func (c *control) awaitTold() {
	for _, id := range c.up() {
		c.Counters(id)
	}
}

// up are the nodes that run.
func (c *control) up() []raft.NodeID {
	var up []raft.NodeID
	for _, id := range c.members() {
		if c.Lifecycle(id) == lives.Running {
			up = append(up, id)
		}
	}
	return up
}

// work runs a workload beside all else, and refuses a second one.
func (c *control) work(workload func()) error {
	if !c.busy.CompareAndSwap(false, true) {
		return badRequest("a workload is running; one at a time")
	}
	c.working.Go(workload)
	return nil
}

// stop ends the cluster, and before that whatever waits for it.
func (c *control) stop() {
	c.cancel(errStopped)
	c.working.Wait()
	c.Stop()
}
