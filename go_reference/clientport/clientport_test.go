package clientport

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"raftmark/raft"
)

// greeted has a client and a node shake hands, and returns what each has come to.
func greeted(t *testing.T, asked, wanted []byte, session string) (got string, client, node error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	done := make(chan error, 1)
	port := &Port{Node: 7, Secret: wanted}
	go func() {
		defer theirs.Close()
		var err error
		if got, err = port.Welcome(theirs, NewReader(theirs)); err != nil {
			theirs.Write(AppendClosing(nil, err.Error()))
		}
		done <- err
	}()
	client = Greet(ours, NewReader(ours), session, asked)
	node = <-done
	return got, client, node
}

func TestWhoHasTheSecretIsWelcome(t *testing.T) {
	for _, secret := range [][]byte{nil, []byte("0123456789abcdef")} {
		got, client, node := greeted(t, secret, secret, "a")
		if got != "a" || client != nil || node != nil {
			t.Errorf("secret %q: session %q, client %v, node %v", secret, got, client, node)
		}
	}
}

func TestWhoHasNotTheSecretHearsWhy(t *testing.T) {
	wanted := []byte("0123456789abcdef")
	for told, asked := range map[string][]byte{
		"a secret is wanted":  nil,
		"the secret is wrong": []byte("fedcba9876543210"),
	} {
		_, client, node := greeted(t, asked, wanted, "a")
		if node == nil || node.Error() != told {
			t.Errorf("the node says %v, not %q", node, told)
		}
		if client == nil || !strings.Contains(client.Error(), told) {
			t.Errorf("the client hears %v, not %q", client, told)
		}
	}
}

func TestASessionsNameIsBounded(t *testing.T) {
	for _, session := range []string{"", strings.Repeat("s", maxSessionBytes+1), "\xff"} {
		if _, _, err := greeted(t, nil, nil, session); err == nil {
			t.Errorf("session %q is welcome", session)
		}
	}
}

func TestWhatIsSaidIsHeard(t *testing.T) {
	session := "s"
	commands := []*raft.Command{
		{Op: raft.Set, Key: "k", Value: new("v"), Client: &session, Serial: 1},
		{Op: raft.Get, Key: "k", Client: &session, Serial: 2},
		{Op: raft.Cas, Key: "k", Value: new("w"), Expect: new("v"), Client: &session, Serial: maxSerial},
		{Op: raft.Set, Key: "k", Value: new(strings.Repeat("long", readSize)), Client: &session, Serial: 3},
	}
	var stream []byte
	for _, command := range commands {
		stream = AppendCommand(stream, command)
	}
	reader := NewReader(bytes.NewReader(stream))
	for _, sent := range commands {
		heard, err := reader.Command(&session)
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
		if heard.Op != sent.Op || heard.Key != sent.Key || heard.Serial != sent.Serial ||
			!same(heard.Value, sent.Value) || !same(heard.Expect, sent.Expect) {
			t.Errorf("%+v is heard as %+v", sent, heard)
		}
	}
	if _, err := reader.Command(&session); err != io.EOF {
		t.Errorf("after the last one: %v", err)
	}
}

func TestAFrameThatHasNotComeWholeIsNotWaiting(t *testing.T) {
	frame := AppendCommand(nil, &raft.Command{Op: raft.Get, Key: "k", Serial: 1})
	for cut := range len(frame) + 1 {
		stream := append(bytes.Clone(frame), frame[:cut]...)
		reader := NewReader(bytes.NewReader(stream))
		if _, err := reader.Command(new("s")); err != nil {
			t.Fatal(err)
		}
		if got, want := reader.Waiting(), cut == len(frame); got != want {
			t.Errorf("with %d of %d bytes: %v", cut, len(frame), got)
		}
	}
}

func TestWhatIsNoCommandIsRefused(t *testing.T) {
	wrong := map[string]*raft.Command{
		"no serial":       {Op: raft.Get, Key: "k"},
		"no operation":    {Op: "eat", Key: "k", Serial: 1},
		"a get's value":   {Op: raft.Get, Key: "k", Value: new("v"), Serial: 1},
		"no value":        {Op: raft.Set, Key: "k", Serial: 1},
		"a set expects":   {Op: raft.Set, Key: "k", Value: new("v"), Expect: new("v"), Serial: 1},
		"a long key":      {Op: raft.Get, Key: strings.Repeat("k", maxKeyBytes+1), Serial: 1},
		"a long value":    {Op: raft.Set, Key: "k", Value: new(strings.Repeat("v", maxValueBytes+1)), Serial: 1},
		"what is no text": {Op: raft.Set, Key: "k", Value: new("\xff"), Serial: 1},
	}
	for what, command := range wrong {
		reader := NewReader(bytes.NewReader(AppendCommand(nil, command)))
		if heard, err := reader.Command(new("s")); err == nil {
			t.Errorf("%s: heard %+v", what, heard)
		}
	}
	if _, err := NewReader(bytes.NewReader([]byte{0, 0, 0, 0x80})).Command(new("s")); err == nil {
		t.Error("a frame of 2 GiB is waited for")
	}
}

func TestOutcomesAreHeardWithWhereTheLeaderIs(t *testing.T) {
	port := &Port{Node: 1}
	port.Tell(map[raft.NodeID]string{2: "127.0.0.1:9"})
	stream := port.AppendOutcome(nil, 1, raft.Outcome{Index: 5, Term: 3, Result: true})
	stream = port.AppendOutcome(stream, 2, raft.Outcome{Err: &raft.Error{Code: raft.NotLeader, Leader: 2}})
	stream = port.AppendOutcome(stream, 3, raft.Outcome{Err: &raft.Error{Code: raft.NotLeader}})
	reader := NewReader(bytes.NewReader(stream))
	for _, want := range []Answer{
		{Serial: 1, Index: 5, Term: 3},
		{Serial: 2, Code: raft.NotLeader, Leader: "127.0.0.1:9"},
		{Serial: 3, Code: raft.NotLeader},
	} {
		if heard, err := reader.Answer(); err != nil || heard != want {
			t.Errorf("heard %+v, %v; want %+v", heard, err, want)
		}
	}
}
