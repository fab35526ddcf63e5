package host

import (
	"raftmark/lives"
	"raftmark/network"
	"raftmark/raft"
)

// A deployable cluster has one node here, and takes for it what comes over a network.
type deployable interface {
	Cluster
	Propose(raft.NodeID, raft.Proposal)
	// Receive takes a message that has come from elsewhere; it never waits.
	Receive(raft.Message)
}

// deployed is such a cluster with its network, which outlasts the lives of the node.
type deployed struct {
	deployable
	*network.Network
}

// OverTCP deploys a model's nodes over package network.
func OverTCP[C deployable](
	deploy func(lives.Config, raft.NodeID, lives.Events) C,
) func(lives.Config, Place, lives.Events) (Deployed, error) {
	return func(config lives.Config, place Place, events lives.Events) (Deployed, error) {
		d := &deployed{}
		var err error
		d.Network, err = network.Listen(place.Address, network.Config{
			Cluster: place.Cluster,
			Node:    place.Node,
			Secret:  place.Secret,
			Seed:    config.Seed,
			Deliver: func(message raft.Message) { d.Receive(message) }, // none before there are peers
			Refused: place.Refused,
		})
		if err != nil {
			return nil, err
		}
		config.Remote = d.Network
		d.deployable = deploy(config, place.Node, events)
		return d, nil
	}
}

// Stop ends the node, and then its network.
func (d *deployed) Stop() {
	d.deployable.Stop()
	d.Close()
}
