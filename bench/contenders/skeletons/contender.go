// A contender for Raftmark to begin with: all nodes in one goroutine, their messages in one slice.
//
// It elects leaders, and replicates nothing yet: a log, commands and storage are yours to add, and
// the concurrency that is to be measured takes the place of main's loop. See docs/protocol.md for
// every name and number here.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"
	_ "unsafe" // for go:linkname
)

const (
	contender   = "NAME"
	longestLine = 1 << 20
	largestID   = 1<<53 - 1
)

// nanotime reads the clock that docs/protocol.md asks for, CLOCK_MONOTONIC, which package time hides.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64

// fields is a JSON object.
type fields = map[string]any

// refused is the error that a request is answered with.
type refused struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *refused) Error() string { return r.Message }

// A node is one server, by the rules of figure 2 of the Raft paper, as far as they are of elections.
type node struct {
	cluster  *cluster
	id       int
	alive    bool
	term     int // with votedFor, what survives a crash
	votedFor int
	role     string
	leader   int
	votes    map[int]bool
	deadline int64 // when its timeout ends, or its next heartbeat is due
}

// A message is a request for a vote, a vote, or the heartbeat of a leader.
type message struct {
	what           string
	from, to, term int
}

// A cluster is the nodes, and what they have sent.
type cluster struct {
	nodes               []*node
	low, high, interval int64 // ns
	random              *rand.Rand
	mail                []message
}

// wake lets a node begin anew, as after a crash.
func (n *node) wake() {
	n.alive, n.votes = true, nil
	n.become("follower", 0)
	n.restartTimer()
}

// become takes a role, and tells of it.
func (n *node) become(role string, leader int) {
	n.role, n.leader = role, leader
	say(fields{
		"event": "role", "node": n.id, "role": role, "term": n.term,
		"leader": idOrNull(leader), "at_ns": nanotime(),
	})
}

// restartTimer draws the next election timeout.
func (n *node) restartTimer() {
	c := n.cluster
	n.deadline = nanotime() + c.low + c.random.Int64N(c.high-c.low+1)
}

// timeIsUp stands for election, or sends a heartbeat.
func (n *node) timeIsUp() {
	if n.role == "leader" {
		n.sendHeartbeat()
		return
	}
	n.term++
	n.votedFor, n.votes = n.id, map[int]bool{n.id: true}
	n.become("candidate", 0)
	n.restartTimer()
	n.sendAll("request_vote")
	n.countVotes()
}

// countVotes leads, if a majority voted for it.
func (n *node) countVotes() {
	if n.role == "candidate" && 2*len(n.votes) > len(n.cluster.nodes) {
		n.become("leader", n.id)
		n.sendHeartbeat()
	}
}

func (n *node) sendHeartbeat() {
	n.sendAll("append_entries")
	n.deadline = nanotime() + n.cluster.interval
}

func (n *node) sendAll(what string) {
	for _, other := range n.cluster.nodes {
		if other != n {
			n.send(other.id, what)
		}
	}
}

func (n *node) send(to int, what string) {
	n.cluster.mail = append(n.cluster.mail, message{what, n.id, to, n.term})
}

// receive takes a message.
func (n *node) receive(m message) {
	if m.term > n.term {
		n.term, n.votedFor = m.term, 0
		led := n.role == "leader"
		n.become("follower", 0)
		if led {
			n.restartTimer()
		}
	}
	if m.term < n.term {
		return
	}
	switch m.what {
	case "request_vote":
		if n.votedFor == 0 || n.votedFor == m.from {
			n.votedFor = m.from
			n.restartTimer()
			n.send(m.from, "vote")
		}
	case "vote":
		if n.role == "candidate" {
			n.votes[m.from] = true
			n.countVotes()
		}
	case "append_entries":
		if n.leader != m.from {
			n.become("follower", m.from)
		}
		n.restartTimer()
	}
}

