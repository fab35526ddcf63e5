package network

import (
	"reflect"
	"strings"
	"testing"

	"raftmark/raft"
)

func entriesAfter(index int, bytes int) raft.Message {
	value := strings.Repeat("v", bytes)
	return raft.AppendEntries{Term: 1, From: 1, To: 2, PrevLogIndex: index, Entries: []raft.Entry{
		{Term: 1, Command: &raft.Command{Op: raft.Set, Key: "k", Value: &value}},
	}}
}

func openOutbox() *outbox {
	o := newOutbox()
	o.connect()
	return o
}

// taken are the messages of all writes, in their order.
func taken(o *outbox) (messages []raft.Message) {
	for batch := o.take(nil); len(batch) > 0; batch = o.take(nil) {
		for _, out := range batch {
			messages = append(messages, out.message)
		}
	}
	return messages
}

func TestVotesAnswersAndHeartbeatsOvertakeEntries(t *testing.T) {
	entries, more := entriesAfter(7, 10), entriesAfter(8, 10)
	heartbeat := raft.AppendEntries{Term: 1, From: 1, To: 2, PrevLogIndex: 7}
	asksForAll := raft.AppendEntries{Term: 1, From: 1, To: 2, PrevLogIndex: 9}
	handover := raft.TimeoutNow{Term: 1, From: 1, To: 2}
	vote := raft.RequestVote{Term: 2, From: 1, To: 2}
	answer := raft.AppendEntriesReply{Term: 2, From: 1, To: 2}
	o := openOutbox()
	for _, message := range []raft.Message{entries, more, vote, asksForAll, handover, answer, heartbeat} {
		o.put(message, 0)
	}
	// Entries that are asked for, and the handover that rests on them, come after them.
	want := []raft.Message{vote, answer, heartbeat, entries, more, asksForAll, handover}
	if got := taken(o); !reflect.DeepEqual(got, want) {
		t.Errorf("the order is %v", got)
	}
}

// What is in haste waits for one write at most, however much there is.
func TestAWriteIsOfAFewMessages(t *testing.T) {
	o := openOutbox()
	for index := range 100 {
		o.put(entriesAfter(index, writeSize/4), 0)
	}
	o.take(nil)
	vote := raft.RequestVote{Term: 2, From: 1, To: 2}
	o.put(vote, 0)
	batch := o.take(nil)
	if batch[0].message != raft.Message(vote) || len(batch) != 5 {
		t.Errorf("a write of %d begins with %v", len(batch), batch[0].message)
	}
}

func TestTheBacklogIsBounded(t *testing.T) {
	o := openOutbox()
	const size = 1 << 20
	for index := range 100 {
		o.put(entriesAfter(index, size), 0)
	}
	if o.size < maxBacklog || o.size > maxBacklog+2*size {
		t.Errorf("%d bytes wait", o.size)
	}
	kept := taken(o)
	if len(kept) != maxBacklog/size {
		t.Errorf("%d messages were kept", len(kept))
	}
	if o.size != 0 {
		t.Errorf("when all are taken, %d bytes wait", o.size)
	}
}

func TestWithoutAConnectionAllIsDropped(t *testing.T) {
	o := newOutbox()
	o.put(entriesAfter(1, 1), 0)
	o.connect()
	o.put(entriesAfter(2, 1), 0)
	o.disconnect()
	o.connect()
	if waiting := taken(o); len(waiting) > 0 {
		t.Errorf("waiting are %v", waiting)
	}
}
