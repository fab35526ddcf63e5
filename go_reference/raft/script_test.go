package raft_test

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"raftmark/raft"
)

var (
	rewrite = flag.Bool("rewrite", false, "write into the scenarios what the core does")
	serve   = flag.Bool("serve", false, "run the scripts that come on standard input (tests/raft/lockstep/twin.py)")
)

// Every scenario of tests/scenarios does what it says that it does.
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("../../tests/scenarios/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			expected := string(content)
			actual, err := runScript(expected)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if actual == expected {
				return
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(actual), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: %s\n(-rewrite takes over what the core does)", path, firstDifference(expected, actual))
		})
	}
}

func firstDifference(expected, actual string) string {
	want, got := strings.Split(expected, "\n"), strings.Split(actual, "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("line %d:\n  expected %s\n       got %s", i+1, want[i], got[i])
		}
	}
	return fmt.Sprintf("%d lines expected, got %d", len(want), len(got))
}

// TestServe is no test but a process for tests/raft/lockstep: a script comes as its length, a
// line feed and its bytes, and what became of it leaves in the same form.
func TestServe(t *testing.T) {
	if !*serve {
		t.Skip("only when it is asked to, with -serve")
	}
	input, output := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length int
		if _, err := fmt.Fscanf(input, "%d\n", &length); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		script := make([]byte, length)
		if _, err := io.ReadFull(input, script); err != nil {
			t.Fatal(err)
		}
		answer, err := runScript(string(script))
		if err != nil {
			answer += fmt.Sprintf("! %v\n", err)
		}
		fmt.Fprintf(output, "%d\n%s", len(answer), answer)
		if err := output.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// runScript returns a script with what its commands do, in place of what it expects of them.
// After an error that is as far as it came.
func runScript(text string) (string, error) {
	var b strings.Builder
	in := &interpreter{said: &b}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "> ")
		switch {
		case isCommand:
			fmt.Fprintln(&b, line)
			if err := in.execute(command); err != nil {
				return b.String(), fmt.Errorf("line %d: %w", number, err)
			}
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&b, line)
		case !strings.HasPrefix(line, "  "):
			return b.String(), fmt.Errorf("line %d: begin a command with '> ', a comment with '#', "+
				"and what is expected with two spaces", number)
		}
	}
	return b.String(), nil
}

// A member is a server: the core, its storage, its state machine, and what was last said of it.
type member struct {
	id       raft.NodeID
	settings raft.Settings
	storage  *raft.MemoryStorage
	drawn    int

	alive   bool
	node    *raft.Node
	machine *raft.StateMachine
	shown   map[string]string // lines by their first two words
}

// begin begins a life with what was saved.
func (m *member) begin() error {
	saved, err := m.storage.Load()
	if err != nil {
		return err
	}
	m.alive = true
	m.node = raft.NewNode(m.id, m.settings, m.draw, saved)
	m.machine = raft.NewStateMachine()
	m.shown = nil
	return nil
}

// draw returns sixteenths, in an order that differs from node to node; it goes on after a
// restart.
func (m *member) draw() float64 {
	m.drawn++
	return float64((7*m.drawn+5*int(m.id))%16) / 16
}

// state is the node's line and those of its followers.
func (m *member) state() []string {
	lines := []string{textOfNode(m.id, m.node, m.settings.Nodes)}
	return append(lines, textsOfFollowers(m.id, m.node)...)
}

// An interpreter is a cluster of cores in which only what a script says happens: the twin of
// tests/raft/lockstep/script.py. The format is defined in tests/scenarios/README.md.
type interpreter struct {
	settings raft.Settings
	members  []*member
	underWay []raft.Message
	groups   [][]raft.NodeID
	said     io.Writer
}

// mostDeliveries: after so many a cluster that still talks does not settle.
const mostDeliveries = 1000

var handlers = map[string]func(*interpreter, []string) error{
	"cluster":   (*interpreter).cluster,
	"join":      (*interpreter).join,
	"log":       (*interpreter).log,
	"damage":    (*interpreter).damage,
	"status":    (*interpreter).status,
	"timeout":   (*interpreter).timeout,
	"propose":   (*interpreter).propose,
	"read":      (*interpreter).read,
	"transfer":  (*interpreter).transfer,
	"snapshot":  (*interpreter).snapshot,
	"ready":     (*interpreter).ready,
	"deliver":   (*interpreter).deliver,
	"drop":      (*interpreter).drop,
	"duplicate": (*interpreter).duplicate,
	"settle":    (*interpreter).settle,
	"partition": (*interpreter).partition,
	"heal":      (*interpreter).heal,
	"crash":     (*interpreter).crash,
	"restart":   (*interpreter).restart,
}

