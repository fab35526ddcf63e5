package host

import (
	"context"
	"encoding/json/jsontext"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"raftmark/raft"
)

// openProgram is a node program, which knows a secret, or none.
func openProgram(t *testing.T, secret []byte) *caller {
	c := callerOf(t, func(ctx context.Context, in io.Reader, out, warn io.Writer) error {
		return ServeNode(ctx, goroutines, secret, in, out, warn)
	})
	t.Cleanup(func() {
		c.in.Close()
		for range c.lines { // what it still has to say
		}
		if err := <-c.served; err != nil {
			t.Errorf("the program failed: %v", err)
		}
		c.cancel(nil)
	})
	return c
}

type lifeOfNode struct {
	Drawn    int64         `json:"election_timeout_ns"`
	Role     string        `json:"role"`
	Term     int           `json:"term"`
	Leader   *int          `json:"leader"`
	Voted    *int          `json:"voted_for"`
	Last     int           `json:"last_index"`
	Commit   int           `json:"commit_index"`
	Apply    int           `json:"applied_index"`
	First    int           `json:"first_index"`
	Snapshot int           `json:"snapshot_index"`
	Voters   []int         `json:"voters"`
	Learners []int         `json:"learners"`
	Lost     []lostEntries `json:"lost_entries"`
	State    string        `json:"state_hash"`
	Log      string        `json:"log_hash"`
}

func (c *caller) life() (life lifeOfNode) {
	c.t.Helper()
	c.call("status", "", &life)
	return life
}

// oneLeads has node 1 lead, and nobody else stand unless it is told to, however slow the machine is.
func oneLeads(id int) string {
	if id == 1 {
		return `, "election_timeout_ms": [300, 600]`
	}
	return `, "election_timeout_ms": [60000, 60000]`
}

// whoever may lead, who keeps its office for longer than a machine stalls.
func whoever(int) string { return `, "election_timeout_ms": [600, 1200]` }

// deploy lets programs be a cluster, of which those are first voters that voters says. Patience is how
// long each waits for a leader.
func deploy(t *testing.T, programs map[int]*caller, voters string, patience func(id int) string) {
	t.Helper()
	var addresses []string
	for id, program := range programs {
		var listening listening
		program.call("listen", fmt.Sprintf(`"node": %d, "cluster": "c", "voters": %s, "seed": 7%s`, id, voters, patience(id)), &listening)
		addresses = append(addresses, fmt.Sprintf(`"%d": %q`, id, listening.Address))
	}
	for _, program := range programs {
		program.do("peers", fmt.Sprintf(`"peers": {%s}`, strings.Join(addresses, ", ")))
	}
	for _, program := range programs {
		program.do("begin", "")
	}
}

// leading waits for a leader among the programs.
func leading(t *testing.T, programs map[int]*caller) (id int, leader *caller) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for id, program := range programs {
			if program.life().Role == "leader" {
				return id, program
			}
		}
	}
	t.Fatal("nobody leads")
	return 0, nil
}

func threePrograms(t *testing.T, patience func(id int) string) map[int]*caller {
	programs := map[int]*caller{}
	for id := 1; id <= 3; id++ {
		programs[id] = openProgram(t, nil)
	}
	deploy(t, programs, "[1, 2, 3]", patience)
	return programs
}

func others(programs map[int]*caller, but int) map[int]*caller {
	others := map[int]*caller{}
	for id, program := range programs {
		if id != but {
			others[id] = program
		}
	}
	return others
}

