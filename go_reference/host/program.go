package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/serving"
)

const maxClusterBytes = 64

// A program hosts one node of a cluster whose other nodes are elsewhere.
type program struct {
	*service
	model  Model
	secret []byte
	*site  // nil before listen
}

// A site is a node with its storage and its network, which outlast its lives: to package cluster
// it is the one node of a cluster that is here.
type site struct {
	Deployed
	id       raft.NodeID
	refusals refusals
	clients  *serving.Service // nil before serve
	running  context.Context
	cancel   context.CancelCauseFunc
	working  sync.WaitGroup // the workload
	busy     atomic.Bool    // with a workload
}

// ServeNode is [Serve] for one node, which knows its peers by a secret, or with none trusts whoever
// reaches it.
func ServeNode(
	ctx context.Context, model Model, secret []byte, in io.Reader, out, warn io.Writer,
) error {
	return serve(ctx, in, out, warn, func(s *service) (find, func()) {
		p := &program{service: s, model: model, secret: secret}
		return p.find, p.end
	})
}

func (p *program) find(op string) (perform, bool) { return bind(p, nodeOperations, op) }

// end ends the node, if there is one, after which nothing is left to be answered.
func (p *program) end() {
	if p.site != nil {
		p.cancel(errStopped)
		p.working.Wait()
		if p.clients != nil {
			p.clients.Close()
		}
		p.Stop()
		p.outcomes.Wait()
		p.site = nil
	}
}

var nodeOperations = map[string]operation[*program]{
	"hello":        (*program).hello,
	"listen":       (*program).listen,
	"peers":        (*program).peers,
	"serve":        (*program).serve,
	"services":     (*program).services,
	"begin":        (*program).begin,
	"crash":        ask((*site).crash),
	"pause":        ask((*site).pause),
	"resume":       act((*site).resume),
	"submit":       (*program).submit,
	"read":         (*program).read,
	"when_applied": (*program).whenApplied,
	"status":       ask((*site).status),
	"counters":     ask((*site).counters),
	"log":          (*program).log,
	"transfer":     (*program).transfer,
	"compact":      ask((*site).compact),
	"heartbeat":    act((*site).heartbeat),
	"partition":    (*program).partition,
	"heal":         (*program).heal,
	"links":        (*program).links,
	"run":          (*program).run,
	"quit":         (*program).quit,
}

var errNotListening = raft.Errorf(raft.Unavailable, "there is no node yet; let it listen first")

// there is the node that a request is for, all of whose fields were read.
func (p *program) there(f *fields) (*site, error) {
	if err := f.end(); err != nil {
		return nil, err
	}
	if p.site == nil {
		return nil, errNotListening
	}
	return p.site, nil
}

// alive is the node, if it runs.
func (p *program) alive(f *fields) (*site, error) {
	site, err := p.there(f)
	if err == nil {
		err = site.mustRun()
	}
	return site, err
}

// mustRun fails where the node does not run.
func (s *site) mustRun() error {
	if state := s.Lifecycle(s.id); state != lives.Running {
		return raft.Errorf(raft.Unavailable, "node %d is %s", s.id, state)
	}
	return nil
}

// ask is an operation without fields, and act one that has nothing to tell either.
func ask[A any](perform func(*site) (A, error)) operation[*program] {
	return func(p *program, _ int, f *fields) (any, error) {
		site, err := p.there(f)
		if err != nil {
			return nil, err
		}
		return perform(site)
	}
}

func act(perform func(*site) error) operation[*program] {
	return ask(func(s *site) (nothing, error) { return nothing{}, perform(s) })
}

func (p *program) hello(_ int, f *fields) (any, error) {
	runtime := describeRuntime()
	runtime.Library = p.model.Library
	offers := p.model.Offers
	if offers == nil {
		offers = allOffers
	}
	return nodeIntroduction{introduction{
		Contender: p.model.Name,
		Protocol:  protocolVersion,
		Language:  "Go",
		Runtime:   runtime,
		Features:  offers,
	}, true}, f.end()
}

var allOffers = []string{
	"memory", "disk", "replicate", "offered", "service", "read", "snapshot", "transfer",
	"membership", "pre_vote", "check_quorum", "trace", "slices", "columns",
}