// execute lets a command happen, and says what it did. A core that panics is an error.
func (in *interpreter) execute(command string) (err error) {
	words := append(strings.Fields(command), "")
	if words = words[:max(1, len(words)-1)]; words[0] == "quietly" {
		return in.quietly(strings.Join(words[1:], " "))
	}
	handler := handlers[words[0]]
	if handler == nil {
		return fmt.Errorf("%s is no command; known are %s", words[0],
			strings.Join(slices.Sorted(maps.Keys(handlers)), ", "))
	}
	if in.members == nil && words[0] != "cluster" {
		return errors.New("a script begins with the command cluster")
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the core panicked: %v", fault)
		}
	}()
	return handler(in, words[1:])
}

// quietly lets a command happen, and says of it only where each node came to.
func (in *interpreter) quietly(command string) error {
	var said strings.Builder
	loud := in.said
	in.said = &said
	err := in.execute(command)
	in.said = loud
	var order []string
	last := map[string]string{}
	for line := range strings.Lines(said.String()) {
		if words := strings.Fields(line); words[0] == "node" {
			if last[words[1]] == "" {
				order = append(order, words[1])
			}
			last[words[1]] = line
		}
	}
	for _, id := range order {
		fmt.Fprint(in.said, last[id])
	}
	return err
}

func (in *interpreter) say(format string, arguments ...any) {
	fmt.Fprintf(in.said, "  "+format+"\n", arguments...)
}

// -- the cluster

func (in *interpreter) cluster(words []string) error {
	if len(words) == 0 || in.members != nil {
		return usage("cluster SIZE [OPTION=N | OPTION]…, once")
	}
	size, err := number(words[0])
	if err != nil {
		return err
	}
	s := raft.Settings{
		ElectionTimeout: raft.Range{Low: 160 * time.Millisecond, High: 320 * time.Millisecond},
		Heartbeat:       50 * time.Millisecond,
		MaxEntries:      1024,
		MaxBytes:        256 << 10,
		Window:          16,
		SnapshotEntries: 16384,
	}
	numbers := map[string]*int{
		"max_entries": &s.MaxEntries, "max_bytes": &s.MaxBytes, "window": &s.Window,
		"snapshot_entries": &s.SnapshotEntries,
	}
	flags := map[string]*bool{"pre_vote": &s.PreVote, "check_quorum": &s.CheckQuorum}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if option := numbers[name]; option != nil && value != "" {
			if *option, err = number(value); err != nil {
				return err
			}
		} else if option := flags[word]; option != nil {
			*option = true
		} else {
			return fmt.Errorf("cluster has no option %s", word)
		}
	}
	for id := range size {
		s.Nodes = append(s.Nodes, raft.NodeID(id+1))
	}
	in.settings = s
	for range size {
		if err := in.start(); err != nil {
			return err
		}
	}
	return nil
}

// join: a server begins that is no member yet, but knows the first voters.
func (in *interpreter) join(words []string) error {
	next := len(in.members) + 1
	if len(words) == 1 && words[0] == strconv.Itoa(next) {
		in.members = append(in.members, in.newMember())
	} else if m, err := in.member(words); len(words) != 1 || err != nil || m.alive {
		return usage(fmt.Sprintf("join %d, the next server's number, or one that is down", next))
	}
	m, err := in.member(words)
	if err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	m.node.Join()
	return in.perform(m)
}

// newMember is the next server, before its first life.
func (in *interpreter) newMember() *member {
	return &member{id: raft.NodeID(len(in.members) + 1), settings: in.settings, storage: raft.NewMemoryStorage()}
}

// start begins the next server.
func (in *interpreter) start() error {
	m := in.newMember()
	in.members = append(in.members, m)
	if err := m.begin(); err != nil {
		return err
	}
	return in.perform(m)
}

// log: the node has lived before, and begins with a log whose entries have these terms.
func (in *interpreter) log(words []string) error {
	m, err := in.member(words)
	if err != nil {
		return err
	}
	state, entries := raft.HardState{}, []raft.Entry{}
	for _, word := range words[1:] {
		text, repeated, found := strings.Cut(word, "x")
		if !found {
			repeated = "1"
		}
		term, err := number(text)
		if err != nil {
			return err
		}
		times, err := number(repeated)
		if err != nil {
			return err
		}
		for range times {
			state.Term = max(state.Term, uint64(term))
			entries = append(entries, raft.Entry{Term: uint64(term), Command: &raft.Command{
				Op: raft.Set, Key: fmt.Sprintf("k%d", len(entries)+1), Value: new(fmt.Sprintf("t%d", term)),
			}})
		}
	}
	if err := m.storage.Save(raft.Save{HardState: &state, FirstIndex: 1, Entries: entries}); err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	return in.perform(m)
}