func TestThreeProgramsAreACluster(t *testing.T) {
	programs := threePrograms(t, oneLeads)
	id, leader := leading(t, programs)
	var set, again outcome
	leader.call("submit", `"command": {"op": "set", "key": "k", "value": "é"}, "client": "anna", "serial": 1`, &set)
	leader.call("submit", `"command": {"op": "set", "key": "k", "value": "no"}, "client": "anna", "serial": 1`, &again)
	var value struct {
		Index int    `json:"index"`
		Value string `json:"value"`
	}
	if leader.call("read", `"key": "k"`, &value); value.Value != "é" || value.Index < set.Index {
		t.Errorf("read was %+v", value)
	}
	for _, program := range programs {
		var reached reached
		program.call("when_applied", fmt.Sprintf(`"index": %d`, again.Index), &reached)
		if life := program.life(); life.State != leader.life().State || !slices.Equal(life.Voters, []int{1, 2, 3}) {
			t.Errorf("a node is %+v", life)
		}
	}
	var log struct {
		First   int              `json:"first_index"`
		Entries []jsontext.Value `json:"entries"`
		Last    int              `json:"last_index"`
		Commit  int              `json:"commit_index"`
	}
	leader.call("log", fmt.Sprintf(`"from": %d, "to": %d`, set.Index, set.Index), &log)
	if log.First != set.Index || len(log.Entries) != 1 {
		t.Errorf("the log is %+v", log)
	}
	var covered covered
	if leader.call("compact", "", &covered); covered.Index != again.Index {
		t.Errorf("the snapshot covers %+v", covered)
	}
	leader.do("heartbeat", "")
	var counters raft.Counters
	leader.call("counters", "", &counters)
	if counters.Bytes == nil || *counters.Bytes == 0 || counters.Messages == 0 {
		t.Errorf("counted are %+v", counters)
	}
	var handed handed
	to := 1 + id%3
	leader.call("transfer", fmt.Sprintf(`"to": %d`, to), &handed)
	if next, _ := leading(t, others(programs, id)); !handed.Handed || next != to {
		t.Errorf("node %d leads, not node %d", next, to)
	}
}

func TestANodeHasManyLivesInAProgram(t *testing.T) {
	programs := threePrograms(t, whoever)
	id, leader := leading(t, programs)
	var done outcome
	leader.call("submit", `"command": {"op": "set", "key": "k", "value": "1"}`, &done)
	leader.refused(raft.BadRequest, "begin", "")
	leader.refused(raft.BadRequest, "resume", "")
	var at ceased
	leader.call("crash", "", &at)
	for _, op := range []string{"status", "counters", "compact", "heartbeat", "log"} {
		leader.refused(raft.Unavailable, op, "")
	}
	leader.refused(raft.Unavailable, "submit", `"command": {"op": "get", "key": "k"}`)
	leader.refused(raft.BadRequest, "crash", "")
	next, second := leading(t, others(programs, id))
	second.call("submit", `"command": {"op": "set", "key": "k", "value": "2"}`, &done)
	leader.do("begin", "")
	var reached reached
	leader.call("when_applied", fmt.Sprintf(`"index": %d`, done.Index), &reached)

	var paused lifeOfNode
	if second.call("pause", "", &paused); paused.Role != "leader" {
		t.Errorf("the paused node was %+v", paused)
	}
	second.refused(raft.Unavailable, "status", "")
	second.refused(raft.BadRequest, "pause", "")
	leading(t, others(programs, next))
	second.do("resume", "")
	for second.life().Role == "leader" {
		time.Sleep(time.Millisecond)
	}
}

func TestAProgramsLinksAreItsOwn(t *testing.T) {
	programs := threePrograms(t, whoever)
	id, leader := leading(t, programs)
	leader.do("partition", fmt.Sprintf(`"groups": [[%d]]`, id))
	next, second := leading(t, others(programs, id))
	leader.do("heal", "")
	for leader.life().Role == "leader" {
		time.Sleep(time.Millisecond)
	}
	second.do("partition", fmt.Sprintf(`"blocked": [[%d, %d]]`, next, id))
	second.do("heal", "")
	for _, program := range programs {
		program.do("links", `"drop": 0.1, "duplicate": 0.5, "delay_ms": [0, 2]`)
	}
	_, leader = leading(t, programs)
	asked := leader.request("submit", `"command": {"op": "set", "key": "k", "value": "v"}`)
	for _, program := range programs {
		program.do("links", "")
	}
	if reply := leader.reply(asked); reply.Error != nil && reply.Error.Code == string(raft.Internal) {
		t.Errorf("answered %+v", reply.Error)
	}
}

