package raft

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// Messages between programs, whatever language they are written in: each is a MessagePack array
// of its fields, in their order, and a tag beside it tells which message it is. What comes from
// another program is not trusted: every field is checked here, so that the rest of the package
// may take it for what a node sends.

// The tags.
const (
	tagRequestVote = iota
	tagRequestVoteReply
	tagAppendEntries
	tagAppendEntriesReply
	tagInstallSnapshot
	tagInstallSnapshotReply
	tagTimeoutNow
)

// maxListed is the most entries, items or servers of one message: tiny ones take many times their
// bytes. It is far above what a node sends.
const maxListed = 1 << 16

// AppendMessage appends a message's body, and returns its tag too.
func AppendMessage(b []byte, message Message) (body []byte, tag uint8) {
	switch m := message.(type) {
	case RequestVote:
		b = appendHead(b, 7, m.Term, m.From, m.To)
		b = msgp.AppendUint64(b, uint64(m.LastLogIndex))
		b = msgp.AppendUint64(b, m.LastLogTerm)
		b = msgp.AppendBool(b, m.PreVote)
		return msgp.AppendBool(b, m.Transfer), tagRequestVote
	case RequestVoteReply:
		b = appendHead(b, 5, m.Term, m.From, m.To)
		b = msgp.AppendBool(b, m.Granted)
		return msgp.AppendBool(b, m.PreVote), tagRequestVoteReply
	case AppendEntries:
		b = appendHead(b, 8, m.Term, m.From, m.To)
		b = msgp.AppendUint64(b, uint64(m.PrevLogIndex))
		b = msgp.AppendUint64(b, m.PrevLogTerm)
		b = appendEntryList(b, m.Entries)
		b = msgp.AppendUint64(b, uint64(m.LeaderCommit))
		return msgp.AppendUint64(b, m.Round), tagAppendEntries
	case AppendEntriesReply:
		b = appendHead(b, 8, m.Term, m.From, m.To)
		b = msgp.AppendBool(b, m.Success)
		b = msgp.AppendUint64(b, uint64(m.LogIndex))
		b = msgp.AppendUint64(b, uint64(m.HintIndex))
		b = msgp.AppendUint64(b, m.HintTerm)
		return msgp.AppendUint64(b, m.Round), tagAppendEntriesReply
	case InstallSnapshot:
		b = appendHead(b, 10, m.Term, m.From, m.To)
		b = msgp.AppendUint64(b, uint64(m.SnapshotIndex))
		b = msgp.AppendUint64(b, m.SnapshotTerm)
		b = appendConfiguration(b, m.Configuration)
		b = msgp.AppendUint64(b, uint64(m.Offset))
		b = appendItems(b, m.Items)
		b = msgp.AppendBool(b, m.Done)
		return msgp.AppendUint64(b, m.Round), tagInstallSnapshot
	case InstallSnapshotReply:
		b = appendHead(b, 5, m.Term, m.From, m.To)
		b = msgp.AppendUint64(b, uint64(m.SnapshotIndex))
		return msgp.AppendUint64(b, uint64(m.Received)), tagInstallSnapshotReply
	case TimeoutNow:
		return appendHead(b, 3, m.Term, m.From, m.To), tagTimeoutNow
	default:
		panic(fmt.Sprintf("raft: no server sends a %T", message))
	}
}

func appendHead(b []byte, fields uint32, term uint64, from, to NodeID) []byte {
	b = msgp.AppendArrayHeader(b, fields)
	b = msgp.AppendUint64(b, term)
	b = msgp.AppendUint64(b, uint64(from))
	return msgp.AppendUint64(b, uint64(to))
}

// DecodeMessage returns the message of a body. An error says what is wrong with it.
func DecodeMessage(tag uint8, body []byte) (Message, error) {
	if int(tag) >= len(messageReaders) {
		return nil, fmt.Errorf("no message has the tag %d", tag)
	}
	r := &decoder{rest: body}
	message := messageReaders[tag](r)
	if r.err == nil && len(r.rest) > 0 {
		r.err = errors.New("more than its fields")
	}
	if r.err != nil {
		return nil, fmt.Errorf("no %T: %w", message, r.err)
	}
	return message, nil
}

var messageReaders = [...]func(*decoder) Message{
	tagRequestVote:          readRequestVote,
	tagRequestVoteReply:     readRequestVoteReply,
	tagAppendEntries:        readAppendEntries,
	tagAppendEntriesReply:   readAppendEntriesReply,
	tagInstallSnapshot:      readInstallSnapshot,
	tagInstallSnapshotReply: readInstallSnapshotReply,
	tagTimeoutNow:           readTimeoutNow,
}

// In what follows each expression takes the fields in their order, as the language evaluates calls
// from left to right.

func readRequestVote(r *decoder) Message {
	r.expect(7)
	return RequestVote{
		Term: r.number(), From: r.server(), To: r.server(),
		LastLogIndex: r.index(), LastLogTerm: r.number(), PreVote: r.boolean(), Transfer: r.boolean(),
	}
}

