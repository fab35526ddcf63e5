package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// The records of a [DiskStorage]. A record begins with its payload's length, its payload's
// CRC-32, and the CRC-32 of those two (each an unsigned 32-bit little-endian integer), so
// that a damaged length is told from a torn tail. The payload is a MessagePack array whose
// first element tells what it is:
//
//	[1, term, voted_for]              the hard state
//	[2, first_index, [entry, …]]      entries, appended; entry = [term, command]
//	[3, first_index]                  the log's tail from first_index on is deleted
//	[4, index, term, [voters, learners], [item, …]]
//	                                  a snapshot; item = [name, value, serial]
//	[5, [voter, …]]                   the first voters, with which the log begins
//
// with command = [op, key, value, expect, client, serial]. The file begins with a header.
const (
	header    = "RAFTMK\x00\x01"
	frameSize = 12
)

const (
	recordHardState   = 1
	recordEntries     = 2
	recordTruncation  = 3
	recordSnapshot    = 4
	recordFirstVoters = 5
)

func appendFrame(b, payload []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(payload))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	return append(b, payload...)
}

func appendHardState(b []byte, state HardState) []byte {
	b = msgp.AppendArrayHeader(b, 3)
	b = msgp.AppendUint64(b, recordHardState)
	b = msgp.AppendUint64(b, state.Term)
	if state.VotedFor == 0 {
		return msgp.AppendNil(b)
	}
	return msgp.AppendUint64(b, uint64(state.VotedFor))
}

func appendFirstVoters(b []byte, voters []NodeID) []byte {
	b = msgp.AppendArrayHeader(b, 2)
	b = msgp.AppendUint64(b, recordFirstVoters)
	return appendServers(b, voters)
}

func appendTruncation(b []byte, firstIndex int) []byte {
	b = msgp.AppendArrayHeader(b, 2)
	b = msgp.AppendUint64(b, recordTruncation)
	return msgp.AppendUint64(b, uint64(firstIndex))
}

func appendEntries(b []byte, firstIndex int, entries []Entry) []byte {
	b = msgp.AppendArrayHeader(b, 3)
	b = msgp.AppendUint64(b, recordEntries)
	b = msgp.AppendUint64(b, uint64(firstIndex))
	return appendEntryList(b, entries)
}

func appendEntryList(b []byte, entries []Entry) []byte {
	b = msgp.AppendArrayHeader(b, uint32(len(entries)))
	for _, entry := range entries {
		b = msgp.AppendArrayHeader(b, 2)
		b = msgp.AppendUint64(b, entry.Term)
		b = AppendCommand(b, entry.Command)
	}
	return b
}

// AppendSnapshot appends a snapshot as it is on disk.
func AppendSnapshot(b []byte, snapshot *Snapshot) []byte {
	b = msgp.AppendArrayHeader(b, 5)
	b = msgp.AppendUint64(b, recordSnapshot)
	b = msgp.AppendUint64(b, uint64(snapshot.LastIndex))
	b = msgp.AppendUint64(b, snapshot.LastTerm)
	b = appendConfiguration(b, snapshot.Configuration)
	return appendItems(b, snapshot.Items)
}

func appendConfiguration(b []byte, configuration Configuration) []byte {
	b = msgp.AppendArrayHeader(b, 2)
	b = appendServers(b, configuration.Voters)
	return appendServers(b, configuration.Learners)
}

func appendItems(b []byte, items []Item) []byte {
	b = msgp.AppendArrayHeader(b, uint32(len(items)))
	for _, item := range items {
		b = msgp.AppendArrayHeader(b, 3)
		b = msgp.AppendString(b, item.Name)
		switch value := item.Value.(type) {
		case string:
			b = msgp.AppendString(b, value)
		case bool:
			b = msgp.AppendBool(b, value)
		default:
			b = msgp.AppendNil(b)
		}
		b = msgp.AppendUint64(b, item.Serial)
	}
	return b
}

func appendServers(b []byte, servers []NodeID) []byte {
	b = msgp.AppendArrayHeader(b, uint32(len(servers)))
	for _, id := range servers {
		b = msgp.AppendUint64(b, uint64(id))
	}
	return b
}

// AppendCommand appends a command as it is on disk and on its way.
func AppendCommand(b []byte, command *Command) []byte {
	b = msgp.AppendArrayHeader(b, 6)
	b = msgp.AppendString(b, string(command.Op))
	b = msgp.AppendString(b, command.Key)
	for _, text := range []*string{command.Value, command.Expect, command.Client} {
		if text == nil {
			b = msgp.AppendNil(b)
		} else {
			b = msgp.AppendString(b, *text)
		}
	}
	return msgp.AppendUint64(b, command.Serial)
}