func TestALoadRunsBesideANode(t *testing.T) {
	programs := threePrograms(t, oneLeads)
	id, leader := leading(t, programs)
	for _, load := range []string{
		`{"name": "replicate", "outstanding": 4, "warmup_s": 0, "duration_s": 0.05}`,
		`{"name": "offered", "rate": 500, "session": "o", "warmup_s": 0, "duration_s": 0.05}`,
	} {
		reply := leader.reply(leader.request("run", `"workload": `+load))
		if reply.Error != nil || !strings.Contains(string(reply.OK), `"acknowledged"`) {
			t.Errorf("%s was answered %s %+v", load, reply.OK, reply.Error)
		}
	}
	other := programs[1+id%3]
	other.refused(raft.NotLeader, "run", `"workload": {"name": "replicate", "duration_s": 0.1}`)
	other.refused(raft.BadRequest, "run", `"workload": {"name": "election"}`)
	// What is under way when a life ends is answered all the same.
	asked := leader.request("run", `"workload": {"name": "replicate", "duration_s": 60}`)
	leader.refused(raft.BadRequest, "run", `"workload": {"name": "replicate"}`)
	leader.call("crash", "", &ceased{})
	if reply := leader.reply(asked); reply.Error == nil {
		t.Errorf("the run of a node that crashed was answered %s", reply.OK)
	}
}

func TestAServerThatJoinsIsToldOf(t *testing.T) {
	dir := fmt.Sprintf(`, "storage": "disk", "data_dir": %q`, t.TempDir())
	programs := map[int]*caller{1: openProgram(t, nil), 4: openProgram(t, nil)}
	var addresses []string
	for id, program := range programs {
		var listening listening
		program.call("listen", fmt.Sprintf(`"node": %d, "cluster": "c", "voters": [1]%s%s`, id, dir, oneLeads(id)), &listening)
		addresses = append(addresses, fmt.Sprintf(`"%d": %q`, id, listening.Address))
	}
	for id, program := range programs {
		program.do("peers", fmt.Sprintf(`"peers": {%s}`, strings.Join(addresses, ", ")))
		program.do("begin", fmt.Sprintf(`"join": %t`, id == 4))
	}
	_, leader := leading(t, map[int]*caller{1: programs[1]})
	var added outcome
	leader.call("submit", `"command": {"op": "add_server", "key": "4"}`, &added)
	programs[4].call("when_applied", fmt.Sprintf(`"index": %d`, added.Index), &reached{})
	for !slices.Equal(programs[4].life().Voters, []int{1, 4}) {
		time.Sleep(time.Millisecond)
	}
	leader.life()
	told := slices.ContainsFunc(leader.events, func(event map[string]any) bool {
		return event["event"] == "members" && fmt.Sprint(event["members"]) == "[1 4]"
	})
	if !told {
		t.Errorf("the members were not told of: %v", leader.events)
	}
}

func TestWhatAProgramIsAskedIsChecked(t *testing.T) {
	c := openProgram(t, nil)
	for _, op := range []string{"status", "begin", "crash", "pause", "counters", "heartbeat", "heal"} {
		c.refused(raft.Unavailable, op, "")
	}
	good := `"node": 1, "cluster": "c", "voters": [1, 2]`
	for _, fields := range []string{
		"", `"node": 0, "cluster": "c", "voters": [1]`, `"node": 10, "cluster": "c", "voters": [1]`,
		`"node": 1, "cluster": "", "voters": [1]`, `"node": 1, "cluster": "c", "voters": []`,
		`"node": 1, "cluster": "c", "voters": [2, 1]`, `"node": 1, "cluster": "c", "voters": [1, 1]`,
		good + `, "address": "nowhere"`, good + `, "address": "127.0.0.1"`, good + `, "nodes": 3`,
		good + `, "storage": "disk"`, good + `, "address": "0.0.0.0:0"`, good + `, "address": "[::]:0"`,
	} {
		c.refused(raft.BadRequest, "listen", fields)
	}
	var told listening
	c.call("listen", good, &told)
	if !strings.HasPrefix(told.Address, "127.0.0.1:") {
		t.Errorf("it listens at %s", told.Address)
	}
	c.refused(raft.BadRequest, "listen", good)
	for _, peers := range []string{
		"[]", `{"x": "127.0.0.1:1"}`, `{"01": "127.0.0.1:1"}`, `{"2": "127.0.0.1:0"}`, `{"2": 1}`, `{"2": "localhost:1"}`,
	} {
		c.refused(raft.BadRequest, "peers", `"peers": `+peers)
	}
	c.do("begin", "")
	c.refused(raft.BadRequest, "submit", `"command": {"op": "promote_server", "key": "2"}`)
	c.refused(raft.BadRequest, "submit", `"command": {"op": "add_server", "key": "02"}`)
	c.refused(raft.BadRequest, "submit", `"command": {"op": "get", "key": "k"}, "timeout_ms": 5`)
	c.refused(raft.BadRequest, "start", "")
	c.do("quit", "")
}