func (p *program) listen(_ int, f *fields) (any, error) {
	id := required(f, "node", server())
	name := required(f, "cluster", text(1, maxClusterBytes))
	voters := required(f, "voters", ascending)
	address := optional(f, "address", addressWithPort(0), "127.0.0.1:0")
	config, trace, err := readConfig(f)
	if err != nil {
		return nil, err
	}
	if p.site != nil {
		return nil, badRequest("node %d listens already", p.id)
	}
	if err := p.mayListen(address); err != nil {
		return nil, err
	}
	config.Settings.Nodes = voters
	events := p.events(trace)
	events.MembersCommitted = func(told raft.Membership) {
		p.out.put(membersEvent{"members", told.AsOf, told.Members})
	}
	s := &site{id: id}
	s.refusals.tell = func(peer raft.NodeID, reason string) { p.tellRefused(id, peer, reason) }
	s.Deployed, err = p.model.Deploy(config, Place{
		Cluster: name,
		Node:    id,
		Address: address,
		Secret:  p.secret,
		Refused: s.refusals.add,
	}, events)
	if refusal := (*raft.Error)(nil); errors.As(err, &refusal) {
		return nil, refusal
	}
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "%v", err)
	}
	s.running, s.cancel = context.WithCancelCause(context.Background())
	p.site = s
	return listening{s.Address()}, nil
}

// mayListen fails where others reach an address, and nothing keeps strangers out.
func (p *program) mayListen(address string) error {
	if p.secret == nil && !isLoopback(address) {
		return badRequest("%s can be reached from other machines: that needs a secret "+
			"(--secret-file, or RAFTMARK_SECRET in the environment)", address)
	}
	return nil
}

func (p *program) serve(_ int, f *fields) (any, error) {
	address := optional(f, "address", addressWithPort(0), "127.0.0.1:0")
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	if site.clients != nil {
		return nil, badRequest("it serves clients already")
	}
	if err := p.mayListen(address); err != nil {
		return nil, err
	}
	site.clients, err = serving.Listen(address, serving.Config{
		Node:    site.id,
		Secret:  p.secret,
		Propose: func(proposal raft.Proposal) { site.Propose(site.id, proposal) },
		Refused: func(reason string) { site.refusals.add(0, reason) },
	})
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "%v", err)
	}
	return listening{site.clients.Address()}, nil
}

func (p *program) services(_ int, f *fields) (any, error) {
	known := required(f, "addresses", addresses)
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	if site.clients != nil {
		site.clients.Tell(known)
	}
	return nothing{}, nil
}

func (p *program) tellRefused(id, peer raft.NodeID, reason string) {
	p.out.put(refusedEvent{"refused", id, orNull(peer), reason, lives.Monotonic()})
	whom := "a stranger"
	if peer != 0 {
		whom = fmt.Sprintf("node %d", peer)
	}
	fmt.Fprintf(p.warn, "node %d: no connection with %s: %s\n", id, whom, reason)
}

func (p *program) peers(_ int, f *fields) (any, error) {
	peers := required(f, "peers", addresses)
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	site.SetPeers(peers)
	return nothing{}, nil
}

func (p *program) begin(_ int, f *fields) (any, error) {
	joins := optional(f, "join", boolean, false)
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	return nothing{}, site.Join(site.id, joins)
}

func (s *site) crash() (ceased, error) {
	atNs, err := s.Crash(s.id)
	return ceased{atNs}, err
}

func (s *site) pause() (lifeStatus, error) {
	if err := s.Pause(s.id); err != nil {
		return lifeStatus{}, err
	}
	return s.told()
}

func (s *site) resume() error { return s.Resume(s.id) }

func (s *site) status() (lifeStatus, error) {
	if err := s.mustRun(); err != nil {
		return lifeStatus{}, err
	}
	return s.told()
}

func (s *site) told() (lifeStatus, error) {
	replica := s.Replica(s.id)
	if replica.Lifecycle == lives.Crashed {
		return lifeStatus{}, s.mustRun()
	}
	return describeLife(replica), nil
}

