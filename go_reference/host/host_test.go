package host

import (
	"bytes"
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/cluster"
	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// A caller speaks the protocol to a host in a bubble of simulated time, in which elections
// take none, and a goroutine that outlives the host fails the test.
type caller struct {
	t      *testing.T
	in     *io.PipeWriter
	cancel context.CancelCauseFunc
	served chan error
	warned bytes.Buffer

	lines   chan []byte // what the host writes
	replies map[string]answer
	events  []map[string]any
	lastID  int
}

type answer struct {
	ID    *int           `json:"id"`
	OK    jsontext.Value `json:"ok"`
	Error *struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Leader  jsontext.Value `json:"leader"`
	} `json:"error"`
}

var goroutines = Model{
	Name: "go",
	Start: func(config lives.Config, nodes []raft.NodeID, events lives.Events) (Cluster, error) {
		return cluster.Start(config, nodes, events)
	},
	Deploy: OverTCP(cluster.Deploy),
}

// session lets a test talk to a host, and ends its input.
func session(t *testing.T, talk func(c *caller)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(t, goroutines)
		talk(c)
		c.in.Close()
		if err := <-c.served; err != nil {
			t.Errorf("the host failed: %v", err)
		}
		c.cancel(nil)
	})
}

// A simulatedSender keeps the simulated time.
type simulatedSender struct {
	spec  workload.Offered
	start time.Time
	sent  int64
	ended chan struct{}
}

func init() {
	startSender = func(spec workload.Offered) (workload.Sender, error) {
		return &simulatedSender{spec: spec, ended: make(chan struct{})}, nil
	}
}

func (s *simulatedSender) Begin() (int64, time.Time, error) {
	s.start = time.Now()
	return lives.Monotonic(), s.start, nil
}

func (s *simulatedSender) Next() ([]time.Duration, error) {
	due := time.Duration(float64(s.sent) * float64(time.Second) / s.spec.Rate)
	over := due >= s.spec.Length()
	select {
	case <-time.After(min(due, s.spec.Length()) - time.Since(s.start)):
	case <-s.ended:
		return nil, os.ErrClosed
	}
	if over {
		return nil, nil
	}
	s.sent++
	return []time.Duration{due}, nil
}

func (s *simulatedSender) End() time.Duration {
	close(s.ended)
	return time.Millisecond
}

func newCaller(t *testing.T, model Model) *caller {
	return callerOf(t, func(ctx context.Context, in io.Reader, out, warn io.Writer) error {
		return Serve(ctx, model, in, out, warn)
	})
}

func callerOf(t *testing.T, serve func(context.Context, io.Reader, io.Writer, io.Writer) error) *caller {
	hostIn, in := io.Pipe()
	out, hostOut := io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &caller{
		t: t, in: in, cancel: cancel, served: make(chan error, 1),
		lines: make(chan []byte, 1000), replies: map[string]answer{},
	}
	go func() {
		defer hostOut.Close()
		defer hostIn.Close()
		c.served <- serve(ctx, hostIn, hostOut, &c.warned)
	}()
	go func() {
		defer close(c.lines)
		lines := newLineReader(out)
		for {
			line, err := lines.next()
			if err != nil {
				return
			}
			c.lines <- bytes.Clone(line)
		}
	}()
	return c
}

func (c *caller) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// request sends a request made of the op and the text of its fields, and returns its id.
func (c *caller) request(op, fields string) int {
	c.t.Helper()
	c.lastID++
	if fields != "" {
		fields = ", " + fields
	}
	c.send(fmt.Sprintf(`{"id": %d, "op": %q%s}`, c.lastID, op, fields))
	return c.lastID
}

// reply waits for the reply to a request, "null" for one whose id was not known.
func (c *caller) reply(id any) answer {
	c.t.Helper()
	key := fmt.Sprint(id)
	for {
		if reply, ok := c.replies[key]; ok {
			delete(c.replies, key)
			return reply
		}
		line, ok := <-c.lines
		if !ok {
			c.t.Fatalf("no reply to %v", id)
		}
		c.take(line)
	}
}

func (c *caller) take(line []byte) {
	c.t.Helper()
	var event map[string]any
	if err := json.Unmarshal(line, &event); err != nil {
		c.t.Fatalf("%v: %s", err, line)
	}
	if _, ok := event["event"]; ok {
		c.events = append(c.events, event)
		return
	}
	var reply answer
	if err := json.Unmarshal(line, &reply, json.RejectUnknownMembers(true)); err != nil {
		c.t.Fatalf("%v: %s", err, line)
	}
	key := "null"
	if reply.ID != nil {
		key = fmt.Sprint(*reply.ID)
	}
	if (reply.OK == nil) == (reply.Error == nil) {
		c.t.Fatalf("neither answer nor error, or both: %s", line)
	}
	c.replies[key] = reply
}

