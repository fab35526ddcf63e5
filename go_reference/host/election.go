package host

import (
	"context"
	"math/rand/v2"
	"time"

	"raftmark/cluster"
	"raftmark/raft"
)

// An elections workload crashes leader after leader and times what follows (§9.3).
type elections struct {
	count int
	limit time.Duration // of one election, and of settling before it
}

// An election is how one went; what is nil did not happen within the limit.
type election struct {
	Crashed     raft.NodeID  `json:"crashed"`
	Term        uint64       `json:"term"`
	CrashNs     int64        `json:"crash_ns"`
	CandidateNs *int64       `json:"candidate_ns"`
	LeaderNs    *int64       `json:"leader_ns"`
	SettledNs   *int64       `json:"settled_ns"`
	Leader      *raft.NodeID `json:"leader"`
	LeaderTerm  *uint64      `json:"leader_term"`
	Candidacies int          `json:"candidacies"`
}

type electionsResult struct {
	Workload  string     `json:"workload"`
	Elections []election `json:"elections"`
}

// elect runs that workload. It ends early with an election that is not decided.
func (c *control) elect(spec elections, progress func(float64)) (*electionsResult, error) {
	random := rand.New(rand.NewPCG(c.seed, 0))
	result := &electionsResult{Workload: "election"}
	for len(result.Elections) < spec.count {
		leader, err := c.awaitSettled(spec.limit)
		if err != nil {
			return nil, err
		}
		election, err := c.electOnce(leader, random.Float64(), spec.limit)
		if err != nil {
			return nil, err
		}
		if election == nil {
			continue
		}
		result.Elections = append(result.Elections, *election)
		if election.Leader == nil {
			break
		}
		progress(float64(len(result.Elections)) / float64(spec.count))
	}
	return result, nil
}

// electOnce crashes the leader at a moment of its heartbeat interval, a share from [0, 1),
// right after a heartbeat has synchronised the followers' timers, and restarts it when the
// survivors have decided. The election is nil if another one had begun before the crash.
func (c *control) electOnce(
	old cluster.RoleChange, moment float64, limit time.Duration,
) (*election, error) {
	c.record(true)
	defer c.record(false)
	if c.Heartbeat(old.Node) != nil {
		return nil, nil
	}
	select {
	case <-time.After(time.Duration(moment * float64(c.settings.Heartbeat))):
	case <-c.running.Done():
		return nil, context.Cause(c.running)
	}
	crashNs, err := c.Crash(old.Node)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(c.running, limit)
	defer stop()
	survivors := c.up()
	var outcome agreement
	err = c.await(ctx, func() (decided bool) {
		outcome, decided = c.agreed(survivors)
		return decided && outcome.leader.Term > old.Term
	})
	if c.running.Err() != nil {
		return nil, context.Cause(c.running)
	}
	e := &election{Crashed: old.Node, Term: old.Term, CrashNs: crashNs}
	if c.disturbed(e) {
		return nil, c.Restart(old.Node)
	}
	if err != nil {
		return e, nil
	}
	e.LeaderNs, e.SettledNs = &outcome.leader.AtNs, &outcome.sinceNs
	e.Leader, e.LeaderTerm = &outcome.leader.Node, &outcome.leader.Term
	return e, c.Restart(old.Node)
}

// record begins or ends the history of an election.
func (c *control) record(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = nil
	if on {
		c.history = []cluster.RoleChange{}
	}
}

// disturbed adds the candidacies of the history to an election, and reports whether one of
// them came before the crash. With a pre-vote that is where a candidacy begins.
func (c *control) disturbed(e *election) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range c.history {
		if change.Role != raft.PreCandidate && change.Role != raft.Candidate {
			continue
		}
		if change.AtNs < e.CrashNs {
			return true
		}
		if change.Role == raft.Candidate {
			e.Candidacies++
		}
		if e.CandidateNs == nil || change.AtNs < *e.CandidateNs {
			e.CandidateNs = &change.AtNs
		}
	}
	return false
}
