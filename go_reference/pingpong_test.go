// Package raftmark_test measures what goroutines and channels cost by themselves.
package raftmark_test

import "testing"

// BenchmarkPingPong is a round trip between two goroutines over unbuffered channels: what
// the fastest exchange of the model costs, and so the measure of a lone command's latency.
func BenchmarkPingPong(b *testing.B) { pingPong(b, 0) }

// BenchmarkPingPongBuffered is the same over channels with room, as the nodes' are.
func BenchmarkPingPongBuffered(b *testing.B) { pingPong(b, 64) }

func pingPong(b *testing.B, size int) {
	ping, pong := make(chan int, size), make(chan int, size)
	go func() {
		defer close(pong)
		for ball := range ping {
			pong <- ball
		}
	}()
	for i := 0; b.Loop(); i++ {
		ping <- i
		if <-pong != i {
			b.Fatal("another ball came back")
		}
	}
	close(ping)
	<-pong
}