// call returns the answer to a request, as the value that result points to.
func (c *caller) call(op, fields string, result any) {
	c.t.Helper()
	c.await(c.request(op, fields), result)
}

func (c *caller) await(id int, result any) {
	c.t.Helper()
	reply := c.reply(id)
	if reply.Error != nil {
		c.t.Fatalf("refused: %s", reply.Error.Message)
	}
	if err := json.Unmarshal(reply.OK, result, json.RejectUnknownMembers(true)); err != nil {
		c.t.Fatalf("%v: %s", err, reply.OK)
	}
}

// do is a call that answers nothing.
func (c *caller) do(op, fields string) {
	c.t.Helper()
	c.call(op, fields, &struct{}{})
}

func (c *caller) refused(code raft.Code, op, fields string) answer {
	c.t.Helper()
	return c.wantRefused(code, c.request(op, fields))
}

func (c *caller) wantRefused(code raft.Code, id any) answer {
	c.t.Helper()
	reply := c.reply(id)
	if reply.Error == nil || reply.Error.Code != string(code) || reply.Error.Message == "" {
		c.t.Errorf("request %v was answered %s %+v, not refused with %s", id, reply.OK, reply.Error, code)
	}
	return reply
}

// start starts a cluster, and waits for its leader.
func (c *caller) start(fields string) (leader int) {
	c.t.Helper()
	c.call("start", fields, &struct {
		Nodes []int `json:"nodes"`
	}{})
	time.Sleep(10 * time.Second)
	for _, node := range c.status() {
		if *node.Role == "leader" {
			return node.ID
		}
	}
	c.t.Fatal("nobody leads")
	return 0
}

type statusOfNode struct {
	ID       int            `json:"id"`
	Alive    bool           `json:"alive"`
	Paused   bool           `json:"paused"`
	Role     *string        `json:"role"`
	Term     *int           `json:"term"`
	Leader   *int           `json:"leader"`
	Voted    *int           `json:"voted_for"`
	Last     *int           `json:"last_index"`
	Commit   *int           `json:"commit_index"`
	Apply    *int           `json:"applied_index"`
	First    *int           `json:"first_index"`
	Snapshot *int           `json:"snapshot_index"`
	Voters   *[]int         `json:"voters"`
	Learners *[]int         `json:"learners"`
	Lost     *[]lostEntries `json:"lost_entries"`
	Drawn    *int64         `json:"election_timeout_ns"`
	State    *string        `json:"state_hash"`
	Log      *string        `json:"log_hash"`
}

func (c *caller) status() []statusOfNode {
	c.t.Helper()
	var status struct {
		Nodes []statusOfNode `json:"nodes"`
	}
	c.call("status", "", &status)
	return status.Nodes
}

type outcome struct {
	Index  int `json:"index"`
	Term   int `json:"term"`
	Result any `json:"result"`
}

func TestAnIntroduction(t *testing.T) {
	session(t, func(c *caller) {
		var hello struct {
			Contender, Language string
			Protocol            int
			Runtime             struct {
				Name, Version string
				Gomaxprocs    int
			}
			Features []string
		}
		reply := c.reply(c.request("hello", ""))
		if err := json.Unmarshal(reply.OK, &hello, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if hello.Contender != "go" || hello.Protocol != 1 || hello.Runtime.Name != "go" || hello.Runtime.Gomaxprocs < 1 {
			t.Errorf("%+v", hello)
		}
	})
}

func TestACommandIsAppliedAndShown(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start(`"nodes": 3`)
		var set, get, cas outcome
		c.call("submit", `"command": {"op": "set", "key": "k", "value": "é"}`, &set)
		c.call("submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}`, leader), &get)
		c.call("submit", `"client": "anna", "serial": 3, "command": {"op": "cas", "key": "k", "expect": null, "value": ""}`, &cas)
		if set.Result != nil || get.Result != "é" || cas.Result != false || set.Index != 2 || cas.Index != 4 {
			t.Errorf("%+v %+v %+v", set, get, cas)
		}
		var log struct {
			Entries []jsontext.Value `json:"entries"`
			Last    int              `json:"last_index"`
			Commit  int              `json:"commit_index"`
		}
		c.call("log", fmt.Sprintf(`"node": %d`, leader), &log)
		want := []string{
			fmt.Sprintf(`{"index":1,"term":%d,"command":{"op":"noop"}}`, set.Term),
			fmt.Sprintf(`{"index":2,"term":%d,"command":{"op":"set","key":"k","value":"é"}}`, set.Term),
			fmt.Sprintf(`{"index":3,"term":%d,"command":{"op":"get","key":"k"}}`, set.Term),
			fmt.Sprintf(`{"index":4,"term":%d,"command":{"op":"cas","key":"k","expect":null,"value":"","client":"anna","serial":3}}`, set.Term),
		}
		if got := fmt.Sprintf("%s", log.Entries); got != fmt.Sprint(want) || log.Last != 4 || log.Commit != 4 {
			t.Errorf("the log is\n%s, want\n%s", got, want)
		}
		c.call("log", fmt.Sprintf(`"node": %d, "from": 2, "to": 3`, leader), &log)
		if len(log.Entries) != 2 {
			t.Errorf("from 2 to 3 are %s", log.Entries)
		}
	})
}

