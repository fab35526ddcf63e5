package raft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"maps"
	"math"
	"slices"
)

// A Result is what a command answers: nil, a string or a bool.
type Result any

// ErrStaleSerial is the result of a command whose session has moved on: it was not applied
// again, and what it once answered is no longer kept.
var ErrStaleSerial = Errorf(BadRequest, "the session has used a higher serial; not applied again")

// A StateMachine is what the log replicates: a key-value store, and for each client session
// its last serial and result.
//
// A command is applied once however often it is retried: a session's repeated serial gets
// the first one's result, a lower one [ErrStaleSerial] (§8).
type StateMachine struct {
	appliedIndex int
	data         map[string]*string
	sessions     map[string]*session
}

type session struct {
	serial uint64
	result Result
}

// NewStateMachine returns an empty store.
func NewStateMachine() *StateMachine {
	return &StateMachine{data: map[string]*string{}, sessions: map[string]*session{}}
}

// AppliedIndex is the index of the last entry applied.
func (s *StateMachine) AppliedIndex() int { return s.appliedIndex }

// Apply applies the entry after the applied index.
func (s *StateMachine) Apply(entry Entry) (Result, error) {
	s.appliedIndex++
	command := entry.Command
	if command.Client == nil {
		return s.execute(command), nil
	}
	client := s.sessions[*command.Client]
	if client == nil {
		client = &session{}
		s.sessions[*command.Client] = client
	}
	if command.Serial < client.serial {
		return nil, ErrStaleSerial
	}
	if command.Serial > client.serial {
		client.serial, client.result = command.Serial, s.execute(command)
	}
	return client.result, nil
}

func (s *StateMachine) execute(command *Command) Result {
	switch command.Op {
	case Set:
		s.data[command.Key] = command.Value
	case Get:
		return s.Get(command.Key)
	case Cas:
		met := equal(s.data[command.Key], command.Expect)
		if met {
			s.data[command.Key] = command.Value
		}
		return met
	case AddServer, PromoteServer, RemoveServer:
		// One that may not be made does not get into the log.
		return true
	}
	return nil
}

// Get is a key's value, nil if it does not exist.
func (s *StateMachine) Get(key string) Result { return resultOf(s.data[key]) }

func resultOf(value *string) Result {
	if value == nil {
		return nil
	}
	return *value
}

func equal(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Items are all of the state, for a snapshot: the keys in order, then the sessions.
func (s *StateMachine) Items() []Item {
	items := make([]Item, 0, len(s.data)+len(s.sessions))
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		items = append(items, Item{Name: key, Value: resultOf(s.data[key])})
	}
	for _, name := range slices.Sorted(maps.Keys(s.sessions)) {
		items = append(items, Item{name, s.sessions[name].result, s.sessions[name].serial})
	}
	return items
}

// Restore makes the state machine what the snapshot says.
func (s *StateMachine) Restore(snapshot *Snapshot) {
	*s = *NewStateMachine()
	s.appliedIndex = snapshot.LastIndex
	for _, item := range snapshot.Items {
		if item.Serial > 0 {
			s.sessions[item.Name] = &session{item.Serial, item.Value}
		} else if value, ok := item.Value.(string); ok {
			s.data[item.Name] = &value
		} else {
			s.data[item.Name] = nil
		}
	}
}

// Clone is a state machine of its own in the same state.
func (s *StateMachine) Clone() *StateMachine {
	clone := &StateMachine{
		appliedIndex: s.appliedIndex,
		data:         maps.Clone(s.data),
		sessions:     make(map[string]*session, len(s.sessions)),
	}
	for name, session := range s.sessions {
		copied := *session
		clone.sessions[name] = &copied
	}
	return clone
}

// StateHash is the SHA-256 of keys, values and sessions, as docs/protocol.md defines it.
func (s *StateMachine) StateHash() string {
	digest := sha256.New()
	buffer := binary.LittleEndian.AppendUint64(nil, uint64(len(s.data)))
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		buffer = appendHashed(appendHashed(buffer, &key), s.data[key])
		digest.Write(buffer)
		buffer = buffer[:0]
	}
	buffer = binary.LittleEndian.AppendUint64(buffer, uint64(len(s.sessions)))
	for _, client := range slices.Sorted(maps.Keys(s.sessions)) {
		buffer = appendHashed(buffer, &client)
		buffer = binary.LittleEndian.AppendUint64(buffer, s.sessions[client].serial)
	}
	digest.Write(buffer)
	return hex.EncodeToString(digest.Sum(nil))
}

// LogHash is the SHA-256 of log entries, as docs/protocol.md defines it.
func LogHash(entries iter.Seq[Entry]) string {
	digest := sha256.New()
	var buffer []byte
	for entry := range entries {
		command := entry.Command
		op := string(command.Op)
		buffer = binary.LittleEndian.AppendUint64(buffer[:0], entry.Term)
		for _, text := range []*string{&op, &command.Key, command.Value, command.Expect, command.Client} {
			buffer = appendHashed(buffer, text)
		}
		buffer = binary.LittleEndian.AppendUint64(buffer, command.Serial)
		digest.Write(buffer)
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// appendHashed appends a string as it is hashed: its length and its bytes, or the mark of
// null.
func appendHashed(buffer []byte, text *string) []byte {
	if text == nil {
		return binary.LittleEndian.AppendUint32(buffer, math.MaxUint32)
	}
	buffer = binary.LittleEndian.AppendUint32(buffer, uint32(len(*text)))
	return append(buffer, *text...)
}
