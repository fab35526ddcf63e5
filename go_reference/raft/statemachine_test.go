package raft

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

func run(t *testing.T, s *StateMachine, command Command) Result {
	t.Helper()
	before := s.AppliedIndex()
	result, err := s.Apply(Entry{1, &command})
	if err != nil || s.AppliedIndex() != before+1 {
		t.Fatalf("%+v: error %v, applied index %d", command, err, s.AppliedIndex())
	}
	return result
}

func TestTheOperations(t *testing.T) {
	s := NewStateMachine()
	for i, c := range []struct {
		command Command
		want    Result
	}{
		{Command{Op: Noop}, nil},
		{Command{Op: Get, Key: "k"}, nil},
		{Command{Op: Cas, Key: "k", Expect: new("1"), Value: new("2")}, false},
		{Command{Op: Cas, Key: "k", Value: new("1")}, true},
		{Command{Op: Get, Key: "k"}, "1"},
		{Command{Op: Cas, Key: "k", Value: new("2")}, false},
		{Command{Op: Cas, Key: "k", Expect: new("1"), Value: new("")}, true},
		{Command{Op: Get, Key: "k"}, ""},
		{Command{Op: Set, Key: "k", Value: new("3")}, nil},
		{Command{Op: Get, Key: "k"}, "3"},
		{Command{Op: Get, Key: ""}, nil},
	} {
		if got := run(t, s, c.command); got != c.want {
			t.Errorf("step %d answered %v, want %v", i, got, c.want)
		}
	}
}

// §8: the retry gets the first one's result.
func TestARetryIsAppliedOnce(t *testing.T) {
	s := NewStateMachine()
	cas := Command{Op: Cas, Key: "k", Value: new("1"), Client: new("anna"), Serial: 1}
	if run(t, s, cas) != true || run(t, s, Command{Op: Set, Key: "k", Value: new("2")}) != nil {
		t.Fatal("the first attempt failed")
	}
	if run(t, s, cas) != true {
		t.Error("the retry did not get the first one's result")
	}
	if got := run(t, s, Command{Op: Get, Key: "k"}); got != "2" {
		t.Errorf("the retry was applied: %v", got)
	}
	if got := run(t, s, Command{Op: Get, Key: "k", Client: new("bert"), Serial: 1}); got != "2" {
		t.Errorf("another session's serial was taken for a retry: %v", got)
	}
}

func TestALowerSerialIsNotApplied(t *testing.T) {
	s := NewStateMachine()
	set := func(serial uint64, value string) error {
		_, err := s.Apply(Entry{1, &Command{Op: Set, Key: "k", Value: &value, Client: new("anna"), Serial: serial}})
		return err
	}
	if err := errors.Join(set(1, "1"), set(5, "5")); err != nil {
		t.Fatal(err)
	}
	if err := set(4, "4"); !errors.Is(err, ErrStaleSerial) {
		t.Errorf("applied with the error %v", err)
	}
	if got := run(t, s, Command{Op: Get, Key: "k"}); got != "5" || s.AppliedIndex() != 4 {
		t.Errorf("the value is %v, the applied index %d", got, s.AppliedIndex())
	}
}