func TestEventsTellOfRoles(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		for _, event := range c.events {
			if event["event"] == "role" && event["role"] == "leader" {
				if event["node"] != float64(leader) || event["leader"] != float64(leader) || event["at_ns"].(float64) <= 0 {
					t.Errorf("%v", event)
				}
				return
			}
		}
		t.Errorf("the leader was not announced: %v", c.events)
	})
}

func TestRefusalsOfCommands(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		follower := 1 + leader%3
		reply := c.refused(raft.NotLeader, "submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}`, follower))
		if got := string(reply.Error.Leader); got != fmt.Sprint(leader) {
			t.Errorf("it named %s for the leader", got)
		}
		c.do("partition", fmt.Sprintf(`"groups": [[%d]]`, leader))
		c.refused(raft.OutcomeUnknown, "submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}, "timeout_ms": 1.5`, leader))
		c.do("pause", fmt.Sprintf(`"node": %d`, leader))
		c.refused(raft.Unavailable, "submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}`, leader))
		time.Sleep(10 * time.Second)
		reply = c.refused(raft.NotLeader, "submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}`, follower))
		if got := string(reply.Error.Leader); got != "null" {
			t.Errorf("cut off, it named %s for the leader", got)
		}
		c.refused(raft.Unavailable, "submit", `"command": {"op": "get", "key": "k"}`)
		if status := c.status()[leader-1]; !status.Paused || !status.Alive || *status.Role != "leader" {
			t.Errorf("the paused node is %+v", status)
		}
		c.call("crash", fmt.Sprintf(`"node": %d`, leader), &struct {
			AtNs int `json:"at_ns"`
		}{})
		if got, want := c.status()[leader-1], (statusOfNode{ID: leader}); got != want {
			t.Errorf("the crashed node is %+v", got)
		}
		c.refused(raft.BadRequest, "resume", fmt.Sprintf(`"node": %d`, leader))
	})
}

func TestARetryIsAnsweredTwiceAndAppliedOnce(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		const cas = `"client": "c", "serial": 2, "command": {"op": "cas", "key": "k", "expect": null, "value": "v"}`
		for range 2 {
			var got outcome
			if c.call("submit", cas, &got); got.Result != true {
				t.Errorf("%+v", got)
			}
		}
		c.refused(raft.BadRequest, "submit", strings.Replace(cas, "2", "1", 1))
	})
}

func TestWithoutAClusterNothingIsAvailable(t *testing.T) {
	session(t, func(c *caller) {
		for op, fields := range map[string]string{
			"status": "", "submit": `"command": {"op": "get", "key": "k"}`, "read": `"key": "k"`, "log": `"node": 9`,
			"crash": `"node": 1`, "restart": `"node": 1`, "pause": `"node": 1`, "resume": `"node": 1`,
			"snapshot": `"node": 1`, "transfer": `"node": 1`, "add_server": `"node": 4`, "remove_server": `"node": 1`,
			"partition": `"groups": [[1, 9]]`, "heal": "", "links": `"drop": 1`, "run": `"workload": {"name": "election"}`,
			"stop": "",
		} {
			c.refused(raft.Unavailable, op, fields)
			c.refused(raft.BadRequest, op, strings.TrimPrefix(fields+`, "sudo": true`, ", "))
		}
		c.start(`"nodes": 1`)
		c.refused(raft.BadRequest, "start", "")
		c.do("stop", "")
		c.refused(raft.Unavailable, "status", "")
		c.start(`"nodes": 5, "election_timeout_ms": [10, 20.5], "heartbeat_ms": 2.5, "seed": 9223372036854775807`)
	})
}

func TestADirectoryThatCannotBeUsedStartsNothing(t *testing.T) {
	session(t, func(c *caller) {
		c.refused(raft.Unavailable, "start", `"storage": "disk", "data_dir": "/dev/null/data"`)
		c.refused(raft.Unavailable, "status", "")
	})
}

