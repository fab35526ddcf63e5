package replay

import (
	"encoding/json/v2"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"raftmark/raft"
)

// As raftmark/replay/recording.py has them.
var settings = raft.Settings{
	Nodes:           []raft.NodeID{1, 2, 3},
	ElectionTimeout: raft.Range{Low: 150, High: 300},
	Heartbeat:       50,
	MaxEntries:      raft.DefaultMaxEntries,
	MaxBytes:        raft.DefaultMaxBytes,
	Window:          4,
	SnapshotEntries: 512,
}

// Main replays every story of a file and prints what that took, a JSON object by the story's name:
// how many commands were answered, and how many objects were allocated. With --times N it counts
// nothing and replays each so often, for a tool that counts from outside.
func Main(arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("raftmark-go replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	times := flags.Int("times", 0, "")
	if len(arguments) == 0 || flags.Parse(arguments[1:]) != nil || flags.NArg() > 0 || *times < 0 {
		return errors.New("usage: raftmark-go replay RECORDING [--times N]")
	}
	stories, err := Read(arguments[0])
	if err != nil {
		return err
	}
	found := make(map[string]map[string]uint64)
	for _, story := range stories {
		counts := make(map[string]uint64)
		for range max(1, *times) {
			before := allocated()
			answered, err := story.replay()
			if err != nil {
				return fmt.Errorf("%s: %w", story.Name, err)
			}
			counts["commands"] = uint64(answered)
			if *times == 0 {
				counts["allocations"] = allocated() - before
			}
		}
		found[story.Name] = counts
	}
	line, err := json.Marshal(found, json.Deterministic(true))
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", line)
	}
	return err
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}

// replay lets it all happen to three new servers, and returns how many commands were answered. An
// error says that the core does not do any more what it did when the recording was made.
func (s Story) replay() (asked int, err error) {
	answered := 0
	answer := func(raft.Outcome) { answered++ }
	servers := make(map[raft.NodeID]*raft.Server, len(settings.Nodes))
	for _, id := range settings.Nodes {
		servers[id] = newServer(id)
	}
	for _, h := range s.happened {
		server := servers[h.node]
		switch h.kind {
		case turn:
			if err := server.CarryOut(); err != nil {
				return 0, err
			}
		case timer:
			server.TimeOut()
		case message:
			server.Receive(h.message)
		case commands:
			for _, command := range h.commands {
				server.Propose(raft.Proposal{Command: command, Done: answer})
			}
			asked += len(h.commands)
		}
	}
	first := servers[settings.Nodes[0]].Status()
	for _, server := range servers {
		status := server.Status()
		if status.LastIndex != first.LastIndex || status.CommitIndex != first.CommitIndex {
			return 0, fmt.Errorf("the servers end with different logs: record it anew")
		}
	}
	if answered != asked {
		return 0, fmt.Errorf("%d of %d commands were answered: record it anew", answered, asked)
	}
	return asked, nil
}

// newServer returns a server at a clock that stands still, which saves nowhere and whose messages
// go nowhere: those that come are recorded.
func newServer(id raft.NodeID) *raft.Server {
	server := raft.NewServer(id, settings, func() float64 { return 0.5 }, raft.Saved{}, raft.Runtime{
		Save:         func(raft.Save) error { return nil },
		Send:         func([]raft.Message) {},
		RestartTimer: func(time.Duration) {},
		Announce:     func(raft.View) {},
		ReportLoss:   func(raft.LostEntries) {},
		TellMembers:  func(raft.Membership) {},
		Now:          func() time.Duration { return 0 },
		Counters:     &raft.Counters{},
	})
	server.Begin()
	return server
}
