package raft

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// Whatever is in a file, it can be read up to where it is torn, or is damaged. What was read
// is what the kept part says, and can be written and read again.
func FuzzReplay(f *testing.F) {
	for _, vector := range readVectors(f).Files {
		content, err := hex.DecodeString(vector.Hex)
		must(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		saved, whole, err := replay(content)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "offset ") {
				t.Errorf("the error %v does not tell where", err)
			}
			return
		}
		if whole > len(content) || whole > 0 && whole < len(header) {
			t.Fatalf("%d of %d bytes were kept", whole, len(content))
		}
		checkReplay(t, content[:whole], saved)
		checkReplay(t, contentOf(saved), saved)
	})
}

// FuzzPayload is FuzzReplay beyond the checksums.
func FuzzPayload(f *testing.F) {
	f.Add(appendHardState(nil, HardState{3, 0}))
	f.Add(appendEntries(nil, 1, entriesOf(1, 2)))
	f.Add(appendTruncation(nil, 1))
	f.Add(appendFirstVoters(nil, []NodeID{1, 2}))
	f.Add(AppendSnapshot(nil, &Snapshot{7, 3, Configuration{[]NodeID{1, 2}, []NodeID{3}}, []Item{{"k", "v", 0}, {"c", true, 9}}}))
	f.Add([]byte{0x93, 2, 1, 0xdd, 0xff, 0xff, 0xff, 0xff}) // 2³²−1 entries, not one of which is there
	f.Add(append([]byte{0x93, 9}, bytes.Repeat([]byte{0x91}, 100_000)...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		saved := Saved{Entries: entriesOf(7)}
		if saved.replay(payload, true) != nil && len(saved.Entries) != 1 {
			t.Error("a refused record changed the log")
		}
		var first Saved
		if first.replay(payload, true) == nil {
			checkReplay(t, contentOf(first), first)
		}
	})
}

// contentOf is a file that says so.
func contentOf(saved Saved) []byte {
	content := []byte(header)
	if saved.Snapshot != nil {
		content = appendFrame(content, AppendSnapshot(nil, saved.Snapshot))
	}
	if saved.FirstVoters != nil {
		content = appendFrame(content, appendFirstVoters(nil, saved.FirstVoters))
	}
	content = appendFrame(content, appendHardState(nil, saved.HardState))
	return appendFrame(content, appendEntries(nil, saved.compacted()+1, saved.Entries))
}

// checkReplay checks that all of a file is whole, and that it says so.
func checkReplay(t *testing.T, content []byte, want Saved) {
	t.Helper()
	got, whole, err := replay(content)
	if err != nil || whole != len(content) {
		t.Fatalf("of %d bytes %d were kept, with the error %v", len(content), whole, err)
	}
	if len(got.Entries) == 0 && len(want.Entries) == 0 {
		got.Entries, want.Entries = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}
