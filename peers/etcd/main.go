// Command etcd is a node program of docs/protocol.md on top of go.etcd.io/raft. That library is the
// algorithm alone: the loop around its RawNode is written as its documentation says, the log on disk is
// etcd's own, and the transport, which the library leaves to whoever uses it, is plain framed TCP.
package main

import (
	"fmt"

	"raftmark/host"
	"raftmark/peers/adapter"
)

var offers = []string{
	"memory", "disk", "replicate", "offered", "service", "read", "snapshot", "transfer",
	"membership", "pre_vote", "check_quorum", "slices", "columns",
}

func main() { adapter.Main("etcd", form) }

func form(arguments []string) (host.Model, error) {
	if len(arguments) > 0 {
		return host.Model{}, fmt.Errorf("unknown argument %q: there is none", arguments[0])
	}
	return host.Model{
		Name:    "etcd",
		Offers:  offers,
		Library: adapter.Version("go.etcd.io/raft/v3"),
		Deploy: adapter.Deploy(func(s *adapter.Surroundings) (adapter.Library, error) {
			return newLibrary(s)
		}),
	}, nil
}
