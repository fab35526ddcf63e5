package workload

import (
	"context"
	"fmt"
	"strings"
	"time"

	"raftmark/raft"
)

// A Load is what the clients of a workload send.
type Load struct {
	Payload int // bytes
	Keys    int
	Session string // what their names begin with
}

// A Session is a client's: the source of its commands. It belongs to one goroutine at a time.
type Session struct {
	number, stride int
	name           string
	keys           []string
	value          string
	serial         uint64
}

// Sessions are those of so many clients.
func (l Load) Sessions(count int) []*Session {
	keys := make([]string, l.Keys)
	for m := range keys {
		keys[m] = fmt.Sprintf("key-%d", m)
	}
	value := strings.Repeat("x", l.Payload)
	sessions := make([]*Session, count)
	for number := range sessions {
		sessions[number] = &Session{
			number: number,
			stride: count,
			name:   fmt.Sprintf("%s-%d", l.Session, number),
			keys:   keys,
			value:  value,
		}
	}
	return sessions
}

// Next is the session's next command.
func (s *Session) Next() *raft.Command {
	s.serial++
	key := (uint64(s.number) + s.serial*uint64(s.stride)) % uint64(len(s.keys))
	return &raft.Command{
		Op: raft.Set, Key: s.keys[key], Value: &s.value, Client: &s.name, Serial: s.serial,
	}
}

// ReportInterval is how often a workload tells of its progress.
const ReportInterval = 200 * time.Millisecond

// Pass lets time pass, and reports now and then. It fails early with ctx's cause.
func Pass(ctx context.Context, d time.Duration, report func()) error {
	end := time.NewTimer(d)
	defer end.Stop()
	often := time.NewTicker(ReportInterval)
	defer often.Stop()
	for {
		select {
		case <-often.C:
			report()
		case <-end.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
