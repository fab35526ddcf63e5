// Package primitives measures what Go's concurrency is made of, without any Raft: the same
// primitives, by the same names, as bench/models measures in Python. It has benchmarks only.
package primitives