// errTorn: the file ends before the record does.
var errTorn = errors.New("torn record")

// replay returns what the whole records of a file say, and where they end: 0 if not even the
// header is whole. An error tells the offset of the damage.
func replay(content []byte) (saved Saved, whole int, err error) {
	if isTornHeader(content) {
		return saved, 0, nil
	}
	if !bytes.HasPrefix(content, []byte(header)) {
		return saved, 0, errors.New("offset 0: not a node's log of this version")
	}
	stateKnown := false
	whole = len(header)
	for whole < len(content) {
		payload, err := nextPayload(content[whole:])
		if errors.Is(err, errTorn) {
			break
		}
		if err == nil {
			err = saved.replay(payload, whole == len(header))
		}
		if err != nil {
			return Saved{}, 0, fmt.Errorf("offset %d: %w", whole, err)
		}
		stateKnown = stateKnown || payload[1] == recordHardState
		whole += frameSize + len(payload)
	}
	if saved.Snapshot != nil && !stateKnown {
		// Both were durable before the file got its name: this is no torn tail.
		return Saved{}, 0, fmt.Errorf("offset %d: damaged record (the hard state)", whole)
	}
	return saved, whole, nil
}

// nextPayload returns the payload of the first record of content, which is not empty. A
// record that the end of the file cut off is errTorn; one damaged before that is another
// error.
func nextPayload(content []byte) ([]byte, error) {
	if len(content) < frameSize {
		return nil, errTorn
	}
	if crc32.ChecksumIEEE(content[:8]) != binary.LittleEndian.Uint32(content[8:]) {
		if endsInZeros(content, frameSize) {
			return nil, errTorn
		}
		return nil, errors.New("damaged record (its length)")
	}
	length := int(binary.LittleEndian.Uint32(content))
	checksum := binary.LittleEndian.Uint32(content[4:])
	rest := content[frameSize:]
	if length > len(rest) {
		return nil, errTorn
	}
	if crc32.ChecksumIEEE(rest[:length]) == checksum {
		return rest[:length], nil
	}
	if length == len(rest) || endsInZeros(content, frameSize+length) {
		return nil, errTorn
	}
	return nil, errors.New("damaged record (checksum differs)")
}

// isTornHeader reports whether a file's creation was cut short: its header was synced before
// all else.
func isTornHeader(content []byte) bool {
	return len(content) <= len(header) && string(content) != header &&
		strings.HasPrefix(header, string(withoutZeros(content)))
}

// endsInZeros reports whether content is all zeros from before end, within a damaged record,
// to its end.
func endsInZeros(content []byte, end int) bool { return len(withoutZeros(content)) < end }

func withoutZeros(content []byte) []byte { return bytes.TrimRight(content, "\x00") }

// lastIndex is the index of the last entry saved.
func (s *Saved) lastIndex() int { return s.compacted() + len(s.Entries) }

// compacted is how many entries the snapshot covers.
func (s *Saved) compacted() int {
	if s.Snapshot == nil {
		return 0
	}
	return s.Snapshot.LastIndex
}

// replay takes a record's payload into what was saved; a snapshot only from the first one.
func (s *Saved) replay(payload []byte, isFirst bool) error {
	r := decoder{rest: payload}
	size, kind := r.array(), r.integer()
	switch {
	case kind == recordHardState && size == 3:
		state := HardState{Term: r.integer()}
		if !r.null() {
			state.VotedFor = NodeID(r.integer())
		}
		if r.finished() {
			s.HardState = state
			return nil
		}
	case kind == recordEntries && size == 3:
		first := r.integer()
		entries := r.entries()
		if r.finished() && first == uint64(s.lastIndex()+1) {
			s.Entries = append(s.Entries, entries...)
			return nil
		}
	case kind == recordTruncation && size == 2:
		first := r.integer()
		if r.finished() && uint64(s.compacted()) < first && first <= uint64(s.lastIndex()) {
			s.Entries = s.Entries[:first-1-uint64(s.compacted())]
			return nil
		}
	case kind == recordSnapshot && size == 5 && isFirst:
		snapshot := r.snapshot()
		if r.finished() {
			s.Snapshot = snapshot
			return nil
		}
	case kind == recordFirstVoters && size == 2 && s.FirstVoters == nil:
		voters := r.servers()
		if r.finished() && len(voters) > 0 {
			s.FirstVoters = voters
			return nil
		}
	}
	return fmt.Errorf("unexpected record %s", describe(payload))
}

// describe is a payload in a message: its beginning is enough.
func describe(payload []byte) string {
	var text bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&text, payload); err != nil {
		return "that is not MessagePack"
	}
	if text.Len() > 60 {
		text.Truncate(57)
		text.WriteString("...")
	}
	return text.String()
}

