package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

const (
	protocolVersion = 1
	maxLogEntries   = 5000
)

var operations = map[string]operation[*host]{
	"hello":         (*host).hello,
	"start":         (*host).start,
	"stop":          (*host).stop,
	"quit":          (*host).quit,
	"status":        steady((*host).status),
	"submit":        steady((*host).submit),
	"read":          steady((*host).read),
	"log":           steady((*host).log),
	"snapshot":      steady((*host).snapshot),
	"transfer":      patient((*host).node, (*control).transfer),
	"add_server":    patient(anyServer, (*control).add),
	"remove_server": patient((*host).node, (*control).remove),
	"crash":         steady((*host).crash),
	"restart":       nodeOperation(Cluster.Restart),
	"pause":         nodeOperation(Cluster.Pause),
	"resume":        nodeOperation(Cluster.Resume),
	"partition":     steady((*host).partition),
	"heal":          steady((*host).heal),
	"links":         steady((*host).links),
	"run":           steady((*host).run),
}

var errNotRunning = raft.Errorf(raft.Unavailable, "no cluster is running; start one first")

// steady is an operation during which the cluster's members, if one runs, stay the same.
func steady(perform operation[*host]) operation[*host] {
	return func(h *host, id int, f *fields) (any, error) {
		if h.control != nil {
			h.control.membership.RLock()
			defer h.control.membership.RUnlock()
		}
		return perform(h, id, f)
	}
}

// running is the cluster that a request is for, all of whose fields were read.
func (h *host) running(f *fields) (*control, error) {
	if err := f.end(); err != nil {
		return nil, err
	}
	if h.control == nil {
		return nil, errNotRunning
	}
	return h.control, nil
}

func nodeOperation(perform func(Cluster, raft.NodeID) error) operation[*host] {
	return steady(func(h *host, _ int, f *fields) (any, error) {
		id := required(f, "node", h.node())
		control, err := h.running(f)
		if err != nil {
			return nil, err
		}
		return nothing{}, perform(control.Cluster, id)
	})
}

// patient is an operation on a node that takes its time: once it has begun, other requests
// need not wait until it is done.
func patient(
	node func(*host) check[raft.NodeID],
	begin func(*control, raft.NodeID) (done func(context.Context) error, err error),
) operation[*host] {
	return func(h *host, id int, f *fields) (any, error) {
		node := required(f, "node", node(h))
		timeout := optionalTimeout(f)
		control, err := h.running(f)
		if err != nil {
			return nil, err
		}
		ctx, stop := context.WithTimeoutCause(control.running, timeout,
			raft.Errorf(raft.OutcomeUnknown, "it did not happen in time; it still may"))
		done, err := begin(control, node)
		if err != nil {
			stop()
			return nil, err
		}
		control.working.Go(func() {
			defer stop()
			h.give(id, nothing{}, done(ctx))
		})
		return nil, nil
	}
}

func optionalTimeout(f *fields) time.Duration {
	return optional(f, "timeout_ms", duration(1, 600_000, time.Millisecond), 5*time.Second)
}

func (h *host) node() check[raft.NodeID] { return node(h.nodes()) }

// nodes are those that a request may name: the cluster's, while none runs any cluster's.
func (h *host) nodes() []raft.NodeID {
	if h.control == nil {
		return numbered(maxNodes)
	}
	return h.control.members()
}

// numbered are so many nodes.
func numbered(nodes int) (ids []raft.NodeID) {
	for id := range nodes {
		ids = append(ids, raft.NodeID(id+1))
	}
	return ids
}

func anyServer(*host) check[raft.NodeID] { return server() }

func (h *host) hello(_ int, f *fields) (any, error) {
	return introduction{
		Contender: h.model.Name,
		Protocol:  protocolVersion,
		Language:  "Go",
		Runtime:   describeRuntime(),
		Features:  h.features(),
	}, f.end()
}

