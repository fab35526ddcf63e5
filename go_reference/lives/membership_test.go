package lives_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/raft"
)

// read is what becomes of a read at a node within long.
func (s *scenario) read(id raft.NodeID) (raft.Outcome, bool) {
	select {
	case outcome := <-s.Read(id, "k"):
		return outcome, true
	case <-time.After(long):
		return raft.Outcome{}, false
	}
}

// -- reads (thesis §6.4) --

func TestALeaderAnswersReadsWithoutAnEntry(t *testing.T) {
	for _, size := range []int{1, 3} {
		bubble(t, size, "", func(s *scenario) {
			s.do(set("1"), s.ids...)
			leader := s.leader(s.ids...)
			before := s.Status(leader)
			for range 3 {
				outcome, _ := s.read(leader)
				if outcome.Err != nil || outcome.Result != "1" || outcome.Index != before.AppliedIndex {
					s.t.Errorf("read %+v", outcome)
				}
			}
			if after := s.Status(leader); !reflect.DeepEqual(after, before) {
				s.t.Errorf("it went from %+v to %+v", before, after)
			}
			for _, id := range s.others(leader) {
				outcome, _ := s.read(id)
				s.wantRefused(raft.NotLeader, outcome.Err)
				if failure := outcome.Err.(*raft.Error); failure.Leader != leader {
					s.t.Errorf("node %d named %d", id, failure.Leader)
				}
			}
		})
	}
}

func TestAnIsolatedLeaderAnswersNoRead(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		s.do(set("old"), s.ids...)
		old := s.leader(s.ids...)
		s.Partition([][]raft.NodeID{{old}, s.others(old)})
		stale := s.Read(old, "k")
		s.do(set("new"), s.others(old)...)
		if len(stale) > 0 {
			s.t.Fatalf("all alone it answered %+v", <-stale)
		}
		s.Partition(nil)
		leader := s.leader(s.ids...)
		s.wantRefused(raft.NotLeader, (<-stale).Err)
		if outcome, _ := s.read(leader); outcome.Result != "new" {
			s.t.Errorf("read %+v", outcome)
		}
	})
}

func TestANodeThatCeasesRefusesItsReaders(t *testing.T) {
	for name, cease := range map[string]func(s *scenario, id raft.NodeID){
		"crash": func(s *scenario, id raft.NodeID) { _, err := s.Crash(id); s.must(err) },
		"leave": func(s *scenario, id raft.NodeID) { s.Leave(id) },
		"stop":  func(s *scenario, _ raft.NodeID) { s.stop() },
		"crash while paused": func(s *scenario, id raft.NodeID) {
			s.must(s.Pause(id))
			_, err := s.Crash(id)
			s.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, "", func(s *scenario) {
				leader := s.leader(s.ids...)
				s.Partition([][]raft.NodeID{{leader}})
				waits := s.Read(leader, "k")
				synctest.Wait()
				cease(s, leader)
				s.wantRefused(raft.Unavailable, (<-waits).Err)
			})
		})
	}
}

// -- snapshots (§7) --

func TestAFollowerThatMissedMuchGetsASnapshot(t *testing.T) {
	eachStorage(t, 3, func(s *scenario) {
		leader := s.leader(s.ids...)
		late := s.others(leader)[0]
		_, err := s.Crash(late)
		s.must(err)
		for range 5 {
			s.do(set("1"), s.others(late)...)
		}
		s.agree(s.others(late)...)
		index := s.Status(leader).AppliedIndex
		for _, id := range s.others(late) {
			snapshot, err := s.Compact(id)
			s.must(err)
			if got := s.Status(id); snapshot.LastIndex != index || got.FirstIndex != index+1 || got.SnapshotIndex != index {
				s.t.Errorf("node %d compacted its log to %+v, of %d", id, got, index)
			}
		}
		s.do(set("2"), s.others(late)...)
		s.must(s.Restart(late))
		s.agree(s.ids...)
		if got := s.Status(late); got.SnapshotIndex != index || got.FirstIndex != index+1 {
			s.t.Errorf("it came to %+v", got)
		}
		// And what it got it has after a crash, too.
		_, err = s.Crash(late)
		s.must(err)
		s.must(s.Restart(late))
		if got := s.Status(late); got.AppliedIndex != index {
			s.t.Errorf("restarted it has applied %d", got.AppliedIndex)
		}
		s.agree(s.ids...)
	})
}