func readRequestVoteReply(r *decoder) Message {
	r.expect(5)
	return RequestVoteReply{
		Term: r.number(), From: r.server(), To: r.server(), Granted: r.boolean(), PreVote: r.boolean(),
	}
}

func readAppendEntries(r *decoder) Message {
	r.expect(8)
	m := AppendEntries{
		Term: r.number(), From: r.server(), To: r.server(),
		PrevLogIndex: r.index(), PrevLogTerm: r.number(), Entries: r.sentEntries(),
		LeaderCommit: r.index(), Round: r.number(),
	}
	r.check(m.PrevLogIndex <= math.MaxInt-len(m.Entries), "an index too large")
	earlier := m.PrevLogTerm
	for _, entry := range m.Entries {
		r.check(earlier <= entry.Term && entry.Term <= m.Term, "terms that fall, or of the future")
		earlier = entry.Term
	}
	return m
}

func readAppendEntriesReply(r *decoder) Message {
	r.expect(8)
	return AppendEntriesReply{
		Term: r.number(), From: r.server(), To: r.server(),
		Success: r.boolean(), LogIndex: r.index(), HintIndex: r.index(), HintTerm: r.number(),
		Round: r.number(),
	}
}

func readInstallSnapshot(r *decoder) Message {
	r.expect(10)
	m := InstallSnapshot{
		Term: r.number(), From: r.server(), To: r.server(),
		SnapshotIndex: r.index(), SnapshotTerm: r.number(),
	}
	r.expect(2)
	m.Configuration = Configuration{r.sentServers(), r.sentServers()}
	members := slices.Sorted(slices.Values(m.Configuration.Members()))
	nobodyTwice := len(slices.Compact(slices.Clone(members))) == len(members)
	r.check(len(m.Configuration.Voters) > 0 && nobodyTwice, "no configuration")
	m.Offset = r.index()
	for count := r.list(); count > 0 && r.err == nil; count-- {
		item := r.item()
		_, truth := item.Value.(bool)
		r.check(item.Serial <= math.MaxInt64 && !(truth && item.Serial == 0), "no item of a state")
		m.Items = append(m.Items, item)
	}
	m.Done, m.Round = r.boolean(), r.number()
	return m
}

func readInstallSnapshotReply(r *decoder) Message {
	r.expect(5)
	return InstallSnapshotReply{
		Term: r.number(), From: r.server(), To: r.server(), SnapshotIndex: r.index(), Received: r.index(),
	}
}

func readTimeoutNow(r *decoder) Message {
	r.expect(3)
	return TimeoutNow{Term: r.number(), From: r.server(), To: r.server()}
}

func (r *decoder) check(ok bool, fault string) {
	if !ok && r.err == nil {
		r.err = errors.New(fault)
	}
}

// number is an integer that every language has: below 2⁶³.
func (r *decoder) number() uint64 {
	value := r.integer()
	r.check(value <= math.MaxInt64, "a number too large")
	return value
}

func (r *decoder) index() int { return int(r.number()) }

func (r *decoder) boolean() bool { return read(r, msgp.ReadBoolBytes) }

// server is the id of one that there is.
func (r *decoder) server() NodeID {
	id := NodeID(r.number())
	r.check(id > 0, "a server without a number")
	return id
}

func (r *decoder) sentServers() []NodeID {
	var servers []NodeID
	for count := r.list(); count > 0 && r.err == nil; count-- {
		servers = append(servers, r.server())
	}
	return servers
}

// list takes the header of an array that is not too long. After a fault there is nothing in it.
func (r *decoder) list() uint32 {
	size := r.array()
	r.check(size <= maxListed, "too many in a list")
	if r.err != nil {
		return 0
	}
	return size
}

// leastEntry is how many bytes an entry has at least.
const leastEntry = 9

var serverKey = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

func (r *decoder) sentEntries() []Entry {
	count := r.list()
	if count == 0 {
		return nil
	}
	entries := make([]Entry, 0, min(int(count), len(r.rest)/leastEntry))
	for ; count > 0 && r.err == nil; count-- {
		entry := r.entry()
		command := entry.Command
		r.check(entry.Term <= math.MaxInt64 && command.Serial <= math.MaxInt64, "a number too large")
		switch command.Op {
		case Set, Get, Cas, Noop:
		case AddServer, PromoteServer, RemoveServer:
			r.check(serverKey.MatchString(command.Key), "a change of members that names no server")
		default:
			r.check(false, "a command of no known op")
		}
		entries = append(entries, entry)
	}
	return entries
}

// About what a message takes beside its texts, and what each of its entries or items does.
const (
	messageOverhead = 128
	partOverhead    = 32
)

// SizeOf is about how many bytes a message takes, in memory as on its way.
func SizeOf(message Message) int {
	size := messageOverhead
	switch m := message.(type) {
	case AppendEntries:
		for _, entry := range m.Entries {
			size += partOverhead + entry.size()
		}
	case InstallSnapshot:
		for _, item := range m.Items {
			size += partOverhead + item.size()
		}
	}
	return size
}
