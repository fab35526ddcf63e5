package clients

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"raftmark/clientport"
	"raftmark/raft"
	"raftmark/serving"
)

// shortest is for how many seconds clients send, at least: no stall is to take up all of it.
const shortest = 0.5

// A node answers as it is told to, and keeps which serials of a session it has applied.
type node struct {
	*serving.Service
	mu       sync.Mutex
	applied  map[string]map[uint64]int
	outcome  func(raft.Proposal) raft.Outcome
	commands atomic.Int64
}

func open(t *testing.T, outcome func(raft.Proposal) raft.Outcome) *node {
	t.Helper()
	n := &node{applied: make(map[string]map[uint64]int), outcome: outcome}
	var err error
	n.Service, err = serving.Listen("127.0.0.1:0", serving.Config{
		Node: 1,
		Propose: func(p raft.Proposal) {
			n.commands.Add(1)
			o := n.outcome(p)
			if o.Err == nil {
				n.note(*p.Command.Client, p.Command.Serial)
			}
			p.Done(o)
		},
		Refused: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func (n *node) note(session string, serial uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.applied[session] == nil {
		n.applied[session] = make(map[uint64]int)
	}
	n.applied[session][serial]++
}

// times is how often a session's serial was applied.
func (n *node) times(session string, serial uint64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.applied[session][serial]
}

func applies(raft.Proposal) raft.Outcome { return raft.Outcome{Index: 1, Term: 1} }

func leads(id raft.NodeID) func(raft.Proposal) raft.Outcome {
	return func(raft.Proposal) raft.Outcome {
		return raft.Outcome{Err: &raft.Error{Code: raft.NotLeader, Leader: id}}
	}
}

func ran(t *testing.T, spec *Spec) (*Result, *Load, error) {
	t.Helper()
	load, err := Connect(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(load.Close)
	result, err := load.Run()
	return result, load, err
}

func TestEachClientsCommandsAreAppliedOnceAndInOrder(t *testing.T) {
	n := open(t, applies)
	spec := &Spec{
		Services: map[string]string{"1": n.Address()}, Leader: "1",
		Connections: 4, Come: 1, Flood: 1, Slow: 1, Keys: 10, Session: "s", DurationS: shortest,
	}
	result, load, err := ran(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Acknowledged) != 7 || result.Commands == 0 || result.Redirects != 0 {
		t.Errorf("%+v", result)
	}
	for i, c := range load.clients {
		for serial := uint64(1); serial <= result.Acknowledged[i]; serial++ {
			if times := n.times(c.name, serial); times != 1 {
				t.Fatalf("%s: serial %d was applied %d times", c.name, serial, times)
			}
		}
	}
	if slow := result.Acknowledged[4]; slow != 0 {
		t.Errorf("who never reads has heard of serial %d", slow)
	}
	// The end may come between a connection and its answer.
	if want := 6 + int64(result.Acknowledged[6]); result.Connects < want || result.Connects > want+1 {
		t.Errorf("%d connects, where %d commands had one each", result.Connects, result.Acknowledged[6])
	}
}

func TestClientsGoWhereTheLeaderIs(t *testing.T) {
	leader := open(t, applies)
	follower := open(t, leads(2))
	addresses := map[raft.NodeID]string{1: follower.Address(), 2: leader.Address()}
	follower.Tell(addresses)
	spec := &Spec{
		Services: map[string]string{"1": follower.Address(), "2": leader.Address()}, Leader: "1",
		Connections: 3, Keys: 10, Session: "s", DurationS: shortest,
	}
	result, _, err := ran(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	if result.Redirects != 3 || result.Connects != 6 || follower.commands.Load() != 3 {
		t.Errorf("%d redirects, %d connects, %d asked the follower",
			result.Redirects, result.Connects, follower.commands.Load())
	}
}

func TestACommandWithoutAnAnswerIsSentAgainWithItsSerial(t *testing.T) {
	var tries atomic.Int64
	n := open(t, func(p raft.Proposal) raft.Outcome {
		if tries.Add(1) <= 3 {
			return raft.Outcome{Err: &raft.Error{Code: raft.Unavailable}}
		}
		return applies(p)
	})
	spec := &Spec{
		Services: map[string]string{"1": n.Address()}, Connections: 1, Keys: 10, Session: "s", DurationS: shortest,
	}
	result, load, err := ran(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	name := load.clients[0].name
	if times := n.times(name, 1); result.Retries != 3 || times != 1 {
		t.Errorf("%d retries; serial 1 was applied %d times", result.Retries, times)
	}
}

func TestWhatIsRefusedForGoodFailsTheRun(t *testing.T) {
	n := open(t, func(raft.Proposal) raft.Outcome {
		return raft.Outcome{Err: &raft.Error{Code: raft.BadRequest, Message: "no"}}
	})
	spec := &Spec{
		Services: map[string]string{"1": n.Address()}, Connections: 2, Keys: 10, Session: "s", DurationS: shortest,
	}
	if _, _, err := ran(t, spec); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("it ends with %v", err)
	}
}

func TestARateIsSharedByAll(t *testing.T) {
	n := open(t, applies)
	spec := &Spec{
		Services: map[string]string{"1": n.Address()}, Connections: 4, Rate: 200,
		Keys: 10, Session: "s", DurationS: 0.2,
	}
	result, _, err := ran(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	for number, acknowledged := range result.Acknowledged {
		// A machine that is a second late gives the load up: then they have sent fewer, and none more.
		if acknowledged > 10 || acknowledged < 10 && !result.Saturated {
			t.Errorf("client %d has sent %d of 10", number, acknowledged)
		}
	}
}

func TestWhoCannotConnectSaysHowManyCould(t *testing.T) {
	n := open(t, applies)
	address := n.Address()
	n.Close()
	spec := &Spec{Services: map[string]string{"1": address}, Connections: 3, Keys: 1, Session: "s", DurationS: 1}
	if _, err := Connect(spec); err == nil || !strings.Contains(err.Error(), "0 of 3 clients are connected") {
		t.Errorf("it ends with %v", err)
	}
}

// A pause doubles with each try that finds nobody who leads, and begins anew after an answer.
func TestWhoFindsNobodyAsksEverMoreSeldom(t *testing.T) {
	var tries atomic.Int64
	n := open(t, func(p raft.Proposal) raft.Outcome {
		if p.Command.Serial == 1 && tries.Add(1) <= 6 {
			return raft.Outcome{Err: &raft.Error{Code: raft.Unavailable}}
		}
		return applies(p)
	})
	spec := &Spec{Services: map[string]string{"1": n.Address()}, Connections: 1, Keys: 10, Session: "s"}
	c := spec.clients(new(counts))[0]
	t.Cleanup(c.hangUp)
	command := c.Next()
	c.frame = clientport.AppendCommand(nil, command)
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 80} {
		if c.pause != want*time.Millisecond {
			t.Errorf("the pause is %v, not %d ms", c.pause, want)
		}
		if answer, err := c.ask(t.Context(), command.Serial); err != nil || answer.Code != raft.Unavailable {
			t.Fatal(answer, err)
		}
		c.goOn("", t.Context())
	}
	if err := c.do(t.Context(), command); err != nil || c.pause != firstPause {
		t.Errorf("%v; the next pause is %v", err, c.pause)
	}
}

// Who connects gives up when its time is over, whatever it waits for.
func TestConnectingEndsWithItsTime(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	spec := &Spec{Services: map[string]string{"1": silent.Addr().String()}, Connections: 1, Keys: 1, Session: "s"}
	c := spec.clients(new(counts))[0]
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.connect(ctx); err == nil || c.conn != nil {
		t.Errorf("it is connected: %v", err)
	}
}

func TestASpecificationIsRead(t *testing.T) {
	spec, err := Parse([]byte(`{"services": {"1": "127.0.0.1:1"}, "connections": 3, "flood": 2}`))
	if err != nil || spec.all() != 5 || spec.Payload != 64 || spec.DurationS != 2 {
		t.Errorf("%+v, %v", spec, err)
	}
	for _, wrong := range []string{
		`{}`, `{"services": {"1": "a"}, "connections": 0}`, `{"services": {"1": "a"}, "eat": 1}`,
		`{"services": {"1": "a"}, "slow": 99999}`, `{"services": {"1": "a"}, "rate": -1}`, `no`,
	} {
		if _, err := Parse([]byte(wrong)); err == nil {
			t.Errorf("%s is read", wrong)
		}
	}
}