// status is what docs/protocol.md asks for; nothing is in the log.
func (n *node) status() fields {
	state, log := sha256.Sum256(make([]byte, 16)), sha256.Sum256(nil)
	known := fields{
		"role": n.role, "term": n.term, "leader": idOrNull(n.leader),
		"voted_for": idOrNull(n.votedFor), "last_index": 0, "commit_index": 0, "applied_index": 0,
		"first_index": 1, "snapshot_index": 0, "voters": n.cluster.ids(), "learners": []int{},
		"state_hash": hex.EncodeToString(state[:]), "log_hash": hex.EncodeToString(log[:]),
	}
	if !n.alive {
		for name := range known {
			known[name] = nil
		}
	}
	known["id"], known["alive"], known["paused"] = n.id, n.alive, false
	return known
}

func (c *cluster) ids() []int {
	ids := make([]int, len(c.nodes))
	for i, n := range c.nodes {
		ids[i] = n.id
	}
	return ids
}

// turn delivers what was sent and does what is due; it returns when there will be more.
func (c *cluster) turn() time.Duration {
	for {
		for len(c.mail) > 0 {
			m := c.mail[0]
			c.mail = c.mail[1:]
			if n := c.nodes[m.to-1]; n.alive {
				n.receive(m)
			}
		}
		var next *node
		for _, n := range c.nodes {
			if n.alive && (next == nil || n.deadline < next.deadline) {
				next = n
			}
		}
		if next == nil {
			return time.Hour
		}
		if left := next.deadline - nanotime(); left > 0 {
			return time.Duration(left)
		}
		next.timeIsUp()
	}
}

// A host answers requests. No cluster runs while cluster is nil.
type host struct {
	cluster *cluster
	over    bool
}

func (h *host) answer(line []byte) {
	var id any
	result, err := func() (fields, *refused) {
		request, err := object(line)
		if err != nil {
			return nil, err
		}
		number, err := integer(request, "id", 0, largestID, -1)
		if err != nil {
			return nil, err
		}
		id = number
		return h.do(request)
	}()
	if err != nil {
		say(fields{"id": id, "error": err})
	} else {
		say(fields{"id": id, "ok": result})
	}
}

func (h *host) do(request fields) (fields, *refused) {
	op, _ := request["op"].(string)
	known := map[string][]string{
		"hello": {}, "status": {}, "stop": {}, "quit": {}, "crash": {"node"}, "restart": {"node"},
		"start": {"nodes", "election_timeout_ms", "heartbeat_ms", "storage", "transport", "seed"},
	}
	names, ok := known[op]
	if !ok {
		return nil, &refused{"bad_request", "unknown op"}
	}
	for name := range request {
		if name != "id" && name != "op" && !slices.Contains(names, name) {
			return nil, &refused{"bad_request", "unknown field " + name}
		}
	}
	switch op {
	case "hello":
		return fields{
			"contender": contender, "protocol": 1, "language": "Go", "features": []string{"memory"},
			"runtime": fields{
				"name": "go", "version": runtime.Version(), "gomaxprocs": runtime.GOMAXPROCS(0),
			},
		}, nil
	case "start":
		return h.start(request)
	case "quit":
		h.over = true
		return fields{}, nil
	}
	switch {
	case h.cluster == nil:
		return nil, &refused{"unavailable", "no cluster is running"}
	case op == "status":
		nodes := []fields{}
		for _, n := range h.cluster.nodes {
			nodes = append(nodes, n.status())
		}
		return fields{"nodes": nodes}, nil
	case op == "stop":
		h.cluster = nil
		return fields{}, nil
	}
	id, err := integer(request, "node", 1, len(h.cluster.nodes), -1)
	if err != nil {
		return nil, err
	}
	n := h.cluster.nodes[id-1]
	if n.alive != (op == "crash") {
		return nil, &refused{"bad_request", "the node's state does not allow it"}
	}
	if op == "restart" {
		n.wake()
		return fields{}, nil
	}
	n.alive = false
	return fields{"at_ns": nanotime()}, nil
}

