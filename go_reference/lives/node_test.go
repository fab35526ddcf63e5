package lives

import (
	"testing"
	"time"

	"raftmark/raft"
)

type silent struct{}

func (silent) Restart(time.Duration) {}
func (silent) Expired() bool         { return false }
func (silent) Stop()                 {}

func TestOnlySoManyMessagesWaitForAPausedNode(t *testing.T) {
	settings := raft.Settings{Nodes: []raft.NodeID{1, 2, 3}, ElectionTimeout: raft.Range{Low: 1, High: 2}}
	n := NewNode(1, Config{Settings: settings}, silent{}, func(raft.Message) {}, Events{
		RoleChanged: func(RoleChange) {},
	})
	if err := n.Load(); err != nil {
		t.Fatal(err)
	}
	n.Begin()
	n.become(Paused)
	for range 3 * Room {
		n.Put(Event{Message: raft.RequestVoteReply{Term: 0, From: 2, To: 1}})
	}
	if len(n.held) != Room {
		t.Errorf("%d wait", len(n.held))
	}
	refused := 0
	for range Room {
		n.Put(Event{Query: &raft.Query{Done: func(raft.Outcome) { refused++ }}})
	}
	n.Cease("the test ended")
	if refused != Room {
		t.Errorf("%d clients were answered", refused)
	}
}
