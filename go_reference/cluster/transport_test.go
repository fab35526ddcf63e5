package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

func ping(to raft.NodeID) raft.Message { return raft.RequestVote{From: 1, To: to} }

func connected(nodes ...raft.NodeID) *transport {
	t := newTransport(nil)
	for _, id := range nodes {
		t.connect(id)
	}
	return t
}

func half() float64 { return 0.5 }

func degraded(faults raft.Faults) func(raft.Links) raft.Links {
	return func(links raft.Links) raft.Links { return links.Degraded(faults) }
}

func TestAFullInboxLosesMessages(t *testing.T) {
	transport := connected(1, 2)
	defer transport.close()
	for range lives.Room + 5 {
		transport.send(1, ping(2), half)
	}
	if got := len(transport.inbox(2)); got != lives.Room {
		t.Errorf("%d messages wait", got)
	}
}

func TestADelayedMessageComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := connected(1, 2)
		transport.change(degraded(raft.Faults{Delay: raft.Range{High: 2 * time.Second}}))
		transport.send(1, ping(2), half)
		start := time.Now()
		<-transport.inbox(2)
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
		transport.close()
	})
}

func TestMessagesOnTheirWayEndWithTheTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := connected(1, 2)
		transport.change(degraded(raft.Faults{Delay: raft.Range{Low: time.Hour, High: time.Hour}}))
		for range 10 {
			transport.send(1, ping(2), half)
		}
		transport.close() // or the bubble's last goroutines would outlive the test
		time.Sleep(2 * time.Hour)
		if got := len(transport.inbox(2)); got != 0 {
			t.Errorf("%d messages came after the end", got)
		}
	})
}

func TestPartitionAndFaultsAreChangedApart(t *testing.T) {
	transport := connected(1, 2, 3)
	defer transport.close()
	transport.change(degraded(raft.Faults{Duplicate: 1}))
	transport.change(func(links raft.Links) raft.Links {
		return links.Partitioned([][]raft.NodeID{{1, 2}, {3}})
	})
	transport.send(1, ping(2), half)
	transport.send(1, ping(3), half)
	if got := len(transport.inbox(2)); got != 2 {
		t.Errorf("the message to node 2 came %d times", got)
	}
	if got := len(transport.inbox(3)); got != 0 {
		t.Errorf("the message to node 3 came %d times", got)
	}
}
