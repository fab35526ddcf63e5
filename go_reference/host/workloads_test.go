package host

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"raftmark/raft"
	"raftmark/workload"
)

// slow lets messages take a millisecond, or simulated time would not pass under load.
const slow = `"delay_ms": [1, 1]`

func sumOf(counts [][2]int64) (total int64) {
	for _, count := range counts {
		total += count[1]
	}
	return total
}

func sumOfSerials(acknowledged []uint64) (total int64) {
	for _, serial := range acknowledged {
		total += int64(serial)
	}
	return total
}

// inTheLog counts each session's serials in a node's log, and checks that they rise.
func (c *caller) inTheLog(node int) map[string]uint64 {
	c.t.Helper()
	last := map[string]uint64{}
	for next := 1; ; {
		var page logPage
		c.call("log", fmt.Sprintf(`"node": %d, "from": %d`, node, next), &page)
		for _, entry := range page.Entries {
			next = entry.Index + 1
			if client := entry.Command.Client; client != nil {
				if entry.Command.Serial > last[*client]+1 {
					c.t.Errorf("serial %d of %s follows %d", entry.Command.Serial, *client, last[*client])
				}
				last[*client] = max(last[*client], entry.Command.Serial)
			}
		}
		if len(page.Entries) == 0 || next > page.LastIndex {
			return last
		}
	}
}

func (c *caller) allAlive() {
	c.t.Helper()
	time.Sleep(10 * time.Second)
	applied := map[int]bool{}
	for _, node := range c.status() {
		if !node.Alive {
			c.t.Fatalf("node %d was left crashed", node.ID)
		}
		applied[*node.Apply] = true
	}
	if len(applied) != 1 {
		c.t.Errorf("the nodes applied different things: %v", applied)
	}
}

func TestThoseWhoLagAreNotElected(t *testing.T) {
	for _, faults := range []string{"", slow} {
		session(t, func(c *caller) {
			c.start(`"nodes": 5`)
			c.do("links", faults)
			var result electionsResult
			c.call("run", `"workload": {"name": "election", "elections": 15, "lagging": 2}`, &result)
			drawn := map[raft.NodeID]bool{}
			for _, e := range result.Elections {
				if len(e.Lagging) != 2 || !slices.IsSorted(e.Lagging) || slices.Contains(e.Lagging, e.Crashed) || slices.Contains(e.Lagging, *e.Leader) {
					t.Errorf("%+v", e)
				}
				for _, node := range e.Lagging {
					drawn[node] = true
				}
			}
			if len(result.Elections) != 15 || len(drawn) != 5 {
				t.Errorf("%d elections, in which %v lagged", len(result.Elections), drawn)
			}
			c.allAlive()
		})
	}
}

func TestTheOpenLoopKeepsItsPace(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start(`"snapshot_entries": 0`)
		c.do("links", slow)
		var result workload.OfferedResult
		c.call("run", `"workload": {"name": "offered", "rate": 500, "sessions": 7, "warmup_s": 0.1, "duration_s": 1.05}`, &result)
		if result.Sent != 525 || result.Commands != 525 || result.Saturated || result.Rate != 500 || int(result.Node) != leader || result.Client == "" {
			t.Errorf("%+v", result)
		}
		// There is no clock but the simulated one: a message there and one back, never late.
		if sumOf(result.LatencyNs) != 525 || result.LatencyNs[0][0] != 1998848 || !slices.Equal(result.LatencyNs, result.ServiceNs) {
			t.Errorf("latencies %v, service times %v", result.LatencyNs, result.ServiceNs)
		}
		if result.EndedNs-result.StartedNs != 1.05e9 || len(result.Slices) != 11 || result.Slices[10][0] != 1.05e9 || result.Slices[3][1] != 50 {
			t.Errorf("slices %v", result.Slices)
		}
		if result.Counters.Entries != 525 {
			t.Errorf("counters %+v", result.Counters)
		}
		last := c.inTheLog(leader)
		for i, serial := range result.Acknowledged {
			if want := uint64((575 + 6 - i) / 7); serial != want || last[fmt.Sprintf("client-%d", i)] != want {
				t.Errorf("session %d: %d acknowledged, %d in the log, want %d", i, serial, last[fmt.Sprintf("client-%d", i)], want)
			}
		}
	})
}