func (h *host) start(request fields) (fields, *refused) {
	if h.cluster != nil {
		return nil, &refused{"bad_request", "a cluster is running already"}
	}
	nodes, err := integer(request, "nodes", 1, 9, 3)
	if err != nil {
		return nil, err
	}
	interval, err := milliseconds(request, "heartbeat_ms", 0.5, 60_000, 50)
	if err != nil {
		return nil, err
	}
	timeouts := fields{"low": 150.0, "high": 300.0}
	if given, ok := request["election_timeout_ms"]; ok {
		pair, _ := given.([]any)
		if len(pair) != 2 {
			return nil, &refused{"bad_request", "election_timeout_ms is wrong"}
		}
		timeouts = fields{"low": pair[0], "high": pair[1]}
	}
	low, err := milliseconds(timeouts, "low", 1, 60_000, 0)
	if err != nil {
		return nil, err
	}
	high, err := milliseconds(timeouts, "high", float64(low)/1e6, 60_000, 0)
	if err != nil {
		return nil, err
	}
	for name, only := range map[string]string{"storage": "memory", "transport": "native"} {
		if given, ok := request[name]; ok && given != only {
			return nil, &refused{"bad_request", name + " can be " + only + " only"}
		}
	}
	seed, err := integer(request, "seed", 0, 1<<63-1, 0)
	if err != nil {
		return nil, err
	}
	h.cluster = &cluster{
		low: low, high: high, interval: interval, random: rand.New(rand.NewPCG(uint64(seed), 0)),
	}
	for id := 1; id <= nodes; id++ {
		n := &node{cluster: h.cluster, id: id}
		h.cluster.nodes = append(h.cluster.nodes, n)
		n.wake()
	}
	return fields{"nodes": h.cluster.ids()}, nil
}

func object(line []byte) (fields, *refused) {
	if len(line) >= longestLine {
		return nil, &refused{"bad_request", "the line is too long"}
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var request fields
	if err := decoder.Decode(&request); err != nil || request == nil {
		return nil, &refused{"bad_request", "it is no JSON object"}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, &refused{"bad_request", "there is more than an object"}
	}
	return request, nil
}

// integer reads a field; without a value it is otherwise, unless that is negative.
func integer(request fields, name string, low, high, otherwise int) (int, *refused) {
	given, ok := request[name]
	if !ok && otherwise >= 0 {
		return otherwise, nil
	}
	number, _ := given.(json.Number)
	value, err := number.Int64()
	if err != nil || value < int64(low) || value > int64(high) {
		return 0, &refused{"bad_request", name + " is missing or wrong"}
	}
	return int(value), nil
}

// milliseconds reads a duration as nanoseconds.
func milliseconds(request fields, name string, low, high, otherwise float64) (int64, *refused) {
	value := otherwise
	switch given := request[name].(type) {
	case float64:
		value = given
	case json.Number:
		value, _ = given.Float64()
	case nil:
	default:
		value = low - 1
	}
	if value < low || value > high {
		return 0, &refused{"bad_request", name + " is wrong"}
	}
	return int64(value * 1e6), nil
}

func idOrNull(id int) any {
	if id == 0 {
		return nil
	}
	return id
}

// say writes one line.
func say(answer fields) {
	line, err := json.Marshal(answer)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	if err != nil {
		os.Exit(1)
	}
}

// read sends standard input's lines; of one that is too long no more is kept than shows it.
func read(lines chan<- []byte) {
	defer close(lines)
	input := bufio.NewReader(os.Stdin)
	var line []byte
	for {
		piece, err := input.ReadSlice('\n')
		if len(line) < longestLine {
			line = append(line, bytes.TrimSuffix(piece, []byte("\n"))...)
		}
		switch err {
		case nil:
			lines <- line
			line = nil
		case bufio.ErrBufferFull:
		default:
			return
		}
	}
}

func main() {
	lines := make(chan []byte)
	go read(lines)
	h := &host{}
	for !h.over {
		left := time.Hour
		if h.cluster != nil {
			left = h.cluster.turn()
		}
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			if len(bytes.TrimSpace(line)) > 0 {
				h.answer(line)
			}
		case <-time.After(left):
		}
	}
}