// docs/protocol.md, start: nodes which have applied as much keep as much.
func TestLogsAreCompactedAsTheyGrow(t *testing.T) {
	config := configOf(3, "")
	config.Settings.SnapshotEntries = 40
	bubbleOf(t, config, func(s *scenario) {
		leader := s.leader(s.ids...)
		for range 210 {
			if outcome, heard := s.outcome(leader, set("1")); !heard || outcome.Err != nil {
				s.t.Fatalf("%+v", outcome)
			}
			synctest.Wait() // or a follower may lag by more than the log keeps
		}
		s.agree(s.ids...)
		for _, id := range s.ids {
			if got := s.Status(id); got.LastIndex != 211 || got.FirstIndex != 191 || got.SnapshotIndex != 200 {
				s.t.Errorf("node %d is %+v", id, got)
			}
		}
		log, err := s.Log(leader, 1, 195)
		s.must(err)
		if log.First != 191 || len(log.Entries) != 5 {
			s.t.Errorf("of its log there are %d entries from %d", len(log.Entries), log.First)
		}
	})
}

// -- leadership and members (thesis §3.10, §4) --

func TestALeaderHandsOver(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		s.do(set("1"), s.ids...)
		old := s.leader(s.ids...)
		next := s.others(old)[1]
		s.Block([]raft.Way{{From: next, To: old}}) // so that it does not hear of its success at once
		begun, err := s.Transfer(old, next)
		s.must(err)
		outcome, _ := s.outcome(old, set("meanwhile"))
		s.wantRefused(raft.NotLeader, outcome.Err)
		if failure := outcome.Err.(*raft.Error); !begun || failure.Leader != next {
			s.t.Errorf("begun %v; its clients were sent to %d", begun, failure.Leader)
		}
		s.Partition(nil)
		if got := s.leader(s.ids...); got != next {
			s.t.Errorf("now %d leads", got)
		}
		if begun, err = s.Transfer(old, next); begun || err != nil {
			s.t.Errorf("a follower handed over, with the error %v", err)
		}
		s.agree(s.ids...)
	})
}

func TestAServerJoinsAndLeaves(t *testing.T) {
	eachStorage(t, 3, func(s *scenario) {
		s.do(set("1"), s.ids...)
		leader := s.leader(s.ids...)
		change := func(op raft.Op, id raft.NodeID) {
			s.t.Helper()
			if outcome, _ := s.outcome(leader, raft.MembershipCommand(op, id)); outcome.Result != true {
				s.t.Fatalf("%s %d: %+v", op, id, outcome)
			}
		}
		// A member that does not run yet is spoken to all the same.
		change(raft.AddServer, 4)
		time.Sleep(long)
		if got := s.Status(leader).Configuration; !slices.Equal(got.Learners, []raft.NodeID{4}) {
			s.t.Errorf("the members are %v", got)
		}
		s.must(s.Join(4, true))
		all := append(s.ids, 4)
		s.agree(all...)
		for _, id := range all {
			if got := s.Status(id).Configuration; !slices.Equal(got.Voters, all) || len(got.Learners) > 0 {
				s.t.Errorf("node %d's members are %v", id, got)
			}
		}
		change(raft.RemoveServer, 4)
		s.Leave(4)
		s.Leave(4)
		s.do(set("2"), s.ids...)
		change(raft.AddServer, 4)
		s.must(s.Join(4, true))
		s.wantRefused(raft.BadRequest, s.Join(4, true))
		s.agree(all...)
	})
}

// The first voters are nowhere in the log: a server that joins has to know them, or the
// entries would tell it of a cluster of its own.
func TestAServerThatJoinsAloneElectsNobody(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := s.leader(s.ids...)
		s.must(s.Join(4, true))
		outcome, _ := s.outcome(leader, raft.MembershipCommand(raft.AddServer, 4))
		s.must(outcome.Err)
		all := append(s.ids, 4)
		s.agree(all...)
		s.Partition([][]raft.NodeID{{4}, s.ids})
		time.Sleep(long)
		if got := s.Status(4); got.Role == raft.Leader {
			s.t.Errorf("cut off it leads: %+v", got)
		}
		s.Partition(nil)
		s.agree(all...)
	})
}