func TestAStallIsChargedToAllThatItDelays(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"election_timeout_ms": [1000, 2000]`)
		c.do("links", `"delay_ms": [150, 150]`)
		var result workload.OfferedResult
		c.call("run", `"workload": {"name": "offered", "rate": 1000, "limit": 100, "warmup_s": 0, "duration_s": 1}`, &result)
		if !result.Saturated || result.Sent != 100 || result.Commands != 100 {
			t.Errorf("%+v", result)
		}
		c.call("run", `"workload": {"name": "offered", "rate": 1000, "limit": 10, "session": "b", "warmup_s": 1, "duration_s": 1}`, &result)
		if !result.Saturated || result.Sent != 0 || result.Commands != 0 || len(result.LatencyNs) != 0 {
			t.Errorf("given up in the warm-up: %+v", result)
		}
	})
}

func TestAHungLeaderDelaysWhatIsOffered(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start(`"election_timeout_ms": [1000, 2000]`)
		c.do("links", slow)
		id := c.request("run", `"workload": {"name": "offered", "rate": 1000, "warmup_s": 0, "duration_s": 1}`)
		time.Sleep(400 * time.Millisecond)
		c.do("pause", fmt.Sprintf(`"node": %d`, leader))
		time.Sleep(200 * time.Millisecond)
		c.do("resume", fmt.Sprintf(`"node": %d`, leader))
		var result workload.OfferedResult
		c.await(id, &result)
		var delayed int64
		for _, bucket := range result.LatencyNs {
			if bucket[0] > 100e6 {
				delayed += bucket[1]
			}
		}
		if result.Commands != 1000 || delayed < 95 || delayed > 110 {
			t.Errorf("%d of %d commands waited for half the time or longer", delayed, result.Commands)
		}
	})
}

func TestTheOpenLoopFailsWithItsLeader(t *testing.T) {
	for _, fault := range []string{"pause", "crash"} {
		session(t, func(c *caller) {
			leader := c.start("")
			id := c.request("run", `"workload": {"name": "offered", "duration_s": 3600}`)
			time.Sleep(time.Second)
			c.request(fault, fmt.Sprintf(`"node": %d`, leader))
			c.wantRefused(raft.Unavailable, id)
		})
	}
}

func TestClientsOutliveTheirLeader(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start(`"snapshot_entries": 0`)
		c.do("links", slow)
		var result failoverResult
		c.call("run", `"workload": {"name": "failover", "outstanding": 4, "before_s": 0.2, "after_s": 1}`, &result)
		if int(result.Crashed) != leader || *result.Leader == result.Crashed || result.Retries < 4 || len(result.Acknowledged) != 4 {
			t.Errorf("%+v", result)
		}
		if !(result.CrashNs <= *result.CandidateNs && *result.CandidateNs <= *result.LeaderNs && *result.FirstNs <= result.EndedNs) {
			t.Errorf("the order of events: %+v", result)
		}
		// A heartbeat's interval at most until the crash, and an election meanwhile.
		if length := result.EndedNs - result.StartedNs; length < 1.2e9 || length > 1.25e9 || len(result.Slices) != int((length+1e7-1)/1e7) {
			t.Errorf("%d slices of %d ns", len(result.Slices), length)
		}
		if result.Slices[60][1] == 0 && result.Slices[119][1] == 0 || result.Slices[30][1] != 0 {
			t.Errorf("slices %v", result.Slices)
		}
		if sumOf(result.Slices) != result.Commands || sumOfSerials(result.Acknowledged) < result.Commands {
			t.Errorf("%+v", result)
		}
		c.allAlive()
		last := c.inTheLog(leader)
		for i, serial := range result.Acknowledged {
			if serial < 1 || last[fmt.Sprintf("client-%d", i)] < serial {
				t.Errorf("client %d: %d acknowledged, %d in the log", i, serial, last[fmt.Sprintf("client-%d", i)])
			}
		}
	})
}

func TestAFailoverWithoutASuccessor(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"election_timeout_ms": [1000, 2000]`)
		c.do("links", slow)
		var result failoverResult
		c.call("run", `"workload": {"name": "failover", "before_s": 0.1, "after_s": 0.2}`, &result)
		if result.Leader != nil || result.CandidateNs != nil || result.LeaderNs != nil || result.FirstNs != nil || result.Commands == 0 {
			t.Errorf("%+v", result)
		}
		c.allAlive()
	})
}

func TestAFailoverThatWasDisturbedFails(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		c.do("links", slow)
		id := c.request("run", `"workload": {"name": "failover", "outstanding": 1, "before_s": 1, "after_s": 1}`)
		time.Sleep(time.Second / 2)
		c.do("transfer", fmt.Sprintf(`"node": %d`, 1+leader%3))
		c.wantRefused(raft.Unavailable, id)
		c.allAlive()
	})
}

