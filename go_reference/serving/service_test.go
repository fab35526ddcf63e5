package serving

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"raftmark/clientport"
	"raftmark/raft"
)

// A desk is a service whose node is the test: it takes what was proposed, and answers when it likes.
type desk struct {
	*Service
	proposed chan raft.Proposal
	refused  chan string
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{proposed: make(chan raft.Proposal, 1<<12), refused: make(chan string, 16)}
	var err error
	d.Service, err = Listen("127.0.0.1:0", Config{
		Node:    1,
		Propose: func(p raft.Proposal) { d.proposed <- p },
		Refused: func(reason string) {
			select {
			case d.refused <- reason:
			default: // The test has heard enough.
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

type guest struct {
	net.Conn
	reader *clientport.Reader
	serial uint64
}

func (d *desk) guest(t *testing.T, session string) *guest {
	t.Helper()
	conn, err := net.Dial("tcp", d.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	g := &guest{Conn: conn, reader: clientport.NewReader(conn)}
	if err := clientport.Greet(conn, g.reader, session, nil); err != nil {
		t.Fatal(err)
	}
	return g
}

// sends sends so many commands in one write.
func (g *guest) sends(t *testing.T, count int) {
	t.Helper()
	var frames []byte
	for range count {
		g.serial++
		frames = clientport.AppendCommand(frames, &raft.Command{Op: raft.Get, Key: "k", Serial: g.serial})
	}
	if _, err := g.Write(frames); err != nil {
		t.Fatal(err)
	}
}

func (g *guest) hears(t *testing.T, serial uint64) {
	t.Helper()
	if answer, err := g.reader.Answer(); err != nil || answer.Serial != serial || answer.Code != "" {
		t.Fatalf("heard %+v, %v; want an answer to %d", answer, err, serial)
	}
}

// next is the next proposal.
func (d *desk) next(t *testing.T) raft.Proposal {
	t.Helper()
	select {
	case p := <-d.proposed:
		return p
	case <-time.After(time.Minute):
		t.Fatal("nothing more is proposed")
		return raft.Proposal{}
	}
}

// A flood has its share under way and no more of it, however long the node takes. By counts: a turn of
// the node has each of the others once, and is longer by no more than the factor of docs/service.md.
func TestAFloodMakesTheTurnsOfOthersLongerByTheFactorAndNoMore(t *testing.T) {
	const others, shares = 16, 8
	const longest = others + clientport.MaxInFlight // three times as long as without
	d := open(t)
	flood := d.guest(t, "flood")
	var polite []*guest
	for n := range others {
		polite = append(polite, d.guest(t, fmt.Sprintf("other-%d", n)))
	}
	flood.sends(t, shares*clientport.MaxInFlight)
	answered := 0
	for turn := range 4 {
		for _, each := range polite {
			each.sends(t, 1)
		}
		var waiting []raft.Proposal
		asked, own := 0, 0
		take := func(p raft.Proposal) {
			if *p.Command.Client == "flood" {
				own++
			} else {
				asked++
			}
			waiting = append(waiting, p)
		}
		for asked < others || own == 0 {
			take(d.next(t))
		}
		// What else there is of the flood has been proposed by now or comes in a later turn: what is
		// under way of it is never more than its share.
		for len(d.proposed) > 0 {
			take(<-d.proposed)
		}
		if asked != others || len(waiting) > longest {
			t.Fatalf("turn %d has %d commands of the flood beside %d", turn, own, asked)
		}
		answered += own
		for _, p := range waiting {
			p.Done(raft.Outcome{Index: 1, Term: 1})
		}
		for _, each := range polite {
			each.hears(t, each.serial)
		}
	}
	for answered < shares*clientport.MaxInFlight {
		d.next(t).Done(raft.Outcome{Index: 1, Term: 1})
		answered++
	}
	for serial := range uint64(shares * clientport.MaxInFlight) {
		flood.hears(t, serial+1)
	}
}

// Who does not read holds up itself: others are answered, and what is taken of it comes to an end.
func TestWhoDoesNotReadHoldsUpNobody(t *testing.T) {
	d := open(t)
	slow, other := d.guest(t, "slow"), d.guest(t, "other")
	if err := slow.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	var sending, answering sync.WaitGroup
	sending.Go(func() {
		command := clientport.AppendCommand(nil, &raft.Command{Op: raft.Get, Key: "k", Serial: 1})
		for {
			if _, err := slow.Write(command); err != nil {
				return // It is hung up at the end.
			}
		}
	})
	ended := make(chan struct{})
	taken := 0
	long := raft.Outcome{Index: 1, Term: 1, Result: string(make([]byte, 64<<10))}
	answering.Go(func() {
		for {
			select {
			case p := <-d.proposed:
				if *p.Command.Client == "slow" {
					taken++
				}
				p.Done(long)
			case <-ended:
				return
			}
		}
	})
	for range 200 {
		other.sends(t, 1)
		other.hears(t, other.serial)
	}
	close(ended)
	answering.Wait()
	slow.Close()
	sending.Wait()
	// Its answers are 64 KiB each, of which the system keeps a few.
	if taken > 2*clientport.MaxInFlight {
		t.Errorf("%d commands were taken of one who never reads", taken)
	}
}

func TestWhoSaysNonsenseIsHungUpOnAlone(t *testing.T) {
	d := open(t)
	bad, good := d.guest(t, "bad"), d.guest(t, "good")
	if _, err := bad.Write([]byte{0, 0, 0, 0x80}); err != nil {
		t.Fatal(err)
	}
	if _, err := bad.reader.Answer(); err == nil {
		t.Error("it is answered")
	}
	if reason := <-d.refused; reason == "" {
		t.Error("no reason is told")
	}
	good.sends(t, 1)
	d.next(t).Done(raft.Outcome{Index: 1, Term: 1})
	good.hears(t, 1)
}

// Who goes while its command waits leaves nothing, though the node may never answer; who stays, with
// more to say than is read meanwhile, is answered in the end.
func TestWhoGoesWhileItsCommandWaitsIsForgotten(t *testing.T) {
	d := open(t)
	staying, leaving := d.guest(t, "staying"), d.guest(t, "leaving")
	const many = 20 * clientport.MaxInFlight
	staying.sends(t, many)
	var waiting []raft.Proposal
	for range clientport.MaxInFlight {
		waiting = append(waiting, d.next(t))
	}
	leaving.sends(t, 1)
	left := d.next(t)
	if err := leaving.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := leaving.reader.Answer(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("its connection does not end: %v", err)
	}
	left.Done(raft.Outcome{Index: 1, Term: 1})
	for _, p := range waiting {
		p.Done(raft.Outcome{Index: 1, Term: 1})
	}
	for range many - len(waiting) {
		d.next(t).Done(raft.Outcome{Index: 1, Term: 1})
	}
	for serial := range uint64(many) {
		staying.hears(t, serial+1)
	}
}

// Who comes when the machine has no more files is told of, and waits until there are some.
func TestWhoComesWhenThereAreNoFilesWaits(t *testing.T) {
	d := open(t)
	there := d.guest(t, "there")
	late, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	release := noMoreFiles(t)
	to := d.listener.Addr().(*net.TCPAddr)
	if err := syscall.Connect(late, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Error(err)
	}
	if reason := <-d.refused; !strings.Contains(reason, "a client cannot be taken") {
		t.Errorf("told is %q", reason)
	}
	there.sends(t, 1)
	d.next(t).Done(raft.Outcome{Index: 1, Term: 1})
	there.hears(t, 1)
	release()
	file := os.NewFile(uintptr(late), "late")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if err := clientport.Greet(conn, clientport.NewReader(conn), "late", nil); err != nil {
		t.Error(err)
	}
}

// noMoreFiles lets this program open no more files, until what it returns is called.
func noMoreFiles(t *testing.T) (release func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var held []int
	for {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	release = sync.OnceFunc(func() {
		for _, fd := range held {
			syscall.Close(fd)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// Close ends all goroutines, those too whose commands the node has not answered: it waits for them.
func TestCloseEndsWhoWaits(t *testing.T) {
	d := open(t)
	waiting := d.guest(t, "a")
	waiting.sends(t, 1)
	p := d.next(t)
	d.Close()
	if _, err := waiting.reader.Answer(); err == nil {
		t.Error("it is answered, by nobody")
	}
	p.Done(raft.Outcome{Index: 1, Term: 1}) // Too late, and it does not wait for anyone.
}
