package primitives

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	asked, awaited = 4, 3 // of so many that are asked, so many have to answer
	timerLength    = 10 * time.Millisecond
	room           = 64 // of the buffered channels
)

// message is what goes from one side to the other, by reference.
var message = make([]byte, 64)

// A variant is one form of a primitive, and the tool that it uses.
type variant struct {
	name, means string
	measure     func(b *testing.B)
}

// run runs the variants. Each tells its tool as it begins, in the form in which benchmarks'
// output has configuration: testing prints nothing before a first run is over.
func run(b *testing.B, variants ...variant) {
	for _, v := range variants {
		var tell sync.Once
		b.Run(v.name, func(b *testing.B) {
			tell.Do(func() { fmt.Printf("means: %s\n", v.means) })
			v.measure(b)
		})
	}
}

// BenchmarkSpawnJoin starts a goroutine that ends at once, and waits for that.
func BenchmarkSpawnJoin(b *testing.B) {
	run(b,
		variant{"usual", "sync.WaitGroup.Go", func(b *testing.B) {
			for b.Loop() {
				var group sync.WaitGroup
				group.Go(func() {})
				group.Wait()
			}
		}},
		variant{"fastest", "go and a channel", func(b *testing.B) {
			done := make(chan struct{})
			end := func() { done <- struct{}{} }
			for b.Loop() {
				go end()
				<-done
			}
		}})
}

// BenchmarkOneWay sends messages that another goroutine receives, up to the last one's receipt.
func BenchmarkOneWay(b *testing.B) {
	oneWay := func(size int) func(*testing.B) {
		return func(b *testing.B) {
			inbox, received := make(chan []byte, size), make(chan int)
			go func() {
				count := 0
				for range inbox {
					count++
				}
				received <- count
			}()
			b.ResetTimer()
			for range b.N {
				inbox <- message
			}
			close(inbox)
			if count := <-received; count != b.N {
				b.Errorf("%d of %d messages came", count, b.N)
			}
		}
	}
	run(b, variant{"usual", "an unbuffered channel", oneWay(0)},
		variant{"fastest", "a buffered channel", oneWay(1024)})
}

// BenchmarkPingPong is a message and its answer. Beside the channels it has, for comparison, the
// way that messages take between processes.
func BenchmarkPingPong(b *testing.B) {
	run(b,
		variant{"usual", "unbuffered channels", func(b *testing.B) { pingPong(b, 0) }},
		variant{"fastest", "channels with room for one", func(b *testing.B) { pingPong(b, 1) }},
		variant{"tcp", "a TCP connection", pingPongTCP})
}

func pingPong(b *testing.B, size int) {
	ping, pong := make(chan []byte, size), make(chan []byte, size)
	go func() {
		defer close(pong)
		for ball := range ping {
			pong <- ball
		}
	}()
	for b.Loop() {
		ping <- message
		<-pong
	}
	close(ping)
	<-pong
}

func pingPongTCP(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var other sync.WaitGroup
	defer other.Wait()
	other.Go(func() {
		connection, err := listener.Accept()
		if err != nil {
			return // the listener was closed, as the other side could not connect
		}
		defer connection.Close()
		ball := make([]byte, len(message))
		for {
			if _, err := io.ReadFull(connection, ball); err != nil {
				return // the other side has closed
			}
			if _, err := connection.Write(ball); err != nil {
				return
			}
		}
	})
	defer listener.Close()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close()
	ball := make([]byte, len(message))
	for b.Loop() {
		if _, err := connection.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(connection, ball); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMajority sends a round's number to all, and waits until enough of them have sent it
// back, as a leader does for a commit. What comes late, for an earlier round, counts no more.
func BenchmarkMajority(b *testing.B) {
	majority := func(size int) func(*testing.B) {
		return func(b *testing.B) {
			answers := make(chan int, size)
			var inboxes [asked]chan int
			var others sync.WaitGroup
			for i := range inboxes {
				inboxes[i] = make(chan int, size)
				others.Go(func() {
					for number := range inboxes[i] {
						answers <- number
					}
				})
			}
			for number := 0; b.Loop(); number++ {
				missing := awaited
				take := func(answer int) {
					if answer == number {
						missing--
					}
				}
				for _, inbox := range inboxes {
					for sent := false; !sent; {
						select {
						case inbox <- number:
							sent = true
						case answer := <-answers: // or its sender would not take what is next
							take(answer)
						}
					}
				}
				for missing > 0 {
					take(<-answers)
				}
			}
			for _, inbox := range inboxes {
				close(inbox)
			}
			go func() {
				others.Wait()
				close(answers)
			}()
			for range answers {
				// What is late lets its sender end.
			}
		}
	}
	run(b, variant{"usual", "unbuffered channels", majority(0)},
		variant{"fastest", "buffered channels", majority(room)})
}

// BenchmarkLockHandOver lets two goroutines take turns, each of which hands over to the other.
func BenchmarkLockHandOver(b *testing.B) {
	run(b,
		variant{"usual", "two sync.Mutex", func(b *testing.B) {
			var batons [2]sync.Mutex
			batons[1].Lock()
			takeTurns(b, func(mine int) {
				batons[mine].Lock()
				batons[1-mine].Unlock()
			})
		}},
		variant{"fastest", "two channels as locks", func(b *testing.B) {
			batons := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
			batons[0] <- struct{}{}
			takeTurns(b, func(mine int) {
				<-batons[mine]
				batons[1-mine] <- struct{}{}
			})
		}})
}

func takeTurns(b *testing.B, turn func(mine int)) {
	var other sync.WaitGroup
	other.Go(func() {
		for range b.N / 2 {
			turn(1)
		}
	})
	for range b.N - b.N/2 {
		turn(0)
	}
	other.Wait()
}

// BenchmarkTimerLateness tells how late a timer comes, to a goroutine that waits for nothing
// else. Its p50-ns and p99-ns are of all b.N timers.
func BenchmarkTimerLateness(b *testing.B) {
	run(b,
		variant{"idle", "time.Timer", timerLateness},
		variant{"busy", "time.Timer", func(b *testing.B) {
			var stopped atomic.Bool
			var others sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				others.Go(func() {
					for !stopped.Load() {
						compute()
					}
				})
			}
			timerLateness(b)
			stopped.Store(true)
			others.Wait()
		}})
}

var computed atomic.Int64

func compute() {
	sum := 0
	for i := range 100 {
		sum += i
	}
	computed.Store(int64(sum))
}

func timerLateness(b *testing.B) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	lateness := make([]time.Duration, 0, b.N)
	for range b.N {
		due := time.Now().Add(timerLength)
		timer.Reset(timerLength)
		<-timer.C
		lateness = append(lateness, time.Since(due))
	}
	slices.Sort(lateness)
	b.ReportMetric(0, "ns/op") // the timer's length, which says nothing
	b.ReportMetric(quantile(lateness, 0.5), "p50-ns")
	b.ReportMetric(quantile(lateness, 0.99), "p99-ns")
}

// quantile interpolates linearly between the sorted values, as numpy does by default.
func quantile(sorted []time.Duration, q float64) float64 {
	position := q * float64(len(sorted)-1)
	below := int(position)
	above := min(below+1, len(sorted)-1)
	share := position - float64(below)
	return float64(sorted[below])*(1-share) + float64(sorted[above])*share
}

func TestQuantilesLieBetweenValues(t *testing.T) {
	sorted := []time.Duration{10, 20, 30, 40}
	for q, want := range map[float64]float64{0: 10, 0.5: 25, 0.99: 39.7, 1: 40} {
		if got := quantile(sorted, q); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}
