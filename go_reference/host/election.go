package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// An elections workload crashes leader after leader and times what follows (§9.3).
type elections struct {
	count   int
	lagging int           // how many followers are to lack the last entry
	limit   time.Duration // of one election, and of settling before it
}

// An election is how one went; what is nil did not happen within the limit.
type election struct {
	Crashed     raft.NodeID   `json:"crashed"`
	Term        uint64        `json:"term"`
	CrashNs     int64         `json:"crash_ns"`
	CandidateNs *int64        `json:"candidate_ns"`
	LeaderNs    *int64        `json:"leader_ns"`
	SettledNs   *int64        `json:"settled_ns"`
	Leader      *raft.NodeID  `json:"leader"`
	LeaderTerm  *uint64       `json:"leader_term"`
	Candidacies int           `json:"candidacies"`
	Lagging     []raft.NodeID `json:"lagging"`
}

type electionsResult struct {
	Workload  string     `json:"workload"`
	Elections []election `json:"elections"`
}

// elect runs that workload. It ends early with an election that is not decided.
func (c *control) elect(spec elections, progress func(float64)) (*electionsResult, error) {
	random := raft.NewDraws(c.seed, raft.ElectionsStream)
	result := &electionsResult{Workload: "election"}
	for len(result.Elections) < spec.count {
		leader, err := c.awaitSettled(spec.limit)
		if err != nil {
			return nil, err
		}
		lagging := c.draw(random, spec.lagging, leader.Node)
		election, err := c.electOnce(leader, random.Float64(), lagging, spec.limit)
		if errors.Is(err, errDisturbed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		result.Elections = append(result.Elections, *election)
		if election.Leader == nil {
			break
		}
		progress(float64(len(result.Elections)) / float64(spec.count))
	}
	return result, nil
}

var errDisturbed = raft.Errorf(raft.Unavailable, "another election began before the leader's crash")

// draw is so many nodes at random, in ascending order, but not that one.
func (c *control) draw(random *raft.Draws, count int, but raft.NodeID) []raft.NodeID {
	var others []raft.NodeID
	for _, id := range c.members() {
		if id != but {
			others = append(others, id)
		}
	}
	return slices.Sorted(slices.Values(random.Sample(others, count)))
}

// electOnce crashes the leader, and restarts it when the survivors have decided.
func (c *control) electOnce(
	old lives.RoleChange, moment float64, lagging []raft.NodeID, limit time.Duration,
) (*election, error) {
	c.record(true)
	defer c.record(false)
	crashNs, err := c.crashBetweenHeartbeats(old.Node, moment, lagging, limit)
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
	e := &election{Crashed: old.Node, Term: old.Term, CrashNs: crashNs, Lagging: lagging}
	begun := beginnings(c.recorded())
	if begun.before(crashNs) {
		if err := c.Restart(old.Node); err != nil {
			return nil, err
		}
		return nil, errDisturbed
	}
	e.CandidateNs, e.Candidacies = begun.firstNs, len(begun.candidacies)
	if err != nil {
		return e, nil
	}
	e.LeaderNs, e.SettledNs = &outcome.leader.AtNs, &outcome.sinceNs
	e.Leader, e.LeaderTerm = &outcome.leader.Node, &outcome.leader.Term
	return e, c.Restart(old.Node)
}

// crashBetweenHeartbeats crashes the leader at a moment of its heartbeat interval, a share from
// [0, 1), right after a heartbeat has synchronised the followers' timers. Those who are lagging
// lack the last entry then, which is committed before. It fails with errDisturbed, and nothing
// was crashed, if the leader does not lead or commit any more.
func (c *control) crashBetweenHeartbeats(
	leader raft.NodeID, moment float64, lagging []raft.NodeID, limit time.Duration,
) (crashNs int64, err error) {
	if c.Heartbeat(leader) != nil {
		return 0, errDisturbed
	}
	next := time.Now().Add(c.settings.Heartbeat)
	if len(lagging) > 0 {
		var ways []raft.Way
		for _, id := range lagging {
			ways = append(ways, raft.Way{From: leader, To: id})
		}
		defer c.Cut(ways)()
		if err := c.commit(leader, limit); err != nil {
			return 0, err
		}
	}
	left := max(0, time.Until(next))
	select {
	case <-time.After(time.Duration(moment * float64(left))):
	case <-c.running.Done():
		return 0, context.Cause(c.running)
	}
	return c.Crash(leader)
}

// commit lets the leader commit a command.
func (c *control) commit(leader raft.NodeID, limit time.Duration) error {
	select {
	case outcome := <-c.Submit(leader, &raft.Command{Op: raft.Set, Key: "key-0", Value: new("x")}):
		if outcome.Err != nil {
			return errDisturbed
		}
		return nil
	case <-time.After(limit):
		return errDisturbed
	case <-c.running.Done():
		return context.Cause(c.running)
	}
}

// record begins or ends the recording of role changes.
func (c *control) record(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = nil
	if on {
		c.history = []lives.RoleChange{}
	}
}

// recorded are the role changes since the recording began.
func (c *control) recorded() []lives.RoleChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.history)
}

// Begun are the elections that began in a history.
type begun struct {
	firstNs     *int64 // when the first did, nil if none did; with a pre-vote that is where it begins
	candidacies map[candidacy]bool
}

type candidacy struct {
	node raft.NodeID
	term uint64
}

func beginnings(history []lives.RoleChange) begun {
	b := begun{candidacies: map[candidacy]bool{}}
	for _, change := range history {
		if change.Role != raft.PreCandidate && change.Role != raft.Candidate {
			continue
		}
		if change.Role == raft.Candidate {
			b.candidacies[candidacy{change.Node, change.Term}] = true
		}
		if b.firstNs == nil || change.AtNs < *b.firstNs {
			b.firstNs = &change.AtNs
		}
	}
	return b
}

// before reports whether an election began before a moment.
func (b begun) before(ns int64) bool { return b.firstNs != nil && *b.firstNs < ns }
