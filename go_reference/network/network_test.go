package network

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"raftmark/raft"
)

// A station is a network and what it has heard.
type station struct {
	*Network
	heard   chan raft.Message
	refused chan string // "peer: reason"
}

func open(t *testing.T, config Config) *station {
	t.Helper()
	s := &station{heard: make(chan raft.Message, 1000), refused: make(chan string, 1000)}
	config.Deliver = func(message raft.Message) {
		select {
		case s.heard <- message:
		default:
		}
	}
	config.Refused = func(peer raft.NodeID, reason string) {
		select {
		case s.refused <- fmt.Sprintf("%d: %s", peer, reason):
		default:
		}
	}
	var err error
	if s.Network, err = Listen("127.0.0.1:0", config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// pair are nodes 1 and 2, which know each other.
func pair(t *testing.T, first, second Config) (one, two *station) {
	first.Node, second.Node = 1, 2
	one, two = open(t, first), open(t, second)
	addresses := map[raft.NodeID]string{1: one.Address(), 2: two.Address()}
	one.SetPeers(addresses)
	two.SetPeers(addresses)
	return one, two
}

func beat(term uint64) raft.Message { return raft.AppendEntries{Term: term, From: 1, To: 2} }

// hears sends until something is heard: while there is no connection, what is sent is lost.
func hears(t *testing.T, from, to *station, message raft.Message) raft.Message {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		from.Send(message, 0)
		select {
		case heard := <-to.heard:
			return heard
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("nothing was heard")
		}
	}
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestMessagesReachThePeerAndTheWayBackIsAnotherConnection(t *testing.T) {
	secret := []byte("sixteen or more bytes")
	one, two := pair(t, Config{Cluster: "c", Secret: secret}, Config{Cluster: "c", Secret: secret})
	value := strings.Repeat("v", 1<<20) // longer than any buffer
	sent := raft.AppendEntries{Term: 1, From: 1, To: 2, Entries: []raft.Entry{
		{Term: 1, Command: &raft.Command{Op: raft.Set, Key: "k", Value: &value}},
	}}
	heard, ok := hears(t, one, two, sent).(raft.AppendEntries)
	if !ok || len(heard.Entries) != 1 || *heard.Entries[0].Command.Value != value {
		t.Errorf("heard was %.100v", heard)
	}
	if bytes := one.Bytes(); bytes < len(value) {
		t.Errorf("only %d bytes are counted", bytes)
	}
	hears(t, two, one, raft.TimeoutNow{Term: 1, From: 2, To: 1})
}

func TestAMessageIsHeldForAsLongAsItIsToTake(t *testing.T) {
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	began := time.Now()
	one.Send(beat(2), 20*time.Millisecond)
	for message := next(t, two.heard); message.(raft.AppendEntries).Term != 2; {
		message = next(t, two.heard)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestAStrangerIsRefusedInWordsThatBothEndsTell(t *testing.T) {
	secret := Config{Cluster: "c", Secret: []byte("sixteen or more bytes")}
	for reason, configs := range map[string][2]Config{
		"another cluster":     {{Cluster: "c"}, {Cluster: "d"}},
		"a secret is wanted":  {{Cluster: "c"}, secret},
		"the secret is wrong": {{Cluster: "c", Secret: []byte("another one")}, secret},
	} {
		t.Run(reason, func(t *testing.T) {
			one, two := pair(t, configs[0], configs[1])
			for told := ""; !strings.HasSuffix(told, ": "+reason); {
				told = next(t, two.refused)
			}
			for told := ""; !strings.HasSuffix(told, "node 2 refuses: "+reason); {
				told = next(t, one.refused)
			}
		})
	}
}

// Whatever ends a connection, the peer is dialled again, where it was and where it is told to be.
func TestAConnectionThatIsLostIsMadeAgain(t *testing.T) {
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	two.mu.Lock()
	two.incoming[1].Close()
	two.mu.Unlock()
	for hears(t, one, two, beat(2)).(raft.AppendEntries).Term != 2 {
	}
	address := two.Address()
	two.Close()
	again := open(t, Config{Node: 2})
	if again.Address() == address {
		t.Fatal("the port is the same")
	}
	again.SetPeers(map[raft.NodeID]string{1: one.Address()})
	one.SetPeers(map[raft.NodeID]string{2: again.Address()})
	hears(t, one, again, beat(3))
}

// A peer that has hung and comes again, while nobody has noticed, is heard on its new connection.
func TestAPeerThatComesAgainTakesThePlaceOfItself(t *testing.T) {
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	two.mu.Lock()
	earlier := two.incoming[1]
	two.mu.Unlock()
	conn := dial(t, two.Address())
	config := Config{Node: 1}
	if err := config.greet(conn, newFrameReader(conn), 2, newNonce()); err != nil {
		t.Fatal(err)
	}
	if _, err := earlier.Read(make([]byte, 1)); err == nil {
		t.Error("the earlier connection is open")
	}
}

// A peer is to hear on the connection that was dialled, and to speak on its own.
func TestAPeerThatSpeaksWhereItIsToHearIsHungUpOn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	one := open(t, Config{Node: 1})
	one.SetPeers(map[raft.NodeID]string{2: listener.Addr().String()})
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	anybody := func(raft.NodeID) bool { return true }
	if _, err := (&Config{Node: 2}).receive(conn, newFrameReader(conn), anybody, newNonce()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(appendMessage(nil, beat(1), 0)); err != nil {
		t.Fatal(err)
	}
	if told := next(t, one.refused); told != "2: node 2 speaks on a connection that is not its own" {
		t.Errorf("told was %q", told)
	}
}

func TestTheHandshakesAtOneTimeAreBounded(t *testing.T) {
	two := open(t, Config{Node: 2})
	two.SetPeers(map[raft.NodeID]string{1: "127.0.0.1:1"})
	for range maxStrangers + 1 {
		dial(t, two.Address())
	}
	if told := next(t, two.refused); told != "0: too many in the handshake" {
		t.Errorf("told was %q", told)
	}
}

// What a slow link holds is bounded, and so are those who wait for it.
func TestWhatIsHeldIsBounded(t *testing.T) {
	two := open(t, Config{Node: 2})
	before := runtime.NumGoroutine()
	for range 2 * maxHeld / heldOverhead {
		two.hold(beat(1), time.Minute, heldOverhead)
	}
	if held := runtime.NumGoroutine() - before; held > maxHeld/heldOverhead {
		t.Errorf("%d messages are held", held)
	}
	two.Close()
	if held := two.held.Load(); held != 0 {
		t.Errorf("of a closed network %d bytes are held", held)
	}
}

func TestAPeerThatIsRemovedInItsHandshakeIsNotHeard(t *testing.T) {
	secret := []byte("sixteen or more bytes")
	two := open(t, Config{Node: 2, Cluster: "c", Secret: secret})
	// Nobody listens there; nodes 1 and 3 only dial.
	two.SetPeers(map[raft.NodeID]string{1: "127.0.0.1:9", 3: "127.0.0.1:9"})
	conn, err := net.Dial("tcp", two.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := hello{"c", 1, 2, newNonce()}.encode()
	if err := say(conn, tagHello, said); err != nil {
		t.Fatal(err)
	}
	reader := newFrameReader(conn)
	challenge, err := reader.next(maxGreeting)
	if err != nil {
		t.Fatal(err)
	}
	nonce, _ := onlyBytes(challenge.body)
	two.SetPeers(map[raft.NodeID]string{3: "127.0.0.1:9"})
	if err := say(conn, tagProof, oneBytes((&Config{Secret: secret}).proof(dialler, said, nonce))); err != nil {
		t.Fatal(err)
	}
	answer, err := reader.next(maxGreeting)
	if err != nil || answer.tag != tagRefused || reasonIn(answer.body) != "no such peer: 1" {
		t.Errorf("the answer is %d %q, %v", answer.tag, answer.body, err)
	}
	if reason := next(t, two.refused); reason != "1: no such peer: 1" {
		t.Errorf("it is told %q", reason)
	}
}

func TestPeersMayGoAndOthersCome(t *testing.T) {
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	two.SetPeers(nil)
	two.SetPeers(map[raft.NodeID]string{1: one.Address()})
	for hears(t, one, two, beat(2)).(raft.AppendEntries).Term != 2 {
	}
}

// A network leaves nothing, whatever it is doing when it is closed.
func TestNothingIsLeftOfANetworkThatIsClosed(t *testing.T) {
	before := runtime.NumGoroutine()
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	one.Send(beat(2), maxDelay)
	one.SetPeers(map[raft.NodeID]string{2: two.Address(), 3: "127.0.0.1:1"})
	dial(t, two.Address())
	one.Close()
	two.Close()
	one.SetPeers(map[raft.NodeID]string{4: two.Address()})
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("there are goroutines left: %s", stacks[:runtime.Stack(stacks, true)])
		}
	}
	if _, err := net.Dial("tcp", two.Address()); err == nil {
		t.Error("somebody still listens")
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// What is sent by many at once arrives whole.
func TestManyMaySendAtOnce(t *testing.T) {
	one, two := pair(t, Config{}, Config{})
	hears(t, one, two, beat(1))
	var senders sync.WaitGroup
	for term := range 10 {
		senders.Go(func() {
			for range 50 {
				one.Send(beat(uint64(100+term)), 0)
			}
		})
	}
	senders.Wait()
	count := map[uint64]int{}
	for received := 0; received < 500; {
		if term := next(t, two.heard).(raft.AppendEntries).Term; term >= 100 {
			count[term]++
			received++
		}
	}
	for term, times := range count {
		if times != 50 {
			t.Errorf("of term %d came %d", term, times)
		}
	}
}
