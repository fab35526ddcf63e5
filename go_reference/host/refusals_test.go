package host

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"raftmark/raft"
)

func TestOnlyARefusalOrSoIsToldOfInASecond(t *testing.T) {
	var told []string
	r := refusals{tell: func(_ raft.NodeID, reason string) { told = append(told, reason) }}
	r.since = time.Now().Add(time.Hour) // The second lasts for as long as the test.
	for range 1000 {
		r.add(0, "no handshake")
	}
	if len(told) != maxTold {
		t.Errorf("%d were told of", len(told))
	}
	r.since = time.Now().Add(-2 * time.Second)
	r.add(0, "no handshake")
	if last := told[len(told)-1]; !strings.HasSuffix(last, fmt.Sprintf("(and %d others before it)", 1000-maxTold)) {
		t.Errorf("told was %q", last)
	}
}
