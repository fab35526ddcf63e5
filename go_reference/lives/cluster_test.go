package lives_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/cluster"
	"raftmark/host"
	"raftmark/lives"
	"raftmark/loop"
	"raftmark/raft"
)

// The models, each of which plays every scenario.
var models = []host.Model{
	{Name: "goroutines", Start: func(c lives.Config, ids []raft.NodeID, e lives.Events) (host.Cluster, error) {
		return cluster.Start(c, ids, e)
	}},
	{Name: "loop", Start: func(c lives.Config, ids []raft.NodeID, e lives.Events) (host.Cluster, error) {
		return loop.Start(c, ids, e)
	}},
}

// A scenario is a cluster in a bubble of simulated time: whatever a test waits for takes no
// time, and a goroutine that outlives Stop fails the test.
type scenario struct {
	host.Cluster
	t     *testing.T
	model host.Model
	ids   []raft.NodeID

	dataDir string

	mu     sync.Mutex
	roles  []lives.RoleChange
	failed []raft.NodeID
	said   []string
}

// long is more than any election takes.
const long = 10 * time.Second

var settings = raft.Settings{
	ElectionTimeout: raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond},
	Heartbeat:       50 * time.Millisecond,
	MaxBytes:        raft.DefaultMaxBytes,
	MaxEntries:      raft.DefaultMaxEntries,
	Window:          raft.DefaultWindow,
}

func configOf(size int, dataDir string) lives.Config {
	config := lives.Config{Settings: settings, DataDir: dataDir, Seed: 7}
	for id := range size {
		config.Settings.Nodes = append(config.Settings.Nodes, raft.NodeID(id+1))
	}
	return config
}

func (s *scenario) events() lives.Events {
	locked := func(f func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	}
	return lives.Events{
		RoleChanged: func(change lives.RoleChange) { locked(func() { s.roles = append(s.roles, change) }) },
		Failed:      func(id raft.NodeID, _ error) { locked(func() { s.failed = append(s.failed, id) }) },
		Repaired:    func(_ raft.NodeID, what string) { locked(func() { s.said = append(s.said, what) }) },
		EntriesLost: func(lost raft.LostEntries, _ raft.NodeID, _ int64) {
			locked(func() { s.said = append(s.said, fmt.Sprintf("%+v", lost)) })
		},
		MembersCommitted: func(raft.Membership) {},
	}
}

// bubble plays a scenario with a cluster of the given size, of each model.
func bubble(t *testing.T, size int, dataDir string, play func(s *scenario)) {
	bubbleOf(t, configOf(size, dataDir), play)
}

func bubbleOf(t *testing.T, config lives.Config, play func(s *scenario)) {
	parent := config.DataDir
	for _, model := range models {
		t.Run(model.Name, func(t *testing.T) {
			if parent != "" {
				config.DataDir = filepath.Join(parent, model.Name)
			}
			synctest.Test(t, func(t *testing.T) {
				s := &scenario{t: t, model: model, ids: config.Settings.Nodes, dataDir: config.DataDir}
				s.start(config)
				play(s)
				s.stop()
				s.checkEvents()
			})
		})
	}
}

func (s *scenario) start(config lives.Config) {
	s.t.Helper()
	cluster, err := s.model.Start(config, config.Settings.Nodes, s.events())
	if err != nil {
		s.t.Fatal(err)
	}
	s.Cluster = cluster
}

func (s *scenario) stop() {
	if s.Cluster != nil {
		s.Stop()
		s.Cluster = nil
	}
}

// checkEvents: no term has two leaders, and no node's term falls.
func (s *scenario) checkEvents() {
	leaders, terms := map[uint64]raft.NodeID{}, map[raft.NodeID]uint64{}
	for _, change := range s.roles {
		if change.Role == raft.Leader {
			if other, known := leaders[change.Term]; known && other != change.Node {
				s.t.Errorf("nodes %d and %d both led term %d", other, change.Node, change.Term)
			}
			leaders[change.Term] = change.Node
		}
		if change.Term < terms[change.Node] {
			s.t.Errorf("node %d fell from term %d to %d", change.Node, terms[change.Node], change.Term)
		}
		terms[change.Node] = change.Term
	}
}