func TestAReadIsAnswered(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		c.call("submit", `"command": {"op": "set", "key": "k", "value": "é"}`, &outcome{})
		for fields, want := range map[string]string{
			`"key": "k"`: `{"index":2,"value":"é"}`,
			fmt.Sprintf(`"key": "k", "node": %d`, leader): `{"index":2,"value":"é"}`,
			`"key": ""`: `{"index":2,"value":null}`,
		} {
			if got := string(c.reply(c.request("read", fields)).OK); got != want {
				t.Errorf("%s was answered %s", fields, got)
			}
		}
		reply := c.refused(raft.NotLeader, "read", fmt.Sprintf(`"key": "k", "node": %d`, 1+leader%3))
		if got := string(reply.Error.Leader); got != fmt.Sprint(leader) {
			t.Errorf("it named %s for the leader", got)
		}
		c.do("partition", `"groups": []`)
		c.refused(raft.OutcomeUnknown, "read", fmt.Sprintf(`"key": "k", "node": %d, "timeout_ms": 5`, leader))
		c.do("pause", fmt.Sprintf(`"node": %d`, leader))
		c.refused(raft.Unavailable, "read", fmt.Sprintf(`"key": "k", "node": %d`, leader))
	})
}

func TestASnapshotCutsTheLog(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		for range 3 {
			c.call("submit", `"command": {"op": "set", "key": "k", "value": "v"}`, &outcome{})
		}
		node := fmt.Sprintf(`"node": %d`, leader)
		if got := string(c.reply(c.request("snapshot", node)).OK); !strings.HasPrefix(got, `{"index":4,"term":`) {
			t.Errorf("answered %s", got)
		}
		c.call("submit", `"command": {"op": "set", "key": "k", "value": "v"}`, &outcome{})
		var page logPage
		if c.call("log", node, &page); len(page.Entries) != 1 || page.Entries[0].Index != 5 || page.LastIndex != 5 {
			t.Errorf("the log is %+v", page)
		}
		if status := c.status()[leader-1]; *status.First != 5 || *status.Snapshot != 4 {
			t.Errorf("the node is %+v", status)
		}
		c.do("pause", node)
		c.refused(raft.Unavailable, "snapshot", node)
	})
}

func TestALongCompactedLogIsCutToWhatIsKept(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"nodes": 1, "snapshot_entries": 0`)
		for range maxLogEntries + 1 {
			c.request("submit", `"command": {"op": "get", "key": "k"}`)
		}
		for id := range maxLogEntries + 1 {
			c.reply(c.lastID - id)
		}
		c.reply(c.request("snapshot", `"node": 1`))
		c.call("submit", `"command": {"op": "get", "key": "k"}`, &outcome{})
		var page logPage
		if c.call("log", `"node": 1`, &page); len(page.Entries) != 1 || page.Entries[0].Index != maxLogEntries+3 {
			t.Errorf("the log is %+v", page)
		}
	})
}

func TestTheLeadershipIsHandedOver(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		next := 1 + leader%3
		for range 2 {
			c.do("transfer", fmt.Sprintf(`"node": %d`, next))
		}
		if got := c.status()[next-1]; *got.Role != "leader" {
			t.Errorf("it is %s", *got.Role)
		}
		time.Sleep(time.Second)
		c.do("partition", fmt.Sprintf(`"blocked": [[%d, %d]]`, next, leader))
		id := c.request("transfer", fmt.Sprintf(`"node": %d, "timeout_ms": 5`, leader))
		reply := c.refused(raft.NotLeader, "submit", fmt.Sprintf(`"node": %d, "command": {"op": "get", "key": "k"}`, next))
		if got := string(reply.Error.Leader); got != fmt.Sprint(leader) {
			t.Errorf("meanwhile it named %s for the leader", got)
		}
		c.wantRefused(raft.OutcomeUnknown, id)
	})
}

func TestMembersComeAndGo(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start(`"pre_vote": true, "check_quorum": true, "snapshot_entries": 10`)
		members := func(want string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			var ids []int
			for _, node := range c.status() {
				ids = append(ids, node.ID)
			}
			for _, node := range c.status() {
				if got := fmt.Sprint(*node.Voters, *node.Learners, ids); got != want {
					t.Errorf("node %d has the voters and learners, of the nodes, %s; want %s", node.ID, got, want)
				}
			}
		}
		members("[1 2 3] [] [1 2 3]")
		c.do("add_server", `"node": 7`)
		c.refused(raft.BadRequest, "add_server", `"node": 7`)
		c.refused(raft.BadRequest, "crash", `"node": 4`)
		members("[1 2 3 7] [] [1 2 3 7]")
		c.do("remove_server", fmt.Sprintf(`"node": %d`, leader))
		members(map[int]string{1: "[2 3 7] [] [2 3 7]", 2: "[1 3 7] [] [1 3 7]", 3: "[1 2 7] [] [1 2 7]"}[leader])
		c.do("add_server", fmt.Sprintf(`"node": %d`, leader))
		members("[1 2 3 7] [] [1 2 3 7]")
		var log logPage
		c.call("log", `"node": 7`, &log)
		c.call("run", `"workload": {"name": "election"}`, &electionsResult{})
	})
}

func TestAChangeThatDoesNotHappenInTime(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"nodes": 1`)
		c.refused(raft.BadRequest, "remove_server", `"node": 1`)
		c.do("links", `"drop": 1`)
		c.refused(raft.OutcomeUnknown, "add_server", `"node": 2, "timeout_ms": 300`)
		c.refused(raft.BadRequest, "add_server", `"node": 2`)
		c.do("links", "")
		time.Sleep(10 * time.Second)
		if got := c.status(); len(got) != 2 || fmt.Sprint(*got[1].Voters) != "[1 2]" {
			t.Errorf("the learner did not become a voter by itself: %+v", got)
		}
		c.do("partition", `"groups": []`)
		c.refused(raft.OutcomeUnknown, "add_server", `"node": 3, "timeout_ms": 300`)
		id := c.request("remove_server", `"node": 3, "timeout_ms": 600000`)
		c.in.Close()
		c.wantRefused(raft.Unavailable, id)
	})
}

