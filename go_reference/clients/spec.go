// Package clients is a load on a deployed cluster: many clients, each with a connection of its own
// to the leader's client port. It is the same one for all contenders, and none of their program.
package clients

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	"raftmark/workload"
)

// A Spec is what is asked for. Of the Connections each sends one command after the other: the next
// at once, or with a Rate, commands a second of all of them, as soon as it is due. Besides there
// may be those who are counted in no figure: who send and never read (Slow), who do not wait for
// answers (Flood), and who connect anew for each command (Come).
type Spec struct {
	Services    map[string]string `json:"services"` // the client ports by node
	Leader      string            `json:"leader"`   // whose is tried first, as far as that is known
	Connections int               `json:"connections"`
	Slow        int               `json:"slow"`
	Flood       int               `json:"flood"`
	Come        int               `json:"come"`
	Rate        float64           `json:"rate"`
	Payload     int               `json:"payload"`
	Keys        int               `json:"keys"`
	Session     string            `json:"session"`
	WarmupS     float64           `json:"warmup_s"`
	DurationS   float64           `json:"duration_s"`
	Secret      string            `json:"-"`
}

// most is how many connections of a kind there may be.
const most = 16384

// Parse reads one, as JSON.
func Parse(line []byte) (*Spec, error) {
	s := &Spec{Connections: 1, Payload: 64, Keys: 1000, Session: "client", WarmupS: 0.5, DurationS: 2}
	if err := json.Unmarshal(line, s, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("no specification: %w", err)
	}
	for name, count := range map[string]int{
		"connections": s.Connections, "slow": s.Slow, "flood": s.Flood, "come": s.Come,
	} {
		if count < 0 || count > most {
			return nil, fmt.Errorf("%s must be from 0 to %d", name, most)
		}
	}
	switch {
	case len(s.Services) == 0 || s.Connections == 0:
		return nil, errors.New("it takes a service and a connection at least")
	case s.Rate < 0 || s.Payload < 0 || s.Keys < 1 || s.WarmupS < 0 || s.DurationS <= 0:
		return nil, errors.New("a rate, a size or a time is out of range")
	}
	return s, nil
}

func (s *Spec) all() int { return s.Connections + s.Slow + s.Flood + s.Come }

func (s *Spec) load() workload.Load {
	return workload.Load{Payload: s.Payload, Keys: s.Keys, Session: s.Session}
}

func (s *Spec) warmup() time.Duration { return seconds(s.WarmupS) }

func (s *Spec) length() time.Duration { return seconds(s.WarmupS + s.DurationS) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