func (h *host) features() []string {
	features := slices.Concat([]string{"memory", "disk"}, slices.Sorted(maps.Keys(workloads)), []string{
		"read", "snapshot", "transfer", "membership", "pre_vote", "check_quorum", "trace", "slices",
		"columns",
	})
	if h.model.Deploy != nil {
		features = append(features, "service") // of its node programs
	}
	return features
}

func (h *host) start(_ int, f *fields) (any, error) {
	nodes := optional(f, "nodes", integer(1, maxNodes), 3)
	optional(f, "transport", choice("native"), "native")
	config, trace, err := readConfig(f)
	if err != nil {
		return nil, err
	}
	if h.control != nil {
		return nil, badRequest("a cluster is running; stop it first")
	}
	config.Settings.Nodes = numbered(nodes)
	control, err := startControl(h.model, config, h.events(trace))
	if refusal := (*raft.Error)(nil); errors.As(err, &refusal) {
		return nil, refusal
	}
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "%v", err)
	}
	h.control = control
	return started{control.members()}, nil
}

// readConfig reads what a cluster is started with, but its nodes, and whether messages are to be
// told of. They are the last fields.
func readConfig(f *fields) (config lives.Config, trace bool, err error) {
	config.Settings = raft.Settings{
		ElectionTimeout: optional(f, "election_timeout_ms", span(1, 60_000),
			raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond}),
		Heartbeat: optional(f, "heartbeat_ms", duration(0.5, 60_000, time.Millisecond),
			50*time.Millisecond),
		MaxBytes:        raft.DefaultMaxBytes,
		MaxEntries:      raft.DefaultMaxEntries,
		Window:          raft.DefaultWindow,
		PreVote:         optional(f, "pre_vote", boolean, false),
		CheckQuorum:     optional(f, "check_quorum", boolean, false),
		SnapshotEntries: optional(f, "snapshot_entries", integer(0, maxID), raft.DefaultSnapshotEntries),
	}
	onDisk := optional(f, "storage", choice("memory", "disk"), "memory") == "disk"
	config.DataDir = optional(f, "data_dir", path, "")
	trace = optional(f, "trace", boolean, false)
	config.Seed = uint64(optional(f, "seed", integer(0, 1<<63-1), 0))
	err = f.end()
	if err == nil && onDisk != (config.DataDir != "") {
		err = badRequest("data_dir goes with storage disk, and only with it")
	}
	return config, trace, err
}

func (h *host) stop(_ int, f *fields) (any, error) {
	if _, err := h.running(f); err != nil {
		return nil, err
	}
	h.stopCluster()
	return nothing{}, nil
}

func (h *host) quit(_ int, f *fields) (any, error) {
	if err := f.end(); err != nil {
		return nil, err
	}
	h.stopCluster()
	return nothing{}, nil
}

func (h *host) status(_ int, f *fields) (any, error) {
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	members := control.members()
	nodes := make([]nodeStatus, len(members))
	// Side by side: each has its whole log hashed.
	var describing sync.WaitGroup
	for place, id := range members {
		replica := control.Replica(id)
		describing.Go(func() { nodes[place] = describeNode(id, replica) })
	}
	describing.Wait()
	return statuses{nodes}, nil
}

func (h *host) submit(id int, f *fields) (any, error) {
	proposed := readProposed(f, command)
	return nil, h.ask(id, f, applying, func(c Cluster, node raft.NodeID) <-chan raft.Outcome {
		return c.Submit(node, proposed)
	})
}

// ask begins what a node is asked for, or without one whoever leads, and lets the outcome be told
// when it comes. These are the request's last fields.
func (h *host) ask(
	id int, f *fields, tell func(raft.Outcome) any,
	begin func(Cluster, raft.NodeID) <-chan raft.Outcome,
) error {
	node := optional(f, "node", h.node(), 0)
	timeout := optionalTimeout(f)
	control, err := h.running(f)
	if err != nil {
		return err
	}
	if node, err = control.asked(node); err != nil {
		return err
	}
	h.await(id, begin(control.Cluster, node), timeout, tell)
	return nil
}

