package host

import (
	"encoding/json/jsontext"

	"raftmark/raft"
)

// A log by its columns, as docs/protocol.md has it: a log repeats its terms and its texts, and here
// each is told once.
type logColumns struct {
	FirstIndex  int     `json:"first_index"`
	Count       int     `json:"count"`
	Columns     columns `json:"columns"`
	LastIndex   int     `json:"last_index"`
	CommitIndex int     `json:"commit_index"`
}

type columns struct {
	Term   column[uint64]  `json:"term"`
	Op     column[raft.Op] `json:"op"`
	Key    column[string]  `json:"key"`
	Value  column[textual] `json:"value"`
	Expect column[textual] `json:"expect"`
	Client column[textual] `json:"client"`
	Serial column[uint64]  `json:"serial"`
}

// column is one field of some entries: its values, and for each entry the place of its own among
// them, unless there is but one.
type column[T comparable] struct {
	Values []T   `json:"values"`
	At     []int `json:"at,omitzero"`
}

// textual is a text or null, and unlike a pointer to one equal to its like.
type textual struct {
	text    string
	present bool
}

func (t textual) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if !t.present {
		return encoder.WriteToken(jsontext.Null)
	}
	return encoder.WriteToken(jsontext.String(t.text))
}

func textOf(text *string) textual {
	if text == nil {
		return textual{}
	}
	return textual{*text, true}
}

func describeColumns(log raft.LogSlice) logColumns {
	entries := log.Entries
	return logColumns{
		FirstIndex: log.First,
		Count:      len(entries),
		Columns: columns{
			Term:   columnOf(entries, func(e raft.Entry) uint64 { return e.Term }),
			Op:     columnOf(entries, func(e raft.Entry) raft.Op { return e.Command.Op }),
			Key:    columnOf(entries, func(e raft.Entry) string { return e.Command.Key }),
			Value:  columnOf(entries, func(e raft.Entry) textual { return textOf(e.Command.Value) }),
			Expect: columnOf(entries, func(e raft.Entry) textual { return textOf(e.Command.Expect) }),
			Client: columnOf(entries, func(e raft.Entry) textual { return textOf(e.Command.Client) }),
			Serial: columnOf(entries, func(e raft.Entry) uint64 { return e.Command.Serial }),
		},
		LastIndex:   log.LastIndex,
		CommitIndex: log.CommitIndex,
	}
}

func columnOf[T comparable](entries []raft.Entry, field func(raft.Entry) T) column[T] {
	values, places, at := []T{}, map[T]int{}, make([]int, 0, len(entries))
	for _, entry := range entries {
		value := field(entry)
		place, known := places[value]
		if !known {
			place = len(values)
			places[value] = place
			values = append(values, value)
		}
		at = append(at, place)
	}
	if len(values) < 2 {
		at = nil
	}
	return column[T]{values, at}
}