// others are the nodes but for those given.
func (s *scenario) others(but ...raft.NodeID) []raft.NodeID {
	return slices.DeleteFunc(slices.Clone(s.ids), func(id raft.NodeID) bool { return slices.Contains(but, id) })
}

// leader is whom all the nodes follow, after long.
func (s *scenario) leader(among ...raft.NodeID) raft.NodeID {
	s.t.Helper()
	time.Sleep(long)
	views := map[raft.View]bool{}
	for _, id := range among {
		view := s.Status(id).View
		view.Role = raft.Follower
		views[view] = true
	}
	leader := s.Status(among[0]).Leader
	if len(views) != 1 || leader == 0 || s.Status(leader).Role != raft.Leader {
		s.t.Fatalf("nodes %v do not follow one leader: %v", among, views)
	}
	return leader
}

// outcome is what becomes of a command at a node within long.
func (s *scenario) outcome(id raft.NodeID, command *raft.Command) (raft.Outcome, bool) {
	select {
	case outcome := <-s.Submit(id, command):
		return outcome, true
	case <-time.After(long):
		return raft.Outcome{}, false
	}
}

// do has a command applied, by the leader of the given nodes.
func (s *scenario) do(command *raft.Command, among ...raft.NodeID) raft.Result {
	s.t.Helper()
	outcome, heard := s.outcome(s.leader(among...), command)
	if !heard || outcome.Err != nil {
		s.t.Fatalf("%v was not applied: %+v", command.Op, outcome)
	}
	return outcome.Result
}

func (s *scenario) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scenario) wantRefused(code raft.Code, err error) {
	s.t.Helper()
	failure := &raft.Error{}
	if !errors.As(err, &failure) || failure.Code != code {
		s.t.Errorf("the error is %v, want the code %s", err, code)
	}
}

func set(value string) *raft.Command {
	return &raft.Command{Op: raft.Set, Key: "k", Value: &value}
}

func get() *raft.Command { return &raft.Command{Op: raft.Get, Key: "k"} }

// agree checks that the nodes hold the same, up to their logs' end, as far as all keep it.
func (s *scenario) agree(among ...raft.NodeID) {
	s.t.Helper()
	time.Sleep(long)
	type held struct {
		last, applied int
		state, log    string
	}
	holds := map[held]bool{}
	first := 0
	for _, id := range among {
		first = max(first, s.Status(id).FirstIndex)
	}
	for _, id := range among {
		r := s.Replica(id)
		log := raft.LogHash(slices.Values(r.Log.Slice(first, r.LastIndex)))
		holds[held{r.LastIndex, r.AppliedIndex, r.Machine.StateHash(), log}] = true
		if r.AppliedIndex != r.LastIndex {
			s.t.Errorf("node %d applied %d of %d", id, r.AppliedIndex, r.LastIndex)
		}
	}
	if len(holds) != 1 {
		s.t.Errorf("nodes %v hold different things: %v", among, holds)
	}
}

func TestCommandsCommitOnEveryNode(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5} {
		bubble(t, size, "", func(s *scenario) {
			s.do(set("1"), s.ids...)
			if got := s.do(get(), s.ids...); got != "1" {
				s.t.Errorf("read %v", got)
			}
			s.agree(s.ids...)
		})
	}
}

func TestAFollowerNamesTheLeader(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := s.leader(s.ids...)
		outcome, _ := s.outcome(s.others(leader)[0], set("1"))
		s.wantRefused(raft.NotLeader, outcome.Err)
		if failure := outcome.Err.(*raft.Error); failure.Leader != leader {
			s.t.Errorf("it named %d, not %d", failure.Leader, leader)
		}
	})
}

// eachStorage plays a scenario with either kind.
func eachStorage(t *testing.T, size int, play func(s *scenario)) {
	t.Run("memory", func(t *testing.T) { bubble(t, size, "", play) })
	t.Run("disk", func(t *testing.T) { bubble(t, size, t.TempDir(), play) })
}

