package host

import (
	"errors"
	"testing"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// A leader knows first that it leads no longer; its word of it may come after a request.
func TestALeaderThatHasSteppedDownCannotHandOverForNow(t *testing.T) {
	c, err := startControl(goroutines, lives.Config{Settings: raft.Settings{
		Nodes:           []raft.NodeID{1, 2, 3},
		ElectionTimeout: raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond},
		Heartbeat:       30 * time.Millisecond,
		MaxBytes:        raft.DefaultMaxBytes,
		MaxEntries:      1024,
		Window:          4,
	}}, lives.Events{
		RoleChanged: func(lives.RoleChange) {},
		Failed:      func(node raft.NodeID, err error) { t.Errorf("node %d failed: %v", node, err) },
		EntriesLost: func(lost raft.LostEntries, _ raft.NodeID, _ int64) { t.Errorf("lost were %+v", lost) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	leader, err := c.awaitSettled(30 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	former := raft.NodeID(1)
	if leader.Node == former {
		former = 2
	}
	// What a former leader last said of itself, and no later term's leader has been heard of.
	c.note(lives.RoleChange{
		Node: former, View: raft.View{Role: raft.Leader, Term: leader.Term + 1000, Leader: former},
	})
	refused := func(to raft.NodeID, code raft.Code) {
		t.Helper()
		_, err := c.transfer(to)
		if failure := (*raft.Error)(nil); !errors.As(err, &failure) || failure.Code != code {
			t.Errorf("to node %d: %v, not %s", to, err, code)
		}
	}
	refused(leader.Node, raft.Unavailable)
	refused(9, raft.BadRequest)
}