func TestAnAddressThatOthersReachNeedsASecret(t *testing.T) {
	c := openProgram(t, []byte("sixteen or more bytes"))
	var told listening
	c.call("listen", `"node": 1, "cluster": "c", "voters": [1], "address": "0.0.0.0:0"`, &told)
	c.do("begin", "")
}

func TestAStrangerIsToldOf(t *testing.T) {
	programs := map[int]*caller{1: openProgram(t, nil), 2: openProgram(t, []byte("sixteen or more bytes"))}
	deploy(t, programs, "[1, 2]", whoever)
	for id, reason := range map[int]string{1: "node 2 refuses: a secret is wanted", 2: "a secret is wanted"} {
		for told := false; !told; time.Sleep(time.Millisecond) {
			programs[id].life()
			told = slices.ContainsFunc(programs[id].events, func(event map[string]any) bool {
				return event["event"] == "refused" && event["reason"] == reason && event["peer"] == float64(3-id)
			})
		}
	}
}

// Whoever connects and says whatever it likes costs its own connection, and the cluster nothing: it
// goes on under its leader.
func TestStrangersHarmNoCluster(t *testing.T) {
	secret := []byte("sixteen or more bytes")
	programs := map[int]*caller{}
	for id := 1; id <= 3; id++ {
		programs[id] = openProgram(t, secret)
	}
	var addresses []string
	var listed []string
	for id, program := range programs {
		var told listening
		program.call("listen", fmt.Sprintf(`"node": %d, "cluster": "c", "voters": [1, 2, 3]%s`, id, oneLeads(id)), &told)
		addresses = append(addresses, told.Address)
		listed = append(listed, fmt.Sprintf(`"%d": %q`, id, told.Address))
	}
	for _, program := range programs {
		program.do("peers", fmt.Sprintf(`"peers": {%s}`, strings.Join(listed, ", ")))
		program.do("begin", "")
	}
	_, leader := leading(t, programs)
	term := leader.life().Term
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		conn, err := net.Dial("tcp", addresses[random.IntN(3)])
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, random.IntN(1<<13))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		// A peer's name, which anybody may say, and then what nobody says.
		hello := []byte("\x16\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x96\xa8raftmark\x01\xa1c\x01\x02\xc4\x10")
		if random.IntN(2) == 0 {
			noise = append(hello, noise...)
		}
		if _, err := conn.Write(noise); err != nil {
			t.Log(err)
		}
		if random.IntN(4) > 0 {
			conn.Close()
		} else {
			t.Cleanup(func() { conn.Close() })
		}
	}
	var done outcome
	leader.call("submit", `"command": {"op": "set", "key": "k", "value": "v"}`, &done)
	for _, program := range programs {
		program.call("when_applied", fmt.Sprintf(`"index": %d`, done.Index), &reached{})
		if life := program.life(); life.Term != term {
			t.Errorf("a node is in the term %d, not %d", life.Term, term)
		}
	}
}

// Data that is in use cannot be opened, and when it is free it can: nothing is left open.
func TestAProgramsStorageIsItsLifes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	fields := fmt.Sprintf(`"node": 1, "cluster": "c", "voters": [1], "storage": "disk", "data_dir": %q`, dir)
	first, second := openProgram(t, nil), openProgram(t, nil)
	first.call("listen", fields, &listening{})
	second.call("listen", fields, &listening{})
	first.do("begin", "")
	second.refused(raft.Unavailable, "begin", "")
	leading(t, map[int]*caller{1: first})
	var done, got outcome
	first.call("submit", `"command": {"op": "set", "key": "k", "value": "v"}`, &done)
	first.call("crash", "", &ceased{})
	second.do("begin", "")
	leading(t, map[int]*caller{1: second})
	if second.call("submit", `"command": {"op": "get", "key": "k"}`, &got); got.Result != "v" {
		t.Errorf("got %v", got.Result)
	}
}