// damage: the storage of a node that is down has lost its log from an index on.
func (in *interpreter) damage(words []string) error {
	m, err := in.member(words)
	if err != nil {
		return err
	}
	if len(words) != 2 || m.alive {
		return usage("damage NODE INDEX, of a node that is down")
	}
	from, err := number(words[1])
	if err != nil {
		return err
	}
	saved, err := m.storage.Load()
	if err != nil {
		return err
	}
	first := 1
	if saved.Snapshot != nil {
		first = saved.Snapshot.LastIndex + 1
	}
	kept := saved.Entries[:min(len(saved.Entries), max(0, from-first))]
	m.storage = raft.NewMemoryStorage()
	return m.storage.Save(raft.Save{
		HardState: &saved.HardState, FirstIndex: first, Entries: kept, Snapshot: saved.Snapshot,
		FirstVoters: saved.FirstVoters,
	})
}

func (in *interpreter) status([]string) error {
	for _, m := range in.members {
		if !m.alive {
			in.say("node %d is down", m.id)
			continue
		}
		for _, line := range m.state() {
			in.say("%s", line)
		}
	}
	return nil
}

// -- events

func (in *interpreter) timeout(words []string) error {
	return in.event(words, func(m *member, _ []string) error {
		m.node.Timeout()
		return nil
	})
}

func (in *interpreter) propose(words []string) error {
	return in.event(words, func(m *member, words []string) error {
		var commands []*raft.Command
		for _, word := range words {
			parsed, err := parseCommands(word)
			if err != nil {
				return err
			}
			commands = append(commands, parsed...)
		}
		if len(commands) == 0 {
			return usage("propose NODE COMMAND… [wait]")
		}
		if _, ok := m.node.Propose(commands...); !ok {
			in.say("refused %d", m.id)
		}
		return nil
	})
}

func (in *interpreter) read(words []string) error {
	return in.event(words, func(m *member, _ []string) error {
		if round, ok := m.node.Read(); ok {
			in.say("asked %d round=%d", m.id, round)
		} else {
			in.say("refused %d", m.id)
		}
		return nil
	})
}

func (in *interpreter) transfer(words []string) error {
	return in.event(words, func(m *member, words []string) error {
		if len(words) != 1 {
			return usage("transfer NODE TO [wait]")
		}
		to, err := number(words[0])
		if err == nil && !m.node.Transfer(raft.NodeID(to)) {
			in.say("refused %d", m.id)
		}
		return err
	})
}

// snapshot: a node does its duties, and then hands its state machine's state to the core.
func (in *interpreter) snapshot(words []string) error {
	m, err := in.member(words)
	if err != nil {
		return err
	}
	keepTail := len(words) == 2 && words[1] == "keep_tail"
	if len(words) > 1 && !keepTail {
		return usage("snapshot NODE [keep_tail]")
	}
	if !in.isUp(m) {
		return nil
	}
	if err := in.perform(m); err != nil {
		return err
	}
	m.node.TakeSnapshot(slices.SortedFunc(slices.Values(m.machine.Items()), compareItems), keepTail)
	return in.perform(m)
}

// compareItems puts keys before sessions, each by name: the cores leave the order to those
// who ask them.
func compareItems(a, b raft.Item) int {
	if session := a.Serial > 0; session != (b.Serial > 0) {
		if session {
			return 1
		}
		return -1
	}
	return strings.Compare(a.Name, b.Name)
}

func (in *interpreter) ready(words []string) error {
	return in.event(words, func(*member, []string) error { return nil })
}

// event: something happens to a node, which then does its duties, unless they are to wait.
func (in *interpreter) event(words []string, happen func(*member, []string) error) error {
	m, err := in.member(words)
	if err != nil || !in.isUp(m) {
		return err
	}
	words, wait := cutWait(words)
	if err := happen(m, words[1:]); err != nil {
		return err
	}
	return in.finish(m, wait)
}

func cutWait(words []string) (rest []string, wait bool) {
	if last := len(words) - 1; last >= 0 && words[last] == "wait" {
		return words[:last], true
	}
	return words, false
}

