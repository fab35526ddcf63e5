package host

import (
	"errors"

	"raftmark/lives"
	"raftmark/raft"
)

// What docs/protocol.md calls a reply, an event, or by the name of an op its answer. A nil
// pointer is null.

type reply struct {
	ID    *int     `json:"id"`
	OK    any      `json:"ok,omitzero"`
	Error *failure `json:"error,omitzero"`
}

type failure struct {
	Code    raft.Code     `json:"code"`
	Message string        `json:"message"`
	Leader  **raft.NodeID `json:"leader,omitzero"` // with not_leader only, and then maybe null
}

type roleEvent struct {
	Event  string       `json:"event"`
	Node   raft.NodeID  `json:"node"`
	Role   raft.Role    `json:"role"`
	Term   uint64       `json:"term"`
	Leader *raft.NodeID `json:"leader"`
	AtNs   int64        `json:"at_ns"`
}

type lossEvent struct {
	Event  string      `json:"event"`
	Node   raft.NodeID `json:"node"`
	First  int         `json:"first"`
	Last   int         `json:"last"`
	Leader raft.NodeID `json:"leader"`
	AtNs   int64       `json:"at_ns"`
}

type faultEvent struct {
	Event   string      `json:"event"`
	Node    raft.NodeID `json:"node"`
	Message string      `json:"message"`
	AtNs    int64       `json:"at_ns"`
}

type membersEvent struct {
	Event   string        `json:"event"`
	AsOf    int           `json:"as_of"`
	Members []raft.NodeID `json:"members"`
}

type refusedEvent struct {
	Event  string       `json:"event"`
	Node   raft.NodeID  `json:"node"`
	Peer   *raft.NodeID `json:"peer"`
	Reason string       `json:"reason"`
	AtNs   int64        `json:"at_ns"`
}

type progressEvent struct {
	Event string  `json:"event"`
	Run   int     `json:"run"`
	Done  float64 `json:"done"`
}

type nothing struct{}

type introduction struct {
	Contender string    `json:"contender"`
	Protocol  int       `json:"protocol"`
	Language  string    `json:"language"`
	Runtime   goRuntime `json:"runtime"`
	Features  []string  `json:"features"`
}

// nodeIntroduction is that of a program for one node.
type nodeIntroduction struct {
	introduction
	Node bool `json:"node"`
}