// An addition whose entry another leader's takes the place of, while nobody waits for it.
func TestAnAdditionThatCameToNothingCanBeAskedForAgainOrTakenBack(t *testing.T) {
	for name, op := range map[string]string{"again": "add_server", "taken back": "remove_server"} {
		t.Run(name, func(t *testing.T) {
			session(t, func(c *caller) {
				leader := c.start("")
				others := slices.DeleteFunc([]int{1, 2, 3}, func(id int) bool { return id == leader })
				c.do("partition", fmt.Sprintf(`"groups": [[%d], [%d, %d]]`, leader, others[0], others[1]))
				c.refused(raft.OutcomeUnknown, "add_server", `"node": 4, "timeout_ms": 5`)
				time.Sleep(time.Second)
				c.do("heal", "")
				time.Sleep(time.Second)
				if got := c.status(); len(got) != 4 || len(*got[leader-1].Learners) > 0 {
					t.Fatalf("of %d nodes the old leader has the learners %v", len(got), *got[leader-1].Learners)
				}
				c.do(op, `"node": 4`)
				time.Sleep(time.Second)
				want := map[string]string{"again": "[1 2 3 4]", "taken back": "[1 2 3]"}[name]
				for _, node := range c.status() {
					if got := fmt.Sprint(*node.Voters); got != want {
						t.Errorf("node %d has the voters %s, want %s", node.ID, got, want)
					}
				}
				c.refused(raft.BadRequest, op, `"node": 4`) // as it is so already
			})
		})
	}
}

// The removal is committed when nobody waits for it any more.
func TestARemovalThatTimedOutEndsTheNode(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		others := slices.DeleteFunc([]int{1, 2, 3}, func(id int) bool { return id == leader })
		c.do("partition", fmt.Sprintf(`"blocked": [[%d, %d], [%d, %d]]`, others[0], leader, others[1], leader))
		c.refused(raft.OutcomeUnknown, "remove_server", fmt.Sprintf(`"node": %d, "timeout_ms": 5`, others[0]))
		if got := len(c.status()); got != 3 {
			t.Fatalf("there are %d nodes before it is committed", got)
		}
		c.do("heal", "")
		time.Sleep(time.Second)
		if got := len(c.status()); got != 2 {
			t.Errorf("there are %d nodes", got)
		}
		c.refused(raft.BadRequest, "restart", fmt.Sprintf(`"node": %d`, others[0]))
	})
}

// -- framing --

func TestLinesThatAreNoRequests(t *testing.T) {
	session(t, func(c *caller) {
		for _, line := range []string{
			`nonsense`, `[]`, `null`, `1`, `"hello"`, `{}`, `{"op": "hello"}`, `{"id": 1, "op": "hello"`,
			`{"id": 1, "op": "hello"} x`, `{"id": 1, "op": "hello"}{}`, `{"id": 1, "op": "hello",}`,
			`{"id": 1, "id": 1, "op": "hello"}`, `{"id": 1, "id": 2}`, `[["id", 1]]`, `{"id": true, "op": "hello"}`, `{"id": "1", "op": "hello"}`,
			`{"id": 1.0, "op": "hello"}`, `{"id": 1e0, "op": "hello"}`, `{"id": -1, "op": "hello"}`,
			`{"id": 9007199254740992, "op": "hello"}`, `{"id": NaN, "op": "hello"}`, `{"id": 1, "op": "hello", "x": NaN}`,
			"{\"id\": 1, \"op\": \"\xff\"}", "{\"id\": 1, \"op\": \"\xed\xa0\x80\"}", `{"id": 1, "op": "\ud800"`,
			"{\"id\": 1, \"op\": \"he\tllo\"}", `{"id": 1, "x": ` + strings.Repeat("[", 20_000) + "}", strings.Repeat("[", 500_000), strings.Repeat(`{"a":`, 100_000),
		} {
			c.send(line)
			c.wantRefused(raft.BadRequest, "null")
		}
	})
}

