package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"raftmark/cluster"
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
	if status.Lifecycle != cluster.Crashed && !slices.Contains(status.Configuration.Voters, to) {
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
	leader, err := c.join(node)
	if err != nil {
		return nil, err
	}
	if c.isMember(leader, node) {
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
			c.leave(node)
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
	changed := c.changeMembers(leader, raft.RemoveServer, node)
	return func(ctx context.Context) error {
		if err := changed(ctx); err != nil {
			return err
		}
		c.leave(node)
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
			return o.Err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join starts a server that is no member yet; the leader is to make it one.
func (c *control) join(node raft.NodeID) (leader raft.NodeID, err error) {
	c.membership.Lock()
	defer c.membership.Unlock()
	if slices.Contains(c.members(), node) {
		return 0, badRequest("node %d is in the cluster already", node)
	}
	if leader, err = c.asked(0); err != nil {
		return 0, err
	}
	if c.config.DataDir != "" {
		if _, err := savedIn(c.config.File(node), c.settings.Nodes); err != nil {
			return 0, err
		}
	}
	if err := c.Join(node); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.Sorted(slices.Values(append(slices.Clip(c.nodes), node)))
	return leader, nil
}

// leave ends a server that is no member.
func (c *control) leave(node raft.NodeID) {
	c.membership.Lock()
	defer c.membership.Unlock()
	c.Leave(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(slices.Clone(c.nodes), func(id raft.NodeID) bool { return id == node })
	delete(c.roles, node)
}

// isMember reports whether the leader counts a node as a voter or a learner.
func (c *control) isMember(leader, node raft.NodeID) bool {
	status := c.Status(leader)
	return status.Lifecycle != cluster.Crashed &&
		slices.Contains(status.Configuration.Members(), node)
}

// votes reports whether the leader counts a node as a voter.
func (c *control) votes(node raft.NodeID) bool {
	leader := c.leader()
	if leader == 0 {
		return false
	}
	status := c.Status(leader)
	return status.Lifecycle != cluster.Crashed && slices.Contains(status.Configuration.Voters, node)
}