func TestACrashedLeaderIsReplacedAndComesBack(t *testing.T) {
	eachStorage(t, 3, func(s *scenario) {
		s.do(set("1"), s.ids...)
		old := s.leader(s.ids...)
		before := lives.Monotonic()
		atNs, err := s.Crash(old)
		s.must(err)
		if now := lives.Monotonic(); atNs < before || atNs > now {
			s.t.Errorf("it ceased at %d, not from %d to %d", atNs, before, now)
		}
		if got := s.Status(old); !reflect.DeepEqual(got, lives.Status{}) {
			s.t.Errorf("a crashed node is %+v", got)
		}
		if got := s.do(get(), s.others(old)...); got != "1" {
			s.t.Errorf("read %v", got)
		}
		s.must(s.Restart(old))
		s.agree(s.ids...)
	})
}

func TestACrashOfAllKeepsWhatWasSaved(t *testing.T) {
	eachStorage(t, 3, func(s *scenario) {
		s.do(set("1"), s.ids...)
		term := s.Status(1).Term
		for _, id := range s.ids {
			_, err := s.Crash(id)
			s.must(err)
		}
		for _, id := range s.ids {
			s.must(s.Restart(id))
			if got := s.Status(id); got.Term != term || got.CommitIndex != 0 || got.LastIndex != 2 {
				s.t.Errorf("node %d restarted as %+v", id, got)
			}
		}
		if got := s.do(get(), s.ids...); got != "1" {
			s.t.Errorf("read %v", got)
		}
		s.agree(s.ids...)
	})
}

func TestAnotherClusterContinuesADataDirectory(t *testing.T) {
	bubble(t, 3, filepath.Join(t.TempDir(), "data"), func(s *scenario) {
		s.do(set("1"), s.ids...)
		s.stop()
		file := filepath.Join(s.dataDir, "node-2.log")
		content, err := os.ReadFile(file)
		s.must(err)
		s.must(os.WriteFile(file, append(content, 1, 2, 3), 0o666))
		s.start(configOf(3, s.dataDir))
		if got := s.do(get(), s.ids...); got != "1" {
			s.t.Errorf("read %v", got)
		}
		if len(s.said) != 1 || !strings.Contains(s.said[0], file) {
			s.t.Errorf("said of the torn tail: %q", s.said)
		}
	})
}

func TestADamagedDirectoryStartsNothing(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "node-2.log"), []byte("no log at all"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, model := range models {
		s := &scenario{t: t}
		_, err := model.Start(configOf(3, directory), []raft.NodeID{1, 2, 3}, s.events())
		if err == nil || !strings.Contains(err.Error(), "node-2.log: offset 0") {
			t.Errorf("%s: started with the error %v", model.Name, err)
		}
		if len(s.roles) > 0 {
			t.Errorf("%s: a cluster that was not started announced %v", model.Name, s.roles)
		}
	}
}

func TestDamageFoundAtARestartLeavesTheNodeCrashed(t *testing.T) {
	bubble(t, 3, t.TempDir(), func(s *scenario) {
		s.do(set("1"), s.ids...)
		_, err := s.Crash(3)
		s.must(err)
		file := filepath.Join(s.dataDir, "node-3.log")
		whole, err := os.ReadFile(file)
		s.must(err)
		s.must(os.WriteFile(file, []byte("no log at all"), 0o666))
		s.wantRefused(raft.Unavailable, s.Restart(3))
		if got := s.Lifecycle(3); got != lives.Crashed {
			s.t.Errorf("it is %v", got)
		}
		s.must(os.WriteFile(file, whole, 0o666))
		s.must(s.Restart(3))
		s.agree(s.ids...)
	})
}

func TestAPausedFollowerStallsNobodyAndCatchesUp(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		asleep := s.others(s.leader(s.ids...))[0]
		s.must(s.Pause(asleep))
		before := s.Status(asleep)
		for i := range 2*lives.Room + 1 { // more than wait for it
			if outcome, heard := s.outcome(before.Leader, set(fmt.Sprint(i))); !heard || outcome.Err != nil {
				s.t.Fatalf("command %d: %+v", i, outcome)
			}
		}
		if got := s.Status(asleep); !reflect.DeepEqual(got, before) || got.Lifecycle != lives.Paused {
			s.t.Errorf("it went from %+v to %+v in its sleep", before, got)
		}
		s.must(s.Resume(asleep))
		s.agree(s.ids...)
	})
}