func TestALineThatIsRefusedKeepsItsID(t *testing.T) {
	deep := strings.Repeat(`[{"a":"]",`+"\"b\":", 20_000) + "0" + strings.Repeat("}]", 20_000)
	session(t, func(c *caller) {
		for _, line := range []string{
			`{"id": 7, "op": "\ud800"}`, `{"id": 7, "op": "start", "data_dir": "\udc00"}`, `{"\ud800": 1, "id": 7}`,
			`{"id": 7, "op": "start", "seed": ` + strings.Repeat("9", 20_000) + "}",
			`{"id": 7, "op": "hello", "x": ` + deep + "}", `{"x": ` + deep + `, "id": 7, "op": "hello"}`,
			`{"id": 7, "op": "hello", "op": "hello"}`, `{"op": {"a": 1, "a": 1}, "id": 7}`, `{"id": 7, "x": 1e400}`,
		} {
			c.send(line)
			c.wantRefused(raft.BadRequest, 7)
		}
	})
}

func TestBadRequestsChangeNothing(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		before := c.reply(c.request("status", "")).OK
		for _, request := range []struct{ op, fields string }{
			{"", ""}, {"HELLO", ""}, {"hello ", ""}, {"hello", `"x": 1`}, {"heal", `"": 1`}, {"quit", `"now": true`},
			{"crash", ""}, {"crash", `"node": 0`}, {"crash", `"node": 4`}, {"crash", `"node": true`}, {"crash", `"node": null`},
			{"crash", `"node": "1"`}, {"crash", `"node": 1.0`}, {"crash", `"Node": 1`}, {"crash", `"node": [1]`},
			{"submit", ""}, {"submit", `"command": null`}, {"submit", `"command": {}`}, {"submit", `"command": []`},
			{"submit", `"command": {"op": "noop"}`}, {"submit", `"command": {"op": "get"}`},
			{"submit", `"command": {"op": "get", "key": "k", "value": "v"}`},
			{"submit", `"command": {"op": "set", "key": "k"}`}, {"submit", `"command": {"op": "set", "key": "k", "value": null}`},
			{"submit", `"command": {"op": "set", "key": 1, "value": "v"}`},
			{"submit", `"command": {"op": "set", "key": "k", "value": "v", "client": "c"}`},
			{"submit", `"command": {"op": "cas", "key": "k", "value": "v"}`},
			{"submit", `"command": {"op": "cas", "key": "k", "value": "v", "expect": false}`},
			{"submit", `"command": {"op": "get", "key": "` + strings.Repeat("k", maxKeyBytes+1) + `"}`},
			{"submit", `"command": {"op": "set", "key": "k", "value": "` + strings.Repeat("é", maxValueBytes/2) + `v"}`},
			{"submit", `"client": "c", "command": {"op": "get", "key": "k"}`},
			{"submit", `"serial": 1, "command": {"op": "get", "key": "k"}`},
			{"submit", `"client": "c", "serial": 0, "command": {"op": "get", "key": "k"}`},
			{"submit", `"client": null, "serial": 1, "command": {"op": "get", "key": "k"}`},
			{"submit", `"timeout_ms": 0.5, "command": {"op": "get", "key": "k"}`},
			{"submit", `"timeout_ms": 1e999, "command": {"op": "get", "key": "k"}`},
			{"submit", `"timeout_ms": "5", "command": {"op": "get", "key": "k"}`},
			{"read", ""}, {"read", `"key": null`}, {"read", `"key": "k", "node": 4`}, {"read", `"key": "k", "timeout_ms": 0`},
			{"snapshot", ""}, {"snapshot", `"node": 4`}, {"transfer", `"node": 4`}, {"transfer", `"node": 1, "timeout_ms": 0`},
			{"add_server", `"node": 1`}, {"add_server", `"node": 10`}, {"add_server", `"node": 0`}, {"remove_server", `"node": 4`},
			{"log", `"node": 1, "from": 0`}, {"log", `"node": 1, "to": "2"`},
			{"partition", ""}, {"partition", `"groups": [1]`}, {"partition", `"groups": [[1], [1]]`}, {"partition", `"groups": [[4]]`},
			{"partition", `"groups": null`}, {"partition", `"blocked": null`}, {"partition", `"blocked": [[1]]`},
			{"partition", `"blocked": [[1, 1]]`}, {"partition", `"blocked": [[1, 4]]`}, {"partition", `"blocked": [[1, 2]], "groups": []`},
			{"links", `"drop": 1.1`}, {"links", `"drop": true`}, {"links", `"drop": null`},
			{"links", `"delay_ms": [2, 1]`}, {"links", `"delay_ms": [1]`}, {"links", `"delay_ms": 1`}, {"links", `"delay_ms": [0, 60001]`},
			{"links", `"drop": 0.5, "duplicate": -1`}, {"run", ""}, {"run", `"workload": {}`}, {"run", `"workload": {"name": "sleep"}`},
			{"run", `"workload": {"name": "replicate", "outstanding": 0}`}, {"run", `"workload": {"name": "replicate", "duration_s": 0}`},
			{"run", `"workload": {"name": "replicate", "session": ""}`}, {"run", `"workload": {"name": "election", "elections": 1.5}`},
			{"run", `"workload": {"name": "election", "keys": 1}`}, {"start", `"nodes": 10`},
		} {
			c.refused(raft.BadRequest, request.op, request.fields)
		}
		if after := c.reply(c.request("status", "")).OK; !bytes.Equal(after, before) {
			t.Errorf("from %s\nto %s", before, after)
		}
	})
}

