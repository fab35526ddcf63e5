// Command races runs the seminar paper's three programs in Go, each many times, and prints how
// often it came to each outcome, as a JSON object:
//
//		races unsynchronised|channel|joined [--runs N]
//
//	  - unsynchronised: with a = 1 and b = 2, one goroutine does b = a * b while the other does
//	    a = b * b and at once says what a and b are;
//	  - channel: the other one waits for a message that the first has done its part;
//	  - joined: eight goroutines, started and joined one after the other, each count up to their
//	    number; what they say is in order or mixed.
//
// The first program is a race on purpose, of order alone: its variables are atomic, so that each
// of its outcomes is one that Go's memory model allows, not undefined behaviour, and the race
// detector has nothing to say.
//
// (L. Kiederle, "Compare Go Parallel Programming with Python", section "Parallel processing".)
package main

import (
	"encoding/json/v2"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

const counters = 8

var programs = map[string]func() string{
	"unsynchronised": unsynchronised,
	"channel":        synchronised,
	"joined":         joined,
}

// A pair is the two variables.
type pair struct{ a, b atomic.Int64 }

func newPair() *pair {
	p := &pair{}
	p.a.Store(1)
	p.b.Store(2)
	return p
}

func (p *pair) multiply()   { p.b.Store(p.a.Load() * p.b.Load()) }
func (p *pair) square()     { p.a.Store(p.b.Load() * p.b.Load()) }
func (p *pair) say() string { return fmt.Sprintf("a = %d, b = %d", p.a.Load(), p.b.Load()) }

// unsynchronised is two goroutines, and nothing between them.
func unsynchronised() string {
	p := newPair()
	var other sync.WaitGroup
	defer other.Wait()
	other.Go(p.multiply)
	p.square()
	return p.say()
}

// synchronised is two goroutines, and a channel between them.
func synchronised() string {
	p := newPair()
	done := make(chan struct{})
	go func() {
		p.multiply()
		done <- struct{}{}
	}()
	<-done
	p.square()
	return p.say()
}

// joined is goroutines, each started when the one before has been waited for.
func joined() string {
	var said, inOrder []int
	for limit := range counters {
		var counter sync.WaitGroup
		counter.Go(func() {
			for number := range limit {
				said = append(said, number)
			}
		})
		counter.Wait()
		for number := range limit {
			inOrder = append(inOrder, number)
		}
	}
	if slices.Equal(said, inOrder) {
		return "in order"
	}
	return "mixed"
}

// count runs a program so many times; how often it came to each outcome.
func count(program func() string, runs int) map[string]int {
	outcomes := map[string]int{}
	for range runs {
		outcomes[program()]++
	}
	return outcomes
}

func main() {
	if err := perform(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "races:", err)
		os.Exit(2)
	}
}

func perform(arguments []string) error {
	const usage = "usage: races unsynchronised|channel|joined [--runs N]"
	if len(arguments) == 0 || programs[arguments[0]] == nil {
		return fmt.Errorf("no such program; %s", usage)
	}
	flags := flag.NewFlagSet("races", flag.ContinueOnError)
	runs := flags.Int("runs", 1000, "how often")
	if err := flags.Parse(arguments[1:]); err != nil {
		return fmt.Errorf("reading the options: %w", err)
	}
	if *runs < 1 || flags.NArg() > 0 {
		return fmt.Errorf("--runs is at least 1, and nothing follows it; %s", usage)
	}
	return json.MarshalWrite(os.Stdout, count(programs[arguments[0]], *runs), json.Deterministic(true))
}
