package raft

import (
	"slices"
	"time"
)

// Faults are what is wrong with every link: the probabilities that a message is lost or
// comes twice, and how long it takes.
type Faults struct {
	Drop      float64
	Duplicate float64
	Delay     Range
}

// A Way is a link's direction.
type Way struct{ From, To NodeID }

// Links are the network between the nodes: a partition, and the links' faults. The zero
// value is a perfect network.
type Links struct {
	groups  [][]NodeID // nil where every node is in the same one
	blocked []Way
	faults  Faults
}

// Partitioned returns links over which only nodes of the same group reach each other; a
// node in no group is alone. Nil groups heal every cut.
func (l Links) Partitioned(groups [][]NodeID) Links {
	l.groups, l.blocked = groups, nil
	return l
}

// Blocked returns links of which these are cut, each in one direction, and no others.
func (l Links) Blocked(ways []Way) Links {
	l.groups, l.blocked = nil, ways
	return l
}

// Cut returns links of which these are cut besides.
func (l Links) Cut(ways []Way) Links {
	l.blocked = slices.Concat(l.blocked, ways)
	return l
}

// Mended returns links of which these are cut no longer.
func (l Links) Mended(ways []Way) Links {
	l.blocked = slices.DeleteFunc(slices.Clone(l.blocked), func(way Way) bool {
		return slices.Contains(ways, way)
	})
	return l
}

// Degraded returns links that all have these faults.
func (l Links) Degraded(faults Faults) Links {
	l.faults = faults
	return l
}

// Perfect reports whether nothing is wrong at all.
func (l Links) Perfect() bool {
	return l.groups == nil && len(l.blocked) == 0 && l.faults == Faults{}
}

// Delays are those of each copy of a message that arrives: none, one or two of them.
// Random returns numbers from [0, 1).
func (l Links) Delays(from, to NodeID, random func() float64) []time.Duration {
	if !l.connected(from, to) || random() < l.faults.Drop {
		return nil
	}
	delays := []time.Duration{l.faults.Delay.Draw(random())}
	if random() < l.faults.Duplicate {
		delays = append(delays, l.faults.Delay.Draw(random()))
	}
	return delays
}

func (l Links) connected(from, to NodeID) bool {
	if slices.Contains(l.blocked, Way{from, to}) {
		return false
	}
	if l.groups == nil {
		return true
	}
	for _, group := range l.groups {
		if slices.Contains(group, from) {
			return slices.Contains(group, to)
		}
	}
	return false
}