func TestAPausedLeaderIsReplacedAndStepsDownWhenItWakes(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		old := s.leader(s.ids...)
		s.must(s.Pause(old))
		outcome, heard := s.outcome(old, set("asleep"))
		if !heard {
			s.t.Error("a paused node's client waits")
		}
		s.wantRefused(raft.Unavailable, outcome.Err)
		s.do(set("2"), s.others(old)...)
		if got := s.Status(old); got.Role != raft.Leader {
			s.t.Errorf("it became %+v in its sleep", got)
		}
		s.must(s.Resume(old))
		if s.leader(s.ids...) == old {
			s.t.Error("it still leads")
		}
		s.agree(s.ids...)
	})
}

func TestWhatAStateDoesNotAllowIsRefused(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		id := s.others(s.leader(s.ids...))[0]
		crash := func(id raft.NodeID) error { _, err := s.Crash(id); return err }
		log := func(id raft.NodeID) error { _, err := s.Log(id, 1, 9); return err }
		s.wantRefused(raft.BadRequest, s.Restart(id))
		s.wantRefused(raft.BadRequest, s.Resume(id))
		s.wantRefused(raft.NotLeader, s.Heartbeat(id))
		s.must(log(id))
		s.must(s.Pause(id))
		s.wantRefused(raft.BadRequest, s.Pause(id))
		s.wantRefused(raft.BadRequest, s.Restart(id))
		s.wantRefused(raft.Unavailable, log(id))
		s.must(crash(id))
		s.wantRefused(raft.BadRequest, crash(id))
		s.wantRefused(raft.BadRequest, s.Pause(id))
		s.wantRefused(raft.BadRequest, s.Resume(id))
		s.wantRefused(raft.Unavailable, log(id))
		s.wantRefused(raft.Unavailable, s.Heartbeat(id))
		outcome, _ := s.outcome(id, set("1"))
		s.wantRefused(raft.Unavailable, outcome.Err)
		s.must(s.Restart(id))
		s.agree(s.ids...)
	})
}

func TestTheMinorityStallsUntilItHeals(t *testing.T) {
	bubble(t, 5, "", func(s *scenario) {
		s.do(set("old"), s.ids...)
		leader := s.leader(s.ids...)
		majority := s.others(leader)[1:]
		s.Partition([][]raft.NodeID{s.others(majority...), majority})
		waits := s.Submit(leader, set("minority"))
		read := s.Submit(leader, get())
		s.do(set("majority"), majority...)
		if len(waits) > 0 || len(read) > 0 {
			s.t.Error("a minority answered")
		}
		s.Partition(nil)
		s.agree(s.ids...)
		s.wantRefused(raft.Lost, (<-waits).Err)
		s.wantRefused(raft.Lost, (<-read).Err)
		if got := s.do(get(), s.ids...); got != "majority" {
			s.t.Errorf("read %v", got)
		}
	})
}

// §8: a get goes through the log, so that a deposed leader's never completes.
func TestAnIsolatedLeaderServesNoStaleRead(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		s.do(set("old"), s.ids...)
		leader := s.leader(s.ids...)
		s.Partition([][]raft.NodeID{{leader}, s.others(leader)})
		stale := s.Submit(leader, get())
		s.do(set("new"), s.others(leader)...)
		if len(stale) > 0 {
			s.t.Errorf("all alone it answered %+v", <-stale)
			return
		}
		s.Partition(nil)
		s.agree(s.ids...)
		s.wantRefused(raft.Lost, (<-stale).Err)
		if got := s.do(get(), s.ids...); got != "new" {
			s.t.Errorf("read %v", got)
		}
	})
}

