package raft_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"raftmark/raft"
)

// How scripts write down what a core says: the twin of tests/raft/lockstep/text.py, which
// must write the same bytes. The words are explained in tests/scenarios/README.md.

var commandPattern = regexp.MustCompile(
	`^(?:([a-z_]+)\(([^()]*)\)|(\w+))(?:@(\w+)\.(\d+))?(?:\*(\d+))?$`)

// parseCommands returns the commands that a word of propose stands for.
func parseCommands(word string) ([]*raft.Command, error) {
	match := commandPattern.FindStringSubmatch(word)
	if match == nil {
		return nil, fmt.Errorf("%s is not a command; write one as a, set(a,1) or get(a)@client.1", word)
	}
	command := &raft.Command{Op: raft.Op(match[1])}
	arguments := strings.Split(match[2], ",")
	if match[3] != "" {
		command.Op, arguments = raft.Set, []string{match[3], match[3]}
	}
	fields := fieldsOf(command)
	if fields == nil || len(fields) != len(arguments)-1 {
		return nil, fmt.Errorf("%s: known are set(key,value), get(key), cas(key,value,expect), "+
			"add_server(key), promote_server(key), remove_server(key)", word)
	}
	command.Key = arguments[0]
	for i, field := range fields {
		if arguments[i+1] != "-" {
			*field = &arguments[i+1]
		}
	}
	if changesMembers(command) && !isNumber(command.Key) {
		return nil, fmt.Errorf("%s: name a server by its number", word)
	}
	if match[4] != "" {
		serial, err := strconv.ParseUint(match[5], 10, 64)
		if err != nil {
			return nil, err
		}
		command.Client, command.Serial = &match[4], serial
	}
	times := 1
	if match[6] != "" {
		var err error
		if times, err = strconv.Atoi(match[6]); err != nil {
			return nil, err
		}
	}
	var commands []*raft.Command
	for range times {
		commands = append(commands, command)
	}
	return commands, nil
}

func changesMembers(command *raft.Command) bool {
	return slices.Contains([]raft.Op{raft.AddServer, raft.PromoteServer, raft.RemoveServer}, command.Op)
}

func isNumber(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// fieldsOf returns where a command's arguments after the key are, nil for an op that no
// script proposes.
func fieldsOf(command *raft.Command) []**string {
	switch command.Op {
	case raft.Set:
		return []**string{&command.Value}
	case raft.Get, raft.AddServer, raft.PromoteServer, raft.RemoveServer:
		return []**string{}
	case raft.Cas:
		return []**string{&command.Value, &command.Expect}
	}
	return nil
}

func textOfCommand(command *raft.Command) string {
	text := string(command.Op)
	switch {
	case command.Op == raft.Noop:
	case command.Op == raft.Set && command.Value != nil && *command.Value == command.Key:
		text = command.Key
	default:
		text += "(" + command.Key
		for _, field := range fieldsOf(command) {
			if *field == nil {
				text += ",-"
			} else {
				text += "," + **field
			}
		}
		text += ")"
	}
	if command.Client != nil {
		text += fmt.Sprintf("@%s.%d", *command.Client, command.Serial)
	}
	return text
}

// runs writes values in brackets, with equal neighbours as one and their number after times.
func runs[T any](values []T, equal func(a, b T) bool, text func(T) string, times string) string {
	var b strings.Builder
	b.WriteByte('[')
	for first := 0; first < len(values); {
		next := first + 1
		for next < len(values) && equal(values[first], values[next]) {
			next++
		}
		if first > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text(values[first]))
		if next-first > 1 {
			b.WriteString(times)
			b.WriteString(strconv.Itoa(next - first))
		}
		first = next
	}
	b.WriteByte(']')
	return b.String()
}

func textOfEntry(e raft.Entry) string {
	return strconv.FormatUint(e.Term, 10) + ":" + textOfCommand(e.Command)
}

func textOfEntries(entries []raft.Entry) string {
	return runs(entries, func(a, b raft.Entry) bool {
		return a == b || textOfEntry(a) == textOfEntry(b)
	}, textOfEntry, "*")
}

