package host

import (
	"fmt"
	"sync"
	"time"

	"raftmark/raft"
)

// maxTold is how many refusals are told of in a second: whoever is refused a thousand times does
// not fill the log.
const maxTold = 10

// Refusals tell of connections that were refused or thrown away, with peers and with clients.
type refusals struct {
	tell func(peer raft.NodeID, reason string)

	mu     sync.Mutex
	since  time.Time // the second's beginning
	told   int       // in this second
	untold int
}

func (r *refusals) add(peer raft.NodeID, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.since) > time.Second {
		r.since, r.told = now, 0
	}
	if r.told == maxTold {
		r.untold++
		return
	}
	r.told++
	if r.untold > 0 {
		reason = fmt.Sprintf("%s (and %d others before it)", reason, r.untold)
		r.untold = 0
	}
	r.tell(peer, reason)
}
