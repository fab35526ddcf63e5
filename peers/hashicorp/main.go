// Command hashicorp is a node program of docs/protocol.md on top of github.com/hashicorp/raft, with
// that library's own TCP transport, log store and snapshots. Its settings are the library's
// defaults, or with `--tuned` what its documentation says for throughput.
package main

import (
	"errors"
	"fmt"
	"slices"

	"raftmark/host"
	"raftmark/lives"
	"raftmark/peers/adapter"
)

// offers are what the library does: no reads without an entry, and no switch for what docs/protocol.md
// calls check_quorum, since a leader without a majority always steps down.
var offers = []string{
	"memory", "disk", "replicate", "offered", "service", "snapshot", "transfer", "pre_vote", "slices",
	"columns",
}

func main() { adapter.Main("hashicorp", form) }

func form(arguments []string) (host.Model, error) {
	tuned := slices.Equal(arguments, []string{"--tuned"})
	if len(arguments) > 0 && !tuned {
		return host.Model{}, fmt.Errorf("unknown argument %q: there is --tuned, or none", arguments[0])
	}
	name := "hashicorp"
	if tuned {
		name = "hashicorp-tuned"
	}
	return host.Model{
		Name:    name,
		Offers:  offers,
		Library: adapter.Version("github.com/hashicorp/raft"),
		Deploy: func(config lives.Config, place host.Place, events lives.Events) (host.Deployed, error) {
			if err := adapter.Place(place); err != nil {
				return nil, err
			}
			links := adapter.NewLinks(config, place.Node)
			library, err := newLibrary(config, place, links, events, tuned)
			if err != nil {
				return nil, err
			}
			return adapter.NewNode(library, links, place.Node, events), nil
		},
	}, nil
}

// errAll is the first of what closing several things gave.
func errAll(closers ...func() error) (err error) {
	for _, closer := range closers {
		err = errors.Join(err, closer())
	}
	return err
}