func textOfTerms(entries []raft.Entry) string {
	return runs(entries, func(a, b raft.Entry) bool { return a.Term == b.Term },
		func(e raft.Entry) string { return strconv.FormatUint(e.Term, 10) }, "x")
}

func textOfResults(results []string) string {
	return runs(results, func(a, b string) bool { return a == b },
		func(result string) string { return result }, "*")
}

// textOfTime is a time, in milliseconds if it is whole ones.
func textOfTime(d time.Duration) string {
	if d%time.Millisecond != 0 {
		return fmt.Sprintf("%dns", d.Nanoseconds())
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

func orNone(id raft.NodeID) string {
	if id == 0 {
		return "none"
	}
	return strconv.Itoa(int(id))
}

// textOfConfiguration is the members; learners only if there are some.
func textOfConfiguration(configuration raft.Configuration) string {
	text := "voters=" + textOfIDs(configuration.Voters)
	if len(configuration.Learners) > 0 {
		text += " learners=" + textOfIDs(configuration.Learners)
	}
	return text
}

func textOfIDs(ids []raft.NodeID) string {
	if len(ids) == 0 {
		return "none"
	}
	var texts []string
	for _, id := range ids {
		texts = append(texts, strconv.Itoa(int(id)))
	}
	return strings.Join(texts, ",")
}

// textOfItems is the state machine's state, or a piece of it: keys and their values, and
// sessions with their last serial and the result of that.
func textOfItems(items []raft.Item) string {
	var texts []string
	for _, item := range items {
		text := item.Name
		if item.Serial > 0 {
			text += fmt.Sprintf("@%d", item.Serial)
		}
		texts = append(texts, text+"="+textOfResult(item.Value))
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func textOfSnapshot(snapshot *raft.Snapshot) string {
	return fmt.Sprintf("snapshot=%d/%d %s %s", snapshot.LastIndex, snapshot.LastTerm,
		textOfConfiguration(snapshot.Configuration), textOfItems(snapshot.Items))
}

// textOfRound is the round of reads, if there was one.
func textOfRound(round uint64) string {
	if round == 0 {
		return ""
	}
	return fmt.Sprintf(" round=%d", round)
}

// flagged is a word that is there or not.
func flagged(word string, set bool) string {
	if set {
		return " " + word
	}
	return ""
}

// linkOf is from where to where a message goes.
func linkOf(message raft.Message) (from, to raft.NodeID) {
	switch m := message.(type) {
	case raft.RequestVote:
		return m.From, m.To
	case raft.RequestVoteReply:
		return m.From, m.To
	case raft.AppendEntries:
		return m.From, m.To
	case raft.AppendEntriesReply:
		return m.From, m.To
	case raft.InstallSnapshot:
		return m.From, m.To
	case raft.InstallSnapshotReply:
		return m.From, m.To
	case raft.TimeoutNow:
		return m.From, m.To
	}
	panic(fmt.Sprintf("a script knows no %T", message))
}

// textOfMessage is a message in one line; a log position is index/term.
func textOfMessage(message raft.Message) string {
	var term uint64
	var details string
	switch m := message.(type) {
	case raft.RequestVote:
		term, details = m.Term, fmt.Sprintf(" last=%d/%d%s%s", m.LastLogIndex, m.LastLogTerm,
			flagged("pre_vote", m.PreVote), flagged("transfer", m.Transfer))
	case raft.RequestVoteReply:
		term, details = m.Term, flagged("granted", m.Granted)+flagged("refused", !m.Granted)+
			flagged("pre_vote", m.PreVote)
	case raft.AppendEntries:
		term, details = m.Term, fmt.Sprintf(" prev=%d/%d %s commit=%d%s", m.PrevLogIndex, m.PrevLogTerm,
			textOfEntries(m.Entries), m.LeaderCommit, textOfRound(m.Round))
	case raft.AppendEntriesReply:
		term, details = m.Term, fmt.Sprintf(" refused=%d hint=%d/%d", m.LogIndex, m.HintIndex, m.HintTerm)
		if m.Success {
			details = fmt.Sprintf(" matched=%d", m.LogIndex)
		}
		details += textOfRound(m.Round)
	case raft.InstallSnapshot:
		term, details = m.Term, fmt.Sprintf(" snapshot=%d/%d %s offset=%d %s%s%s",
			m.SnapshotIndex, m.SnapshotTerm, textOfConfiguration(m.Configuration),
			m.Offset, textOfItems(m.Items), flagged("done", m.Done), textOfRound(m.Round))
	case raft.InstallSnapshotReply:
		term, details = m.Term, fmt.Sprintf(" snapshot=%d received=%d", m.SnapshotIndex, m.Received)
	case raft.TimeoutNow:
		term = m.Term
	}
	from, to := linkOf(message)
	kind := strings.TrimPrefix(fmt.Sprintf("%T", message), "raft.")
	return fmt.Sprintf("%d->%d %s term=%d%s", from, to, kind, term, details)
}

func textOfSave(save raft.Save) string {
	var parts []string
	if save.HardState != nil {
		parts = append(parts, fmt.Sprintf("term=%d vote=%s", save.HardState.Term, orNone(save.HardState.VotedFor)))
	}
	if save.Snapshot != nil {
		parts = append(parts, textOfSnapshot(save.Snapshot))
	}
	if len(save.Entries) > 0 {
		parts = append(parts, fmt.Sprintf("from=%d %s", save.FirstIndex, textOfEntries(save.Entries)))
	}
	return strings.Join(parts, " ")
}

func textOfResult(result raft.Result) string {
	switch result := result.(type) {
	case nil:
		return "null"
	case *string: // an item's value
		if result == nil {
			return "null"
		}
		return *result
	}
	return fmt.Sprint(result)
}

func textOfRead(read raft.ReadIndex) string {
	if read.Index == 0 {
		return fmt.Sprintf("round=%d lost", read.Round)
	}
	return fmt.Sprintf("round=%d index=%d", read.Round, read.Index)
}

// textOfNode is a node's state, but for what it knows of its followers.
//
// What most nodes most of the time have not is left out: a log cut at its front, a snapshot,
// other members than the nodes that it began with, a transfer under way.
func textOfNode(id raft.NodeID, node *raft.Node, nodes []raft.NodeID) string {
	view, log := node.View(), node.Log()
	text := fmt.Sprintf("node %d %s term=%d vote=%s leader=%s log=%s commit=%d",
		id, view.Role, view.Term, orNone(node.VotedFor()), orNone(view.Leader),
		textOfTerms(log.Slice(log.FirstIndex(), log.LastIndex())), node.CommitIndex())
	if log.FirstIndex() > 1 {
		text += fmt.Sprintf(" first=%d", log.FirstIndex())
	}
	if snapshot := node.Snapshot(); snapshot.LastIndex > 0 {
		text += fmt.Sprintf(" snapshot=%d/%d", snapshot.LastIndex, snapshot.LastTerm)
	}
	if members := log.Configuration(); !slices.Equal(members.Voters, nodes) || len(members.Learners) > 0 {
		text += " " + textOfConfiguration(*members)
	}
	if hint := node.LeaderHint(); hint != view.Leader {
		text += " transfer=" + orNone(hint)
	}
	for _, lost := range node.Lost() {
		text += fmt.Sprintf(" forgot=%d:%d..%d", lost.Node, lost.First, lost.Last)
	}
	return text + flagged("snapshot_due", node.SnapshotDue())
}

// textsOfFollowers is what a leader knows of each follower.
func textsOfFollowers(id raft.NodeID, node *raft.Node) []string {
	if node.View().Role != raft.Leader {
		return nil
	}
	var texts []string
	for _, f := range node.FollowerStates() {
		mode := "replicating"
		if f.Snapshot != nil {
			mode = fmt.Sprintf("snapshot=%d offset=%d", f.Snapshot.LastIndex, f.Offset)
		} else if f.Probing {
			mode = "probing"
		}
		texts = append(texts, fmt.Sprintf("peer %d->%d match=%d next=%d %s in_flight=%d",
			id, f.ID, f.MatchIndex, f.NextIndex, mode, f.InFlight))
	}
	return texts
}
