package proving

import (
	"context"
	"errors"
	"testing"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// Prove puts a library's nodes to all of it.
func Prove(t *testing.T, deploy Deploy) {
	for name, prove := range map[string]func(*testing.T, Deploy){
		"commits once":                commitsOnce,
		"only a leader commits":       onlyALeaderCommits,
		"a crashed leader":            crashedLeader,
		"a hung leader":               hungLeader,
		"a leader that is cut off":    leaderCutOff,
		"a leader that hands over":    handsOver,
		"goes on from disk":           goesOnFromDisk,
		"a snapshot for who lacks it": snapshotForWhoLacksIt,
		"a load":                      load,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prove(t, deploy)
		})
	}
}

func commitsOnce(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	last := c.commit(three, "a", 1, 2, 3, 3, 3)
	c.agree(last, three...)
	for _, id := range three {
		if status := c.nodes[id].Replica(id); status.CommitIndex < last || status.AppliedIndex < last {
			t.Errorf("node %d is %+v", id, status.Status)
		}
	}
	leader := c.leader(0, three...).Node
	stale := c.outcome(c.nodes[leader].Submit(leader, &raft.Command{
		Op: raft.Set, Key: "key", Value: new("late"), Client: new("a"), Serial: 1,
	}))
	if stale.Err == nil {
		t.Error("a serial that was overtaken was applied")
	}
}

func onlyALeaderCommits(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	c.again("steady leader", func() bool {
		leader := c.leader(0, three...)
		follower := others(leader.Node)[0]
		outcome := c.outcome(c.nodes[follower].Submit(follower, &raft.Command{Op: raft.Get, Key: "key"}))
		if c.leader(0, three...) != leader {
			return false
		}
		if err := raft.AsError(outcome.Err); err.Code != raft.NotLeader || err.Leader != leader.Node {
			t.Errorf("%+v", err)
		}
		return true
	})
}

func crashedLeader(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	c.commit(three, "a", 1, 2)
	first := c.leader(0, three...)
	if _, err := c.nodes[first.Node].Crash(first.Node); err != nil {
		t.Fatal(err)
	}
	if state := c.nodes[first.Node].Lifecycle(first.Node); state != lives.Crashed {
		t.Errorf("the node is %v", state)
	}
	rest := others(first.Node)
	c.leader(first.Term, rest...)
	last := c.commit(rest, "b", 1, 2)
	if err := c.nodes[first.Node].Restart(first.Node); err != nil {
		t.Fatal(err)
	}
	c.agree(last, three...)
}

func hungLeader(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	c.commit(three, "a", 1)
	first := c.leader(0, three...)
	hung := c.nodes[first.Node]
	if err := hung.Pause(first.Node); err != nil {
		t.Fatal(err)
	}
	before := hung.Status(first.Node)
	if err := hung.Pause(first.Node); raft.AsError(err).Code != raft.BadRequest {
		t.Errorf("a hung node was paused: %v", err)
	}
	rest := others(first.Node)
	c.leader(first.Term, rest...)
	last := c.commit(rest, "b", 1)
	if after := hung.Status(first.Node); after.Term != before.Term || after.LastIndex != before.LastIndex {
		t.Errorf("a hung node has moved on: %+v, %+v", before, after)
	}
	if err := hung.Resume(first.Node); err != nil {
		t.Fatal(err)
	}
	c.agree(last, three...)
	// One that hangs can crash as well.
	if err := hung.Pause(first.Node); err != nil {
		t.Fatal(err)
	}
	if _, err := hung.Crash(first.Node); err != nil {
		t.Fatal(err)
	}
	c.agree(c.commit(rest, "b", 2), rest...)
}

func leaderCutOff(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	c.commit(three, "a", 1)
	first := c.leader(0, three...)
	rest := others(first.Node)
	for _, node := range c.nodes {
		node.Partition([][]raft.NodeID{{first.Node}, rest})
	}
	lost := c.nodes[first.Node].Submit(first.Node, &raft.Command{Op: raft.Set, Key: "lost", Value: new("")})
	c.leader(first.Term, rest...)
	c.commit(rest, "b", 1)
	for _, node := range c.nodes {
		node.Partition(nil)
	}
	if outcome := c.outcome(lost); outcome.Err == nil {
		t.Error("a leader that was cut off has committed")
	}
	c.agree(c.commit(three, "b", 2), three...)
}

func handsOver(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	c.agree(c.commit(three, "a", 1), three...)
	to := others(c.leader(0, three...).Node)[0]
	c.again("leader of choice", func() bool {
		leader := c.leader(0, three...).Node
		if leader == to {
			return true
		}
		if _, err := c.nodes[leader].Transfer(leader, to); err != nil {
			t.Fatal(err)
		}
		return false
	})
}

func goesOnFromDisk(t *testing.T, deploy Deploy) {
	directory := t.TempDir()
	for _, serials := range [][]uint64{{1, 2}, {2, 3}, {3, 4}} {
		c := start(t, deploy, directory, 0)
		c.agree(c.commit(three, "a", serials...), three...)
		for id, node := range c.nodes {
			node.Leave(id)
		}
	}
}

func snapshotForWhoLacksIt(t *testing.T, deploy Deploy) {
	c := start(t, deploy, t.TempDir(), 0)
	behind := others(c.leader(0, three...).Node)[0]
	if _, err := c.nodes[behind].Crash(behind); err != nil {
		t.Fatal(err)
	}
	rest := others(behind)
	last := c.commit(rest, "a", 1, 2, 3, 4, 5, 6, 7, 8)
	c.agree(last, rest...)
	for _, id := range rest {
		snapshot, err := c.nodes[id].Compact(id)
		if err != nil || snapshot.LastIndex < last {
			t.Fatalf("node %d made no snapshot: %+v, %v", id, snapshot, err)
		}
		if status := c.nodes[id].Status(id); status.FirstIndex <= last || status.SnapshotIndex < last {
			t.Errorf("node %d still has it all: %+v", id, status)
		}
	}
	for range 2 { // It goes on from the leader's snapshot, and then from its own.
		if err := c.nodes[behind].Restart(behind); err != nil {
			t.Fatal(err)
		}
		c.agree(last, three...)
		if _, err := c.nodes[behind].Crash(behind); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, deploy Deploy) {
	c := start(t, deploy, "", 0)
	spec := workload.Replicate{
		Load:        workload.Load{Payload: 64, Keys: 10},
		Outstanding: 16, Duration: 50 * time.Millisecond, Slice: 10 * time.Millisecond,
	}
	ignore := func(float64) {}
	var result *workload.Replicated
	c.again("load", func() bool {
		spec.Session += "c"
		leader := c.leader(0, three...).Node
		var err error
		result, err = c.nodes[leader].Replicate(t.Context(), leader, spec, ignore)
		return err == nil
	})
	var acknowledged uint64
	for _, serial := range result.Acknowledged {
		acknowledged += serial
	}
	if result.Commands == 0 || acknowledged < uint64(result.Commands) || len(result.Acknowledged) != 16 {
		t.Errorf("%+v", result)
	}
	if counted := result.Counters; counted.Saves == 0 || counted.Entries == 0 || counted.Messages == 0 || *counted.Bytes == 0 {
		t.Errorf("counters %+v", counted)
	}
	ended, end := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	end(enough)
	spec.Session = "d"
	if _, err := c.nodes[result.Node].Replicate(ended, result.Node, spec, ignore); !errors.Is(err, enough) {
		t.Errorf("a load that was to end: %v", err)
	}
}
