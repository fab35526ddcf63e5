// Package raft is the Raft algorithm, and nothing that is concurrent: the twin of the
// Python package of the same name.
//
// A [Node] does no I/O, reads no clock, starts no goroutine and is handed its randomness.
// Package cluster owns all of that. Fed with the same events in the same order, this
// package and its twin come to the same state and give out the same messages in the same
// order, so that whatever differs between their clusters is not the algorithm.
//
// Sections (§) are those of Ongaro & Ousterhout, "In Search of an Understandable Consensus
// Algorithm (Extended Version)"; "thesis" is D. Ongaro, "Consensus: Bridging Theory and
// Practice", 2014.
package raft
