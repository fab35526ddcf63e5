// Command hashicorp is a node program of docs/protocol.md on top of github.com/hashicorp/raft, with
// that library's own TCP transport, log store and snapshots. Its settings are the library's
// defaults, or with `--tuned` what its documentation knows for throughput.
package main

import (
	"fmt"
	"slices"

	"raftmark/host"
	"raftmark/peers/adapter"
)

// offers are what the library does: no reads without an entry, and no switch for what
// docs/protocol.md calls check_quorum, since a leader without a majority always steps down.
var offers = []string{
	"memory", "disk", "replicate", "offered", "service", "snapshot", "transfer", "pre_vote", "slices",
	"columns",
}

func main() { adapter.Main("hashicorp", form) }

func form(arguments []string) (host.Model, error) {
	name, tuned := "hashicorp", slices.Equal(arguments, []string{"--tuned"})
	if tuned {
		name = "hashicorp-tuned"
	} else if len(arguments) > 0 {
		return host.Model{}, fmt.Errorf("unknown argument %q: there is --tuned, or none", arguments[0])
	}
	return host.Model{
		Name:    name,
		Offers:  offers,
		Library: adapter.Version("github.com/hashicorp/raft"),
		Deploy: adapter.Deploy(func(s *adapter.Surroundings) (adapter.Library, error) {
			return newLibrary(s, tuned)
		}),
	}, nil
}