func (s *site) counters() (raft.Counters, error) {
	if err := s.mustRun(); err != nil {
		return raft.Counters{}, err
	}
	return s.Counters(s.id), nil
}

func (s *site) compact() (covered, error) {
	snapshot, err := s.Compact(s.id)
	if err != nil {
		return covered{}, err
	}
	return covered{snapshot.LastIndex, snapshot.LastTerm}, nil
}

func (s *site) heartbeat() error { return s.Heartbeat(s.id) }

// forever is longer than anybody waits.
const forever = time.Duration(1<<63 - 1)

func (p *program) submit(id int, f *fields) (any, error) {
	proposed := readProposed(f, anyCommand)
	site, err := p.alive(f)
	if err != nil {
		return nil, err
	}
	p.await(id, site.Submit(site.id, proposed), forever, applying)
	return nil, nil
}

func (p *program) read(id int, f *fields) (any, error) {
	key := required(f, "key", text(0, maxKeyBytes))
	site, err := p.alive(f)
	if err != nil {
		return nil, err
	}
	p.await(id, site.Read(site.id, key), forever, reading)
	return nil, nil
}

func (p *program) whenApplied(id int, f *fields) (any, error) {
	index := required(f, "index", integer(1, maxID))
	site, err := p.alive(f)
	if err != nil {
		return nil, err
	}
	outcome, err := site.Applied(site.id, index)
	if err != nil {
		return nil, err
	}
	p.await(id, outcome, forever, func(o raft.Outcome) any { return reached{o.Index} })
	return nil, nil
}

func (p *program) log(_ int, f *fields) (any, error) {
	first := optional(f, "from", integer(1, maxID), 1)
	last := optional(f, "to", integer(1, maxID), maxID)
	byColumns := optional(f, "columns", boolean, false)
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	log, err := pageOf(site, site.id, first, last)
	if byColumns {
		return describeColumns(log), err
	}
	return logSlice{log.First, describeEntries(log)}, err
}

func (p *program) transfer(_ int, f *fields) (any, error) {
	to := required(f, "to", server())
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	begun, err := site.Transfer(site.id, to)
	return handed{begun}, err
}

func (p *program) partition(_ int, f *fields) (any, error) {
	cut := readPartition(f, numbered(maxNodes))
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	cut(site)
	return nothing{}, nil
}

func (p *program) heal(_ int, f *fields) (any, error) {
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	site.Partition(nil)
	return nothing{}, nil
}

func (p *program) links(_ int, f *fields) (any, error) {
	faults := readFaults(f)
	site, err := p.there(f)
	if err != nil {
		return nil, err
	}
	site.Degrade(faults)
	return nothing{}, nil
}

// A load runs beside the node.
type load func(context.Context, *site) (any, error)

func bearing[S, R any](
	spec S, perform func(Cluster, context.Context, raft.NodeID, S, func(float64)) (R, error),
) load {
	return func(ctx context.Context, s *site) (any, error) {
		return perform(s, ctx, s.id, spec, func(float64) {})
	}
}

var loads = map[string]func(*fields) load{
	"replicate": func(f *fields) load { return bearing(closedLoop(f), Cluster.Replicate) },
	"offered":   func(f *fields) load { return bearing(openLoop(f), Cluster.Offered) },
}

func (p *program) run(id int, f *fields) (any, error) {
	w := required(f, "workload", object)
	if err := f.end(); err != nil {
		return nil, err
	}
	name := required(w, "name", choice(slices.Sorted(maps.Keys(loads))...))
	if w.err != nil {
		return nil, w.err
	}
	perform := loads[name](w)
	if err := w.end(); err != nil {
		return nil, err
	}
	site, err := p.alive(f)
	if err != nil {
		return nil, err
	}
	if !site.busy.CompareAndSwap(false, true) {
		return nil, badRequest("a workload is running; one at a time")
	}
	site.working.Go(func() {
		result, err := perform(site.running, site)
		site.busy.Store(false)
		p.give(id, result, err)
	})
	return nil, nil
}

func (p *program) quit(_ int, f *fields) (any, error) {
	if err := f.end(); err != nil {
		return nil, err
	}
	p.end()
	return nothing{}, nil
}