func TestAFollowerCatchesUp(t *testing.T) {
	for _, by := range []string{"entries", "snapshot"} {
		session(t, func(c *caller) {
			leader := c.start(`"snapshot_entries": 0`)
			var result catchUpResult
			c.call("run", fmt.Sprintf(`"workload": {"name": "catch_up", "entries": 3000, "by": %q}`, by), &result)
			if int(result.Leader) != leader || int(result.Node) == leader || result.By != by || sumOfSerials(result.Acknowledged) != 3000 {
				t.Errorf("%+v", result)
			}
			if result.RestartNs > result.RunningNs || result.RunningNs > *result.CaughtUpNs {
				t.Errorf("%+v", result)
			}
			if result.Counters.Entries != 0 || result.Counters.Messages == 0 {
				t.Errorf("counters %+v", result.Counters)
			}
			status := c.status()
			if *status[result.Node-1].Apply < 3000 || (*status[result.Node-1].Snapshot > 0) != (by == "snapshot") {
				t.Errorf("it is %+v", status[result.Node-1])
			}
			c.allAlive()
		})
	}
}

func TestAFollowerThatDoesNotCatchUp(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("links", `"delay_ms": [10, 10]`)
		var result catchUpResult
		c.call("run", `"workload": {"name": "catch_up", "entries": 100, "cap_s": 0.005}`, &result)
		if result.CaughtUpNs != nil {
			t.Errorf("%+v", result)
		}
		c.allAlive()
	})
}

func TestCommandsThatNobodyCommitsEndTheRun(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("links", `"delay_ms": [20, 20]`)
		id := c.request("run", `"workload": {"name": "catch_up", "entries": 1000000}`)
		time.Sleep(time.Second)
		c.do("partition", `"groups": []`)
		c.wantRefused(raft.Unavailable, id)
		c.do("heal", "")
		c.allAlive()
	})
}

func TestAStableClusterHoldsNoElection(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("links", slow)
		var result stabilityResult
		c.call("run", `"workload": {"name": "stability", "outstanding": 3, "duration_s": 1}`, &result)
		if result.Candidacies != 0 || result.Terms != 0 || result.Commands < 3*300 || sumOfSerials(result.Acknowledged) < result.Commands || result.EndedNs-result.StartedNs != 1e9 {
			t.Errorf("%+v", result)
		}
		c.call("run", `"workload": {"name": "stability", "duration_s": 1}`, &result)
		if result.Commands != 0 || len(result.Acknowledged) != 0 {
			t.Errorf("idle: %+v", result)
		}
	})
}

func TestNeedlessElectionsAreCounted(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("links", `"drop": 0.9`)
		var result stabilityResult
		c.call("run", `"workload": {"name": "stability", "outstanding": 2, "duration_s": 10}`, &result)
		if result.Candidacies < result.Terms || result.Terms < 1 {
			t.Errorf("%+v", result)
		}
	})
}

func TestAWorkloadEndsWithTheCluster(t *testing.T) {
	for _, fields := range []string{
		`"name": "offered", "duration_s": 3600`, `"name": "failover", "before_s": 3600`,
		`"name": "catch_up", "entries": 1000000`, `"name": "stability", "outstanding": 4, "duration_s": 3600`,
	} {
		session(t, func(c *caller) {
			c.start("")
			c.do("links", `"delay_ms": [20, 20]`)
			id := c.request("run", `"workload": {`+fields+`}`)
			time.Sleep(time.Second)
			c.do("stop", "")
			c.wantRefused(raft.Unavailable, id)
		})
	}
}

func TestWorkloadsThatAreNone(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"nodes": 3`)
		for _, fields := range []string{
			`"name": "offered", "rate": 0.5`, `"name": "offered", "limit": 0`, `"name": "offered", "outstanding": 1`,
			`"name": "offered", "duration_s": 0`, `"name": "offered", "sessions": 4097`, `"name": "failover", "before_s": 0`,
			`"name": "failover", "outstanding": 0`, `"name": "catch_up", "by": "tape"`, `"name": "catch_up", "entries": 0`,
			`"name": "stability", "outstanding": -1`, `"name": "stability", "duration_s": 0.01`, `"name": "election", "lagging": 2`,
		} {
			c.refused(raft.BadRequest, "run", `"workload": {`+fields+`}`)
		}
		c.do("stop", "")
		c.start(`"nodes": 2`)
		for _, name := range []string{"election", "failover", "catch_up"} {
			c.refused(raft.BadRequest, "run", fmt.Sprintf(`"workload": {"name": %q}`, name))
		}
	})
}