// goRuntime is what hello tells of the runtime; GOMEMLIMIT is in bytes.
type goRuntime struct {
	Name       string            `json:"name"`
	Version    string            `json:"version"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	GOGC       uint64            `json:"gogc"`
	GOMEMLIMIT uint64            `json:"gomemlimit"`
	Sync       string            `json:"sync"`
	Build      map[string]string `json:"build"`
	Library    string            `json:"library,omitzero"` // whose Raft a node program runs
}

type started struct {
	Nodes []raft.NodeID `json:"nodes"`
}

type statuses struct {
	Nodes []nodeStatus `json:"nodes"`
}

type nodeStatus struct {
	ID     raft.NodeID `json:"id"`
	Alive  bool        `json:"alive"`
	Paused bool        `json:"paused"`
	lifeStatus
}

// lifeStatus is what there is to be told of a life of a node.
type lifeStatus struct {
	Role          *raft.Role     `json:"role"`
	Term          *uint64        `json:"term"`
	Leader        *raft.NodeID   `json:"leader"`
	VotedFor      *raft.NodeID   `json:"voted_for"`
	LastIndex     *int           `json:"last_index"`
	CommitIndex   *int           `json:"commit_index"`
	AppliedIndex  *int           `json:"applied_index"`
	FirstIndex    *int           `json:"first_index"`
	SnapshotIndex *int           `json:"snapshot_index"`
	Voters        *[]raft.NodeID `json:"voters"`
	Learners      *[]raft.NodeID `json:"learners"`
	StateHash     *string        `json:"state_hash"`
	LogHash       *string        `json:"log_hash"`
	LostEntries   *[]lostEntries `json:"lost_entries"`
	DrawnTimeout  *int64         `json:"election_timeout_ns"`
}

type lostEntries struct {
	Node  raft.NodeID `json:"node"`
	First int         `json:"first"`
	Last  int         `json:"last"`
}

type applied struct {
	Index  int         `json:"index"`
	Term   uint64      `json:"term"`
	Result raft.Result `json:"result"`
}

type value struct {
	Index int         `json:"index"`
	Value raft.Result `json:"value"`
}

type covered struct {
	Index int    `json:"index"`
	Term  uint64 `json:"term"`
}

type listening struct {
	Address string `json:"address"`
}

type reached struct {
	Index int `json:"index"`
}

type handed struct {
	Handed bool `json:"handed"`
}

type logSlice struct {
	FirstIndex int `json:"first_index"`
	logPage
}

type logPage struct {
	Entries     []logEntry `json:"entries"`
	LastIndex   int        `json:"last_index"`
	CommitIndex int        `json:"commit_index"`
}

type logEntry struct {
	Index   int           `json:"index"`
	Term    uint64        `json:"term"`
	Command loggedCommand `json:"command"`
}

type loggedCommand struct {
	Op     raft.Op  `json:"op"`
	Key    *string  `json:"key,omitzero"`
	Expect **string `json:"expect,omitzero"` // with cas only, and then maybe null
	Value  *string  `json:"value,omitzero"`
	Client *string  `json:"client,omitzero"`
	Serial uint64   `json:"serial,omitzero"`
}

type ceased struct {
	AtNs int64 `json:"at_ns"`
}

func describeError(err error) *failure {
	known := raft.Errorf(raft.Internal, "%v", err)
	errors.As(err, &known)
	described := &failure{Code: known.Code, Message: known.Message}
	if known.Code == raft.NotLeader {
		described.Leader = new(orNull(known.Leader))
	}
	return described
}

func describeNode(id raft.NodeID, replica lives.Replica) nodeStatus {
	state := replica.Lifecycle
	if state == lives.Crashed {
		return nodeStatus{ID: id}
	}
	return nodeStatus{ID: id, Alive: true, Paused: state == lives.Paused, lifeStatus: describeLife(replica)}
}

func describeLife(replica lives.Replica) lifeStatus {
	status := replica.Status
	lost := []lostEntries{}
	for _, each := range status.LostEntries {
		lost = append(lost, lostEntries{each.Node, each.First, each.Last})
	}
	return lifeStatus{
		Role:          &status.Role,
		Term:          &status.Term,
		Leader:        orNull(status.Leader),
		VotedFor:      orNull(status.VotedFor),
		LastIndex:     &status.LastIndex,
		CommitIndex:   &status.CommitIndex,
		AppliedIndex:  &status.AppliedIndex,
		FirstIndex:    &status.FirstIndex,
		SnapshotIndex: &status.SnapshotIndex,
		Voters:        &status.Configuration.Voters,
		Learners:      &status.Configuration.Learners,
		StateHash:     new(replica.Machine.StateHash()),
		LogHash:       new(raft.LogHash(replica.Log.Until(status.CommitIndex))),
		LostEntries:   &lost,
		DrawnTimeout:  drawnTimeout(status),
	}
}

// drawnTimeout is null where whoever drew it keeps it to himself.
func drawnTimeout(status lives.Status) *int64 {
	if status.DrawnTimeout == 0 {
		return nil
	}
	return new(status.DrawnTimeout.Nanoseconds())
}

func describeEntries(log raft.LogSlice) logPage {
	page := logPage{LastIndex: log.LastIndex, CommitIndex: log.CommitIndex}
	for offset, entry := range log.Entries {
		page.Entries = append(page.Entries,
			logEntry{log.First + offset, entry.Term, describeCommand(entry.Command)})
	}
	return page
}

func describeCommand(command *raft.Command) loggedCommand {
	described := loggedCommand{
		Op:     command.Op,
		Value:  command.Value,
		Client: command.Client,
		Serial: command.Serial,
	}
	if command.Op != raft.Noop {
		described.Key = &command.Key
	}
	if command.Op == raft.Cas {
		described.Expect = &command.Expect
	}
	return described
}

// orNull is a node's id, or null for none.
func orNull(id raft.NodeID) *raft.NodeID {
	if id == 0 {
		return nil
	}
	return &id
}