func (in *interpreter) finish(m *member, wait bool) error {
	if wait {
		in.news(m)
		return nil
	}
	return in.perform(m)
}

// perform does all duties of a node, in their order.
func (in *interpreter) perform(m *member) error {
	ready := m.node.Ready()
	if err := in.save(m, ready); err != nil {
		return err
	}
	in.send(ready.Messages)
	if ready.Snapshot != nil {
		in.say("restore %d %s", m.id, textOfSnapshot(ready.Snapshot))
		m.machine.Restore(ready.Snapshot)
	}
	in.apply(m, ready)
	for _, lost := range ready.Lost {
		in.say("forgot %d->%d %d..%d", m.id, lost.Node, lost.First, lost.Last)
	}
	for _, read := range ready.Reads {
		in.say("read %d %s", m.id, textOfRead(read))
	}
	if ready.Timer > 0 {
		in.say("timer %d %s", m.id, textOfTime(ready.Timer))
	}
	in.news(m)
	return nil
}

func (in *interpreter) save(m *member, ready raft.Ready) error {
	if ready.Save.Empty() {
		return nil
	}
	in.say("save %d %s", m.id, textOfSave(ready.Save))
	return m.storage.Save(ready.Save)
}

func (in *interpreter) send(messages []raft.Message) {
	for _, message := range messages {
		if in.connected(message) {
			in.say("send %s", textOfMessage(message))
			in.underWay = append(in.underWay, message)
		} else {
			in.lose(message)
		}
	}
}

func (in *interpreter) apply(m *member, ready raft.Ready) {
	if len(ready.Committed) == 0 {
		return
	}
	line := fmt.Sprintf("apply %d from=%d %s", m.id, m.machine.AppliedIndex()+1, textOfEntries(ready.Committed))
	var results []string
	answered := false
	for _, entry := range ready.Committed {
		result, err := m.machine.Apply(entry)
		if err != nil {
			result = "stale"
		}
		answered = answered || result != nil
		results = append(results, textOfResult(result))
	}
	if answered {
		line += " results=" + textOfResults(results)
	}
	in.say("%s", line)
}

// news tells the state, as far as it is not what was shown before.
func (in *interpreter) news(m *member) {
	present := map[string]string{}
	for _, line := range m.state() {
		words := strings.SplitN(line, " ", 3)
		subject := words[0] + words[1]
		if m.shown[subject] != line {
			in.say("%s", line)
		}
		present[subject] = line
	}
	m.shown = present
}

// -- the network

func (in *interpreter) deliver(words []string) error {
	words, wait := cutWait(words)
	taken, err := in.take(words, "deliver")
	if err != nil {
		return err
	}
	for _, message := range taken {
		if err := in.arrive(message, wait); err != nil {
			return err
		}
	}
	return nil
}

func (in *interpreter) drop(words []string) error {
	taken, err := in.take(words, "drop")
	for _, message := range taken {
		in.lose(message)
	}
	return err
}

func (in *interpreter) duplicate(words []string) error {
	positions, err := in.matching(words, "duplicate")
	for _, at := range positions {
		in.underWay = append(in.underWay, in.underWay[at])
		in.say("again %s", textOfMessage(in.underWay[at]))
	}
	return err
}

func (in *interpreter) settle([]string) error {
	for range mostDeliveries {
		if len(in.underWay) == 0 {
			return nil
		}
		message := in.underWay[0]
		in.underWay = slices.Delete(in.underWay, 0, 1)
		if err := in.arrive(message, false); err != nil {
			return err
		}
	}
	in.say("not settled after %d messages", mostDeliveries)
	return nil
}

func (in *interpreter) partition(words []string) error {
	in.groups = nil
	for group := range strings.SplitSeq(strings.Join(words, " "), "|") {
		var ids []raft.NodeID
		for _, word := range strings.Fields(group) {
			m, err := in.member([]string{word})
			if err != nil {
				return err
			}
			ids = append(ids, m.id)
		}
		in.groups = append(in.groups, ids)
	}
	before := in.underWay
	in.underWay = nil
	for _, message := range before {
		if in.connected(message) {
			in.underWay = append(in.underWay, message)
		} else {
			in.lose(message)
		}
	}
	return nil
}

func (in *interpreter) heal([]string) error {
	in.groups = nil
	return nil
}