// readProposed reads a command and the client session that it is of, if it is of one; nil after a
// fault.
func readProposed(f *fields, command check[*raft.Command]) *raft.Command {
	proposed := required(f, "command", command)
	if f.has("client") || f.has("serial") {
		client := required(f, "client", text(0, maxKeyBytes))
		serial := required(f, "serial", integer(1, maxID))
		if proposed != nil {
			proposed.Client, proposed.Serial = &client, uint64(serial)
		}
	}
	return proposed
}

func (h *host) read(id int, f *fields) (any, error) {
	key := required(f, "key", text(0, maxKeyBytes))
	return nil, h.ask(id, f, reading, func(c Cluster, node raft.NodeID) <-chan raft.Outcome {
		return c.Read(node, key)
	})
}

func (h *host) log(_ int, f *fields) (any, error) {
	node := required(f, "node", h.node())
	first := optional(f, "from", integer(1, maxID), 1)
	last := optional(f, "to", integer(1, maxID), maxID)
	byColumns := optional(f, "columns", boolean, false)
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	log, err := pageOf(control.Cluster, node, first, last)
	if byColumns {
		return describeColumns(log), err
	}
	return describeEntries(log), err
}

// pageOf is as much of a node's log as is told at a time.
func pageOf(c Cluster, node raft.NodeID, first, last int) (raft.LogSlice, error) {
	log, err := c.Log(node, first, min(last, first+maxLogEntries-1))
	if err == nil && log.First >= first+maxLogEntries {
		// All of that is compacted away.
		log, err = c.Log(node, log.First, min(last, log.First+maxLogEntries-1))
	}
	return log, err
}

func (h *host) snapshot(_ int, f *fields) (any, error) {
	node := required(f, "node", h.node())
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	snapshot, err := control.Compact(node)
	if err != nil {
		return nil, err
	}
	return covered{snapshot.LastIndex, snapshot.LastTerm}, nil
}

func (h *host) crash(_ int, f *fields) (any, error) {
	node := required(f, "node", h.node())
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	atNs, err := control.Crash(node)
	return ceased{atNs}, err
}

func (h *host) partition(_ int, f *fields) (any, error) {
	cut := readPartition(f, h.nodes())
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	cut(control.Cluster)
	return nothing{}, nil
}

// readPartition reads a partition of the nodes, and returns what makes it.
func readPartition(f *fields, nodes []raft.NodeID) func(Cluster) {
	asked := f.has("groups")
	if asked == f.has("blocked") && f.err == nil {
		f.err = badRequest("a partition has either groups or blocked")
	}
	groups := optional(f, "groups", groups(nodes), nil)
	blocked := optional(f, "blocked", ways(nodes), nil)
	return func(c Cluster) {
		if asked {
			c.Partition(groups)
		} else {
			c.Block(blocked)
		}
	}
}

func (h *host) heal(_ int, f *fields) (any, error) {
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	control.Partition(nil)
	return nothing{}, nil
}

func (h *host) links(_ int, f *fields) (any, error) {
	faults := readFaults(f)
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	control.Degrade(faults)
	return nothing{}, nil
}

func readFaults(f *fields) raft.Faults {
	return raft.Faults{
		Drop:      optional(f, "drop", number(0, 1), 0),
		Duplicate: optional(f, "duplicate", number(0, 1), 0),
		Delay:     optional(f, "delay_ms", span(0, 60_000), raft.Range{}),
	}
}

func (h *host) run(id int, f *fields) (any, error) {
	w := required(f, "workload", object)
	if err := f.end(); err != nil {
		return nil, err
	}
	work, err := readWorkload(len(h.nodes()), w)
	if err != nil {
		return nil, err
	}
	control, err := h.running(f)
	if err != nil {
		return nil, err
	}
	return nil, control.work(func() {
		result, err := work(control, func(done float64) {
			h.out.put(progressEvent{"progress", id, done})
		})
		control.busy.Store(false)
		h.give(id, result, err)
	})
}