func TestBadStarts(t *testing.T) {
	session(t, func(c *caller) {
		for _, fields := range []string{
			`"nodes": 0`, `"nodes": 10`, `"nodes": 3.0`, `"nodes": true`, `"nodes": null`, `"node": 3`,
			`"election_timeout_ms": [150]`, `"election_timeout_ms": [0.5, 10]`, `"election_timeout_ms": [20, 10]`,
			`"election_timeout_ms": [1, 60001]`, `"election_timeout_ms": [true, true]`, `"election_timeout_ms": 150`,
			`"heartbeat_ms": 0.4`, `"heartbeat_ms": "50"`, `"heartbeat_ms": 1e999`, `"storage": "tape"`, `"storage": null`,
			`"storage": "disk"`, `"data_dir": "data"`, `"storage": "disk", "data_dir": ""`, `"storage": "disk", "data_dir": 1`, `"storage": "disk", "data_dir": "a\u0000b"`,
			`"pre_vote": 1`, `"check_quorum": null`, `"check_quorum": "true"`, `"snapshot_entries": -1`, `"snapshot_entries": 1.5`,
			`"transport": "tcp"`, `"seed": -1`, `"seed": 9223372036854775808`,
		} {
			c.refused(raft.BadRequest, "start", fields)
		}
		c.refused(raft.Unavailable, "status", "")
	})
}

func TestLinesAreBounded(t *testing.T) {
	session(t, func(c *caller) {
		request := `{"id": 7, "op": "hello"}`
		c.send(request + strings.Repeat(" ", maxLine-1-len(request)))
		c.reply(7)
		for _, size := range []int{maxLine, maxLine + 1, 5 * maxLine / 2} {
			c.send(request + strings.Repeat(" ", size-len(request)))
			c.wantRefused(raft.BadRequest, "null")
		}
		c.send("\n \t\r\n")
		c.request("hello", "")
		c.reply(c.lastID)
		if len(c.replies) > 0 {
			t.Errorf("answers that nobody asked for: %v", c.replies)
		}
	})
}

func TestWhatFollowsTheLastNewlineIsNoRequest(t *testing.T) {
	session(t, func(c *caller) {
		if _, err := io.WriteString(c.in, `{"id": 1, "op": "hello"}`); err != nil {
			t.Fatal(err)
		}
		c.in.Close()
		if line, ok := <-c.lines; ok {
			t.Errorf("answered %s", line)
		}
	})
}

// -- the end --

func TestTheEndOfInputAnswersAllWhoWait(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		c.do("partition", fmt.Sprintf(`"groups": [[%d]]`, leader))
		id := c.request("submit", fmt.Sprintf(`"node": %d, "timeout_ms": 600000, "command": {"op": "get", "key": "k"}`, leader))
		run := c.request("run", `"workload": {"name": "election"}`)
		c.in.Close()
		c.wantRefused(raft.OutcomeUnknown, id)
		c.wantRefused(raft.Unavailable, run)
	})
}

func TestQuitEndsTheHost(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("quit", "")
		if _, ok := <-c.lines; ok {
			t.Error("it goes on")
		}
	})
}