// §5.2, §5.3: two halves of a cluster must not decide something each.
func TestTwoOfFourDoNothing(t *testing.T) {
	bubble(t, 4, "", func(s *scenario) {
		leader := s.leader(s.ids...)
		half := s.others(leader)[1:]
		s.Partition([][]raft.NodeID{s.others(half...), half})
		committed := s.Status(leader).CommitIndex
		waits := s.Submit(leader, set("1"))
		time.Sleep(long)
		for _, id := range half {
			if got := s.Status(id); got.Role == raft.Leader {
				s.t.Errorf("two of four elected %d", id)
			}
		}
		if got := s.Status(leader).CommitIndex; got != committed || len(waits) > 0 {
			s.t.Error("two of four committed")
		}
	})
}

func TestBadLinksLoseNothing(t *testing.T) {
	eachStorage(t, 3, func(s *scenario) {
		s.leader(s.ids...)
		s.Degrade(raft.Faults{Drop: 0.2, Duplicate: 0.2, Delay: raft.Range{High: 20 * time.Millisecond}})
		const count = 200
		for serial := 1; serial <= count; serial++ {
			s.insist(&raft.Command{
				Op: raft.Cas, Key: "k", Expect: counted(serial - 1), Value: counted(serial),
				Client: new("anna"), Serial: uint64(serial),
			})
		}
		s.Degrade(raft.Faults{})
		if got := s.do(get(), s.ids...); got != *counted(count) {
			s.t.Errorf("counted to %v", got)
		}
		s.agree(s.ids...)
	})
}

// counted is a counter's value, nil before the first.
func counted(n int) *string {
	if n == 0 {
		return nil
	}
	return new(fmt.Sprint(n))
}

// insist retries a cas until some node answers that it was applied, and that with success.
func (s *scenario) insist(command *raft.Command) {
	s.t.Helper()
	for attempt := 0; ; attempt++ {
		select {
		case outcome := <-s.Submit(s.ids[attempt%len(s.ids)], command):
			if outcome.Err == nil {
				if outcome.Result != true {
					s.t.Fatalf("serial %d was applied twice, or an earlier one not at all", command.Serial)
				}
				return
			}
			time.Sleep(time.Millisecond)
		case <-time.After(time.Second):
		}
		if attempt > 10_000 {
			s.t.Fatal("no answer")
		}
	}
}

func TestStopAnswersAllWhoWait(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := s.leader(s.ids...)
		s.Degrade(raft.Faults{Delay: raft.Range{Low: time.Hour, High: time.Hour}})
		proposed := s.Submit(leader, set("1"))
		time.Sleep(time.Second)
		s.must(s.Pause(leader))
		other := s.others(leader)[0]
		_, err := s.Crash(other)
		s.must(err)
		s.stop()
		s.wantRefused(raft.OutcomeUnknown, (<-proposed).Err)
	})
}

func TestAHeartbeatIsSentAtOnce(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := s.leader(s.ids...)
		s.Partition([][]raft.NodeID{{leader}}) // so that none is answered
		synctest.Wait()
		before := s.Counters(leader)
		s.must(s.Heartbeat(leader))
		if after := s.Counters(leader); after.Messages != before.Messages+2 {
			s.t.Errorf("%d messages", after.Messages-before.Messages)
		}
	})
}

func TestAnEntryIsAwaitedAtAFollower(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := slowly(s)
		others := s.others(leader)
		index := s.Status(leader).LastIndex
		past, err := s.Applied(others[0], index)
		s.must(err)
		if outcome := <-past; outcome.Err != nil || outcome.Index != index {
			s.t.Errorf("%+v", outcome)
		}
		next, err := s.Applied(others[0], index+1)
		s.must(err)
		never, err := s.Applied(others[1], index+2)
		s.must(err)
		time.Sleep(long)
		select {
		case outcome := <-next:
			s.t.Errorf("too early: %+v", outcome)
		default:
		}
		s.must((<-s.Submit(leader, set("1"))).Err)
		if outcome := <-next; outcome.Err != nil || outcome.Index != index+1 {
			s.t.Errorf("%+v", outcome)
		}
		_, err = s.Crash(others[1])
		s.must(err)
		s.wantRefused(raft.Unavailable, (<-never).Err)
		_, err = s.Applied(others[1], 1)
		s.wantRefused(raft.Unavailable, err)
	})
}