func (in *interpreter) connected(message raft.Message) bool {
	from, to := linkOf(message)
	if int(to) > len(in.members) {
		return false
	}
	return in.groups == nil || slices.ContainsFunc(in.groups, func(group []raft.NodeID) bool {
		return slices.Contains(group, from) && slices.Contains(group, to)
	})
}

func (in *interpreter) lose(message raft.Message) { in.say("lost %s", textOfMessage(message)) }

// take takes the messages that words name from the network.
func (in *interpreter) take(words []string, command string) ([]raft.Message, error) {
	positions, err := in.matching(words, command)
	var taken []raft.Message
	for _, at := range positions {
		taken = append(taken, in.underWay[at])
	}
	for _, at := range slices.Backward(positions) {
		in.underWay = slices.Delete(in.underWay, at, at+1)
	}
	return taken, err
}

var linkPattern = regexp.MustCompile(`^(\d+|\*)->(\d+|\*)$`)

// matching returns where messages on a link are, oldest first: all, or for one link the
// oldest or n-th.
func (in *interpreter) matching(words []string, command string) ([]int, error) {
	var link []string
	if len(words) > 0 {
		link = linkPattern.FindStringSubmatch(words[0])
	}
	if link == nil || len(words) > 2 {
		return nil, usage(command + " FROM->TO [N-TH], where * is any node")
	}
	var matching []int
	for at, message := range in.underWay {
		from, to := linkOf(message)
		if matches(link[1], from) && matches(link[2], to) {
			matching = append(matching, at)
		}
	}
	if link[1] != "*" && link[2] != "*" {
		nth := 1
		if len(words) == 2 {
			var err error
			if nth, err = number(words[1]); err != nil {
				return nil, err
			}
		}
		matching = matching[min(nth-1, len(matching)):min(nth, len(matching))]
	}
	if len(matching) == 0 {
		in.say("nothing on %s", strings.Join(words, " "))
	}
	return matching, nil
}

func matches(pattern string, id raft.NodeID) bool {
	return pattern == "*" || pattern == strconv.Itoa(int(id))
}

func (in *interpreter) arrive(message raft.Message, wait bool) error {
	_, to := linkOf(message)
	m := in.members[to-1]
	if !m.alive {
		in.lose(message)
		return nil
	}
	in.say("arrive %s", textOfMessage(message))
	m.node.Step(message)
	return in.finish(m, wait)
}

// -- crashes

// crash: a node loses what it has not saved, at a boundary between two of its duties.
func (in *interpreter) crash(words []string) error {
	m, err := in.member(words)
	if err != nil || !in.isUp(m) {
		return err
	}
	boundary := words[1:]
	sent := 0
	switch place := strings.Join(boundary[:min(2, len(boundary))], " "); {
	case len(boundary) == 0:
	case len(boundary) == 2 && place == "before save":
		m.node.Ready()
	case len(boundary) == 3 && place == "after sending":
		if sent, err = number(boundary[2]); err != nil {
			return err
		}
		fallthrough
	case len(boundary) == 2 && (place == "after save" || place == "before apply"):
		ready := m.node.Ready()
		if err := in.save(m, ready); err != nil {
			return err
		}
		if place == "before apply" {
			sent = len(ready.Messages)
		}
		in.send(ready.Messages[:min(sent, len(ready.Messages))])
	default:
		return usage("crash NODE [before save | after save | after sending N | before apply]")
	}
	m.alive = false
	in.say("node %d is down", m.id)
	return nil
}

func (in *interpreter) restart(words []string) error {
	m, err := in.member(words)
	if err != nil {
		return err
	}
	if m.alive {
		in.say("node %d is up", m.id)
		return nil
	}
	if err := m.begin(); err != nil {
		return err
	}
	return in.perform(m)
}

// -- reading commands

func (in *interpreter) member(words []string) (*member, error) {
	if len(words) > 0 {
		id, err := number(words[0])
		if err != nil {
			return nil, err
		}
		if 1 <= id && id <= len(in.members) {
			return in.members[id-1], nil
		}
	}
	return nil, fmt.Errorf("name a node from 1 to %d", len(in.members))
}

func (in *interpreter) isUp(m *member) bool {
	if !m.alive {
		in.say("node %d is down", m.id)
	}
	return m.alive
}

func number(word string) (int, error) {
	value, err := strconv.Atoi(word)
	if err != nil || !isNumber(word) {
		return 0, fmt.Errorf("%s where a number is expected", cmp.Or(word, "nothing"))
	}
	return value, nil
}

func usage(text string) error { return fmt.Errorf("write it as: %s", text) }
