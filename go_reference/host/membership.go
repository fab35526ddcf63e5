package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// transfer lets the present leader hand over to a node, and is done when that leads.
func (c *control) transfer(to raft.NodeID) (done func(context.Context) error, err error) {
	leader, err := c.asked(0)
	if err != nil {
		return nil, err
	}
	if leader == to {
		return func(context.Context) error { return nil }, nil
	}
	term := c.role(leader).Term
	status := c.Status(leader)
	if status.Lifecycle != lives.Crashed && !slices.Contains(status.Configuration.Voters, to) {
		return nil, badRequest("node %d is no voter that node %d can hand over to", to, leader)
	}
	begun, err := c.Transfer(leader, to)
	if err != nil {
		return nil, err
	}
	if !begun {
		return nil, raft.Errorf(raft.Unavailable, "node %d leads no longer; ask again", leader)
	}
	return func(ctx context.Context) error {
		return c.await(ctx, func() bool {
			role := c.role(to)
			return role.Role == raft.Leader && role.Term > term
		})
	}, nil
}

// add starts another server, and is done when it is a voter.
func (c *control) add(node raft.NodeID) (done func(context.Context) error, err error) {
	leader, found, err := c.join(node)
	if err != nil {
		return nil, err
	}
	if found.member {
		// An earlier cluster had it already.
		return func(ctx context.Context) error { return c.awaitVoter(ctx, node) }, nil
	}
	changed := c.changeMembers(leader, raft.AddServer, node)
	return func(ctx context.Context) error {
		err := changed(ctx)
		if err == nil {
			return c.awaitVoter(ctx, node)
		}
		if failure := (*raft.Error)(nil); !errors.As(err, &failure) || failure.Code != raft.OutcomeUnknown {
			if !found.running {
				c.leave(node, true)
			}
		}
		return err
	}, nil
}

// awaitVoter waits until the leader counts a node as a voter.
func (c *control) awaitVoter(ctx context.Context, node raft.NodeID) error {
	for !c.votes(node) {
		// Its leader looks with each heartbeat whether it keeps up.
		select {
		case <-time.After(c.settings.Heartbeat):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// remove removes a server, and is done when that is committed and the server has ended.
func (c *control) remove(node raft.NodeID) (done func(context.Context) error, err error) {
	if len(c.members()) == 1 {
		return nil, badRequest("node %d is the only one", node)
	}
	leader, err := c.asked(0)
	if err != nil {
		return nil, err
	}
	if c.isJoining(node) && !c.isMember(leader, node) {
		return func(context.Context) error { c.leave(node, true); return nil }, nil
	}
	c.mu.Lock()
	delete(c.joining, node)
	c.mu.Unlock()
	changed := c.changeMembers(leader, raft.RemoveServer, node)
	return func(ctx context.Context) error {
		if err := changed(ctx); err != nil {
			return err
		}
		c.leave(node, false)
		return nil
	}, nil
}

// changeMembers asks the leader for a change of membership, and is done when that is
// committed.
func (c *control) changeMembers(
	leader raft.NodeID, change raft.Op, node raft.NodeID,
) (done func(context.Context) error) {
	outcome := c.Submit(leader, raft.MembershipCommand(change, node))
	return func(ctx context.Context) error {
		select {
		case o := <-outcome:
			if o.Err == nil && o.Result != true {
				return raft.Errorf(raft.Unavailable,
					"another change is under way, or the leader is new; try again")
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			// Whoever tells of the members as they were before is late.
			c.asOf = max(c.asOf, o.Index)
			return o.Err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// What join has found a server to be.
type found struct{ member, running bool }

// join starts a server that is no member yet; the leader is to make it one. It may run already,
// where an earlier request has not made it one.
func (c *control) join(node raft.NodeID) (leader raft.NodeID, found found, err error) {
	c.membership.Lock()
	defer c.membership.Unlock()
	if leader, err = c.asked(0); err != nil {
		return 0, found, err
	}
	found.running = slices.Contains(c.members(), node)
	if found.member = c.isMember(leader, node); found.member && found.running {
		return 0, found, badRequest("node %d is in the cluster already", node)
	}
	if c.config.DataDir != "" && !found.running {
		if _, err := savedIn(c.config.File(node), c.settings.Nodes); err != nil {
			return 0, found, err
		}
	}
	if !found.running {
		if err := c.Join(node, !found.member); err != nil {
			return 0, found, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !found.member {
		c.joining[node] = true
		delete(c.leaving, node)
	}
	if !found.running {
		c.nodes = slices.Sorted(slices.Values(append(slices.Clip(c.nodes), node)))
	}
	return leader, found, nil
}

// leave ends a server that is no member: it has come to nothing while joining, or was one.
// Nothing is left to do where that was seen to, and the next server of that id has joined.
func (c *control) leave(node raft.NodeID, joining bool) {
	c.mu.Lock()
	if c.joining[node] == joining {
		c.leaving[node] = true
	}
	c.mu.Unlock()
	c.end(node)
}

// end ends a server that is to leave: once, however many ask for it.
func (c *control) end(node raft.NodeID) {
	c.membership.Lock()
	defer c.membership.Unlock()
	c.mu.Lock()
	leaves := c.leaving[node] && slices.Contains(c.nodes, node)
	delete(c.leaving, node)
	c.mu.Unlock()
	if !leaves {
		return
	}
	c.Leave(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(slices.Clone(c.nodes), func(id raft.NodeID) bool { return id == node })
	delete(c.joining, node)
	delete(c.roles, node)
}

// noteMembers lets the servers leave that are members no more, whoever has asked for that and
// waits for it.
func (c *control) noteMembers(told raft.Membership) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if told.AsOf <= c.asOf {
		return
	}
	c.asOf = told.AsOf
	for _, id := range told.Members {
		delete(c.joining, id)
	}
	for _, id := range c.nodes {
		if !slices.Contains(told.Members, id) && !c.joining[id] {
			c.leaving[id] = true
		}
	}
	if len(c.leaving) > 0 {
		select {
		case c.left <- struct{}{}:
		default:
		}
	}
}

// endThoseWhoLeave ends servers until the cluster ends. It is not the nodes that do: they tell.
func (c *control) endThoseWhoLeave() {
	for {
		select {
		case <-c.left:
		case <-c.running.Done():
			return
		}
		c.mu.Lock()
		leaving := slices.Collect(maps.Keys(c.leaving))
		c.mu.Unlock()
		for _, id := range leaving {
			c.end(id)
		}
	}
}

// isJoining reports whether a node was started and is not known to be a member yet.
func (c *control) isJoining(node raft.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joining[node]
}

// isMember reports whether the leader counts a node as a voter or a learner.
func (c *control) isMember(leader, node raft.NodeID) bool {
	status := c.Status(leader)
	return status.Lifecycle != lives.Crashed &&
		slices.Contains(status.Configuration.Members(), node)
}

// votes reports whether the leader counts a node as a voter.
func (c *control) votes(node raft.NodeID) bool {
	leader := c.leader()
	if leader == 0 {
		return false
	}
	status := c.Status(leader)
	return status.Lifecycle != lives.Crashed && slices.Contains(status.Configuration.Voters, node)
}