// A decoder takes a payload apart. After the first fault it reads zeros, and finished is
// false.
type decoder struct {
	rest []byte
	err  error
}

func read[T any](r *decoder, take func([]byte) (T, []byte, error)) (value T) {
	if r.err == nil {
		value, r.rest, r.err = take(r.rest)
	}
	return value
}

func (r *decoder) array() uint32   { return read(r, msgp.ReadArrayHeaderBytes) }
func (r *decoder) integer() uint64 { return read(r, msgp.ReadUint64Bytes) }

func (r *decoder) text() string { return r.textOf(read(r, msgp.ReadStringZC)) }

func (r *decoder) textOf(raw []byte) string {
	if r.err == nil && !utf8.Valid(raw) {
		r.err = errors.New("not UTF-8")
	}
	return string(raw)
}

// op is a text, of which those that there are take no memory.
func (r *decoder) op() Op {
	raw := read(r, msgp.ReadStringZC)
	switch string(raw) {
	case string(Set):
		return Set
	case string(Get):
		return Get
	case string(Cas):
		return Cas
	case string(Noop):
		return Noop
	case string(AddServer):
		return AddServer
	case string(PromoteServer):
		return PromoteServer
	case string(RemoveServer):
		return RemoveServer
	default:
		return Op(r.textOf(raw))
	}
}

// null takes a null, if there is one.
func (r *decoder) null() bool {
	if r.err != nil || !msgp.IsNil(r.rest) {
		return false
	}
	r.rest, r.err = msgp.ReadNilBytes(r.rest)
	return true
}

func (r *decoder) optional() *string { return r.optionalIn(new(string)) }

// optionalIn keeps the text in a place that there is for it.
func (r *decoder) optionalIn(place *string) *string {
	if r.null() {
		return nil
	}
	*place = r.text()
	return place
}

func (r *decoder) entries() []Entry {
	var entries []Entry
	for count := r.array(); count > 0 && r.err == nil; count-- {
		entries = append(entries, r.entry())
	}
	return entries
}

func (r *decoder) entry() Entry {
	r.expect(2)
	return Entry{r.integer(), r.command()}
}

func (r *decoder) command() *Command {
	r.expect(6)
	command := &struct {
		Command
		value, expect, client string // one piece of memory for all four
	}{}
	command.Op, command.Key = r.op(), r.text()
	command.Value = r.optionalIn(&command.value)
	command.Expect = r.optionalIn(&command.expect)
	command.Client = r.optionalIn(&command.client)
	command.Serial = r.integer()
	return &command.Command
}

// DecodeCommand is what [AppendCommand] has written.
func DecodeCommand(b []byte) (*Command, error) {
	r := decoder{rest: b}
	command := r.command()
	if !r.finished() {
		return nil, fmt.Errorf("not a command: %s", describe(b))
	}
	return command, nil
}

// DecodeSnapshot is what [AppendSnapshot] has written.
func DecodeSnapshot(b []byte) (*Snapshot, error) {
	r := decoder{rest: b}
	r.expect(5)
	kind, snapshot := r.integer(), r.snapshot()
	if !r.finished() || kind != recordSnapshot {
		return nil, fmt.Errorf("not a snapshot: %s", describe(b))
	}
	return snapshot, nil
}

func (r *decoder) snapshot() *Snapshot {
	snapshot := &Snapshot{LastIndex: int(r.integer()), LastTerm: r.integer()}
	r.expect(2)
	snapshot.Configuration = Configuration{r.servers(), r.servers()}
	for count := r.array(); count > 0 && r.err == nil; count-- {
		snapshot.Items = append(snapshot.Items, r.item())
	}
	return snapshot
}

func (r *decoder) servers() []NodeID {
	var servers []NodeID
	for count := r.array(); count > 0 && r.err == nil; count-- {
		servers = append(servers, NodeID(r.integer()))
	}
	return servers
}

func (r *decoder) item() Item {
	r.expect(3)
	item := Item{Name: r.text()}
	if msgp.NextType(r.rest) == msgp.BoolType {
		item.Value = read(r, msgp.ReadBoolBytes)
	} else {
		item.Value = resultOf(r.optional())
	}
	item.Serial = r.integer()
	return item
}

// expect takes the header of an array of the given size.
func (r *decoder) expect(size uint32) {
	if r.array() != size && r.err == nil {
		r.err = fmt.Errorf("not an array of %d", size)
	}
}

// finished reports whether the payload was read without a fault, and to its end.
func (r *decoder) finished() bool { return r.err == nil && len(r.rest) == 0 }
