package raft

// A Draws is one of the streams of random numbers of a seed: the same numbers in every
// language, since whoever compares elections of two contenders would else compare two draws of
// timeouts.
//
// The generator is SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable
// pseudorandom number generators", OOPSLA 2014): a counter in steps of the golden ratio, each
// mixed. tests/vectors/draws.json holds both languages to the same numbers.
type Draws struct{ state uint64 }

// The streams of what `run` draws; nodes have those of [NodeTimeouts] and [NodeLinks].
const (
	ElectionsStream uint64 = iota
	FailoverStream
	CatchUpStream
)

// NodeTimeouts is the stream of a node's election timeouts.
func NodeTimeouts(node NodeID) uint64 { return 16 + 2*uint64(node) }

// NodeLinks is the stream of what becomes of the messages that a node sends.
func NodeLinks(node NodeID) uint64 { return 17 + 2*uint64(node) }

// NewDraws begins a stream.
func NewDraws(seed, stream uint64) *Draws { return &Draws{mixed(seed) + stream} }

// mixed is SplitMix64's mix: each bit of what goes in turns over half of what comes out.
func mixed(value uint64) uint64 {
	value = (value ^ value>>30) * 0xBF58476D1CE4E5B9
	value = (value ^ value>>27) * 0x94D049BB133111EB
	return value ^ value>>31
}

// Bits are the next 64.
func (d *Draws) Bits() uint64 {
	d.state += 0x9E3779B97F4A7C15
	return mixed(d.state)
}

// Float64 is the next number from [0, 1), of 53 bits.
func (d *Draws) Float64() float64 { return float64(d.Bits()>>11) * 0x1p-53 }

// Sample draws so many of the nodes, one by one, each with one number.
func (d *Draws) Sample(among []NodeID, count int) (drawn []NodeID) {
	left := append([]NodeID(nil), among...)
	for range count {
		i := int(d.Float64() * float64(len(left)))
		drawn = append(drawn, left[i])
		left = append(left[:i], left[i+1:]...)
	}
	return drawn
}