func TestAFailureOfTheHostEndsItsCluster(t *testing.T) {
	enough := errors.New("enough")
	for name, fail := range map[string]func(c *caller){
		"interrupted":         func(c *caller) { c.cancel(enough) },
		"input breaks":        func(c *caller) { c.in.CloseWithError(enough) },
		"nobody reads output": func(c *caller) { c.lines = nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hostIn, in := io.Pipe()
				out, hostOut := io.Pipe()
				ctx, cancel := context.WithCancelCause(t.Context())
				served := make(chan error)
				go func() { served <- Serve(ctx, goroutines, hostIn, hostOut, io.Discard) }()
				c := &caller{in: in, cancel: cancel, lines: make(chan []byte)}
				if _, err := io.WriteString(in, `{"id": 1, "op": "start"}`+"\n"); err != nil {
					t.Fatal(err)
				}
				if fail(c); c.lines == nil {
					out.CloseWithError(enough)
				} else {
					go io.Copy(io.Discard, out)
				}
				if err := <-served; !errors.Is(err, enough) {
					t.Errorf("it ended with %v", err)
				}
				hostOut.Close()
				hostIn.Close()
			})
		})
	}
}

// -- workloads --

func TestElectionsAreTimed(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"nodes": 5`)
		var result electionsResult
		c.call("run", `"workload": {"name": "election", "elections": 20}`, &result)
		if len(result.Elections) != 20 {
			t.Fatalf("%d elections", len(result.Elections))
		}
		for i, e := range result.Elections {
			inOrder := e.CrashNs <= *e.CandidateNs && *e.CandidateNs <= *e.LeaderNs && *e.LeaderNs <= *e.SettledNs
			if !inOrder || *e.Leader == e.Crashed || *e.LeaderTerm <= e.Term || e.Candidacies < 1 {
				t.Errorf("election %d: %+v", i, e)
			}
			if i > 0 && e.Crashed != *result.Elections[i-1].Leader {
				t.Errorf("election %d crashed %d, not the leader", i, e.Crashed)
			}
		}
		shares := 0
		for _, event := range c.events {
			if event["event"] == "progress" {
				shares++
			}
		}
		if shares != 20 {
			t.Errorf("progress was told %d times", shares)
		}
		time.Sleep(10 * time.Second)
		for _, node := range c.status() {
			if !node.Alive {
				t.Errorf("node %d was left crashed", node.ID)
			}
		}
	})
}

func TestAnUndecidedElectionEndsTheRun(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"election_timeout_ms": [400, 500]`)
		var result electionsResult
		c.call("run", `"workload": {"name": "election", "elections": 3, "cap_s": 0.05}`, &result)
		if len(result.Elections) != 1 || result.Elections[0].Leader != nil || result.Elections[0].LeaderNs != nil {
			t.Errorf("%+v", result)
		}
	})
}

func TestElectionsNeedSurvivors(t *testing.T) {
	session(t, func(c *caller) {
		c.start(`"nodes": 2`)
		c.refused(raft.BadRequest, "run", `"workload": {"name": "election"}`)
	})
}

func TestReplicateRunsOnceAtATimeAndFailsWithItsLeader(t *testing.T) {
	session(t, func(c *caller) {
		leader := c.start("")
		c.do("links", `"delay_ms": [1, 1]`) // or simulated time would not pass
		id := c.request("run", `"workload": {"name": "replicate", "outstanding": 2, "duration_s": 3600}`)
		time.Sleep(time.Second)
		c.refused(raft.BadRequest, "run", `"workload": {"name": "replicate"}`)
		c.do("pause", fmt.Sprintf(`"node": %d`, leader))
		c.wantRefused(raft.Unavailable, id)
		c.do("resume", fmt.Sprintf(`"node": %d`, leader))
		time.Sleep(10 * time.Second)
		var result map[string]any
		c.call("run", `"workload": {"name": "replicate", "session": "again", "duration_s": 0.5}`, &result)
		if result["commands"].(float64) < 64 || result["workload"] != "replicate" {
			t.Errorf("%v", result)
		}
	})
}

func TestReplicateNeedsALeader(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("partition", `"groups": []`)
		time.Sleep(10 * time.Second)
		c.refused(raft.Unavailable, "run", `"workload": {"name": "replicate"}`)
	})
}

func TestReplicateFailsWhenTheLeaderIsAllAlone(t *testing.T) {
	session(t, func(c *caller) {
		c.start("")
		c.do("links", `"delay_ms": [1, 1]`)
		id := c.request("run", `"workload": {"name": "replicate"}`)
		time.Sleep(time.Second)
		c.do("partition", `"groups": []`)
		c.wantRefused(raft.Unavailable, id)
	})
}
