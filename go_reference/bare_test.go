package raftmark_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"raftmark/raft"
	"raftmark/workload"
)

// BenchmarkBare is the contender without any Raft: the same clients, batches and messages. A
// leader's goroutine takes all that waits in its inbox, passes it on to two followers as one
// message, and the first acknowledgement answers the clients, who look at the clock and count as
// the contender's do. An operation is a command.
func BenchmarkBare(b *testing.B) {
	for _, outstanding := range []int{1, 64} {
		b.Run(fmt.Sprintf("w%d", outstanding), func(b *testing.B) { bare(b, outstanding) })
	}
}

const (
	bareRoom      = 8192 // as in an inbox of the contender
	bareGCPercent = 400  // as the contender has it
)

// A bareEvent is a client's command, or the number of a message that was acknowledged.
type bareEvent struct {
	command *raft.Command
	done    chan<- int
	number  int
}

type bareMessage struct {
	number   int
	commands []*raft.Command
}

func bare(b *testing.B, outstanding int) {
	defer debug.SetGCPercent(debug.SetGCPercent(bareGCPercent))
	inbox := make(chan bareEvent, bareRoom)
	followers := []chan bareMessage{make(chan bareMessage, bareRoom), make(chan bareMessage, bareRoom)}
	var nodes, clients sync.WaitGroup
	for _, messages := range followers {
		nodes.Go(func() {
			for message := range messages {
				inbox <- bareEvent{number: message.number}
			}
		})
	}
	var led sync.WaitGroup
	led.Go(func() { bareLead(inbox, followers) })
	load := workload.Replicate{
		Load:        workload.Load{Payload: 64, Keys: 1000, Session: "client"},
		Outstanding: outstanding,
		Duration:    time.Hour, // The end is that of the operations.
		Slice:       time.Minute,
	}
	b.ResetTimer()
	start := time.Now()
	for number, client := range load.Clients() {
		clients.Go(func() {
			answer := make(chan int, 1)
			sent := time.Since(start)
			for serial := number; serial < b.N; serial += outstanding {
				inbox <- bareEvent{command: client.Next(), done: answer}
				<-answer
				now := time.Since(start)
				client.Record(sent, now)
				sent = now
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	for _, messages := range followers {
		close(messages)
	}
	nodes.Wait()
	close(inbox)
	led.Wait()
}

func bareLead(inbox <-chan bareEvent, followers []chan bareMessage) {
	waiting := map[int][]chan<- int{}
	number := 0
	for event := range inbox {
		if len(waiting) > 0 {
			runtime.Gosched() // Those that are ready to speak go first, as in the contender.
		}
		message := bareMessage{number: number + 1}
		var asking []chan<- int
		for more := len(inbox); ; more-- {
			if event.command != nil {
				message.commands = append(message.commands, event.command)
				asking = append(asking, event.done)
			} else {
				for _, done := range waiting[event.number] {
					done <- event.number
				}
				delete(waiting, event.number)
			}
			if more == 0 {
				break
			}
			event = <-inbox
		}
		if len(asking) > 0 {
			number++
			waiting[number] = asking
			for _, messages := range followers {
				messages <- message
			}
		}
	}
}