// docs/protocol.md, Hashes
func TestTheHashes(t *testing.T) {
	log := NewReplicatedLog(Snapshot{}, []Entry{
		{1, &Command{Op: Noop}},
		{2, &Command{Op: Set, Key: "é", Value: new("2")}},
		{2, &Command{Op: Cas, Key: "b", Value: new(""), Client: new("c"), Serial: 258}},
		{2, &Command{Op: Get, Key: "b"}},
	})
	s := NewStateMachine()
	for entry := range log.Until(4) {
		if _, err := s.Apply(entry); err != nil {
			t.Fatal(err)
		}
	}
	const (
		null  = "\xff\xff\xff\xff"
		zero  = "\x00\x00\x00\x00\x00\x00\x00\x00"
		one   = "\x01\x00\x00\x00\x00\x00\x00\x00"
		two   = "\x02\x00\x00\x00\x00\x00\x00\x00"
		n258  = "\x02\x01\x00\x00\x00\x00\x00\x00"
		empty = "\x00\x00\x00\x00"
	)
	if got, want := s.StateHash(), digest(two+
		"\x01\x00\x00\x00b"+empty+
		"\x02\x00\x00\x00é"+"\x01\x00\x00\x002"+
		one+"\x01\x00\x00\x00c"+n258); got != want {
		t.Errorf("state hash %s, want %s", got, want)
	}
	if got, want := LogHash(log.Until(4)), digest(
		one+"\x04\x00\x00\x00noop"+empty+null+null+null+zero+
			two+"\x03\x00\x00\x00set"+"\x02\x00\x00\x00é"+"\x01\x00\x00\x002"+null+null+zero+
			two+"\x03\x00\x00\x00cas"+"\x01\x00\x00\x00b"+empty+null+"\x01\x00\x00\x00c"+n258+
			two+"\x03\x00\x00\x00get"+"\x01\x00\x00\x00b"+null+null+null+zero); got != want {
		t.Errorf("log hash %s, want %s", got, want)
	}
	if got, want := LogHash(log.Until(0)), digest(""); got != want {
		t.Errorf("the hash of no entries is %s, want %s", got, want)
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestACloneIsAStateOfItsOwn(t *testing.T) {
	s := NewStateMachine()
	set := func(serial uint64) Command {
		return Command{Op: Set, Key: "k", Value: new("v"), Client: new("anna"), Serial: serial}
	}
	run(t, s, set(1))
	clone := s.Clone()
	hashes := []string{s.StateHash()}
	run(t, s, set(2))
	hashes = append(hashes, clone.StateHash())
	run(t, clone, set(2))
	hashes = append(hashes, s.StateHash(), clone.StateHash())
	if hashes[0] != hashes[1] || hashes[2] != hashes[3] || hashes[1] == hashes[2] {
		t.Errorf("hashes: %v", slices.Compact(hashes))
	}
	if clone.AppliedIndex() != s.AppliedIndex() {
		t.Errorf("applied index %d, not %d", clone.AppliedIndex(), s.AppliedIndex())
	}
}

// §7: all of it, retries' results too.
func TestARestoredStateIsTheSame(t *testing.T) {
	s := NewStateMachine()
	anna := Command{Op: Cas, Key: "b", Value: new("1"), Client: new("anna"), Serial: 3}
	for _, command := range []Command{
		anna,
		{Op: Set, Key: "a", Value: new("")},
		{Op: Get, Key: "b", Client: new("bert"), Serial: 1},
		{Op: Set, Key: "b", Value: new("2"), Client: new("cleo"), Serial: 9},
		{Op: AddServer, Key: "4"},
	} {
		run(t, s, command)
	}
	items := s.Items()
	want := []Item{{"a", "", 0}, {"b", "2", 0}, {"anna", true, 3}, {"bert", "1", 1}, {"cleo", nil, 9}}
	if !slices.Equal(items, want) {
		t.Errorf("the items are %v", items)
	}
	other := NewStateMachine()
	run(t, other, Command{Op: Set, Key: "gone", Value: new("x")})
	other.Restore(&Snapshot{LastIndex: 5, Items: items})
	if other.StateHash() != s.StateHash() || other.AppliedIndex() != 5 || !slices.Equal(other.Items(), items) {
		t.Errorf("restored were %v at %d", other.Items(), other.AppliedIndex())
	}
	if run(t, other, anna) != true || other.Get("b") != "2" || other.Get("gone") != nil {
		t.Error("a retry was applied, or something else is there")
	}
}

func TestAChangeOfMembersAnswersThatItWasMade(t *testing.T) {
	for _, op := range []Op{AddServer, PromoteServer, RemoveServer} {
		if got := run(t, NewStateMachine(), Command{Op: op, Key: "4"}); got != true {
			t.Errorf("%s answered %v", op, got)
		}
	}
}
