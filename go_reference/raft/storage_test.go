package raft

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The vectors were written by the Python storage, and its tests hold them against it too.
type storageVectors struct {
	Files []struct {
		Name   string       `json:"name"`
		Saves  []saveVector `json:"saves"`
		Hex    string       `json:"hex"`
		SHA256 string       `json:"sha256"` // of a file too long for the vectors
	} `json:"files"`
	Repairs []struct {
		Name      string `json:"name"`
		Keep      int    `json:"keep"`   // so many bytes of the file called Repaired,
		Append    string `json:"append"` // and then these
		Kept      *int   `json:"kept"`   // nil: all of the original
		RefusedAt *int   `json:"refused_at"`
	} `json:"repairs"`
	Repaired string `json:"repaired"`
}

type saveVector struct {
	HardState  []*uint64         `json:"hard_state"`
	FirstIndex int               `json:"first_index"`
	Entries    []json.RawMessage `json:"entries"`
	Snapshot   json.RawMessage   `json:"snapshot"`

	FirstVoters []NodeID `json:"first_voters"`
}

func readVectors(t testing.TB) (vectors storageVectors) {
	t.Helper()
	data, err := os.ReadFile("../../tests/vectors/storage.json")
	if err != nil {
		t.Fatal(err)
	}
	must(t, json.Unmarshal(data, &vectors))
	return vectors
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// save is the save that the vector describes.
func (v saveVector) save(t *testing.T) Save {
	t.Helper()
	save := Save{FirstIndex: v.FirstIndex, Snapshot: v.snapshot(t), FirstVoters: v.FirstVoters}
	if v.HardState != nil {
		save.HardState = &HardState{Term: *v.HardState[0]}
		if votedFor := v.HardState[1]; votedFor != nil {
			save.HardState.VotedFor = NodeID(*votedFor)
		}
	}
	for _, raw := range v.Entries {
		var term uint64
		var fields []json.RawMessage
		times := 1
		must(t, json.Unmarshal(raw, &[]any{&term, &fields, &times}))
		save.Entries = append(save.Entries, slices.Repeat([]Entry{{term, commandOf(t, fields)}}, times)...)
	}
	return save
}

// snapshot is the snapshot that the vector describes, nil for none.
func (v saveVector) snapshot(t *testing.T) *Snapshot {
	t.Helper()
	if v.Snapshot == nil {
		return nil
	}
	snapshot := &Snapshot{}
	members := []any{&snapshot.Configuration.Voters, &snapshot.Configuration.Learners}
	var items [][]json.RawMessage
	must(t, json.Unmarshal(v.Snapshot, &[]any{&snapshot.LastIndex, &snapshot.LastTerm, &members, &items}))
	for _, fields := range items {
		var item Item
		must(t, json.Unmarshal(fields[0], &item.Name))
		must(t, json.Unmarshal(fields[1], &item.Value))
		must(t, json.Unmarshal(fields[2], &item.Serial))
		snapshot.Items = append(snapshot.Items, item)
	}
	return snapshot
}

func commandOf(t *testing.T, fields []json.RawMessage) *Command {
	t.Helper()
	command := &Command{Value: textOf(t, fields[2]), Expect: textOf(t, fields[3]), Client: textOf(t, fields[4])}
	command.Op, command.Key = Op(*textOf(t, fields[0])), *textOf(t, fields[1])
	must(t, json.Unmarshal(fields[5], &command.Serial))
	return command
}

func textOf(t *testing.T, raw json.RawMessage) *string {
	t.Helper()
	if !bytes.HasPrefix(raw, []byte("{")) {
		var text *string
		must(t, json.Unmarshal(raw, &text))
		return text
	}
	var long struct {
		Repeat string
		Times  int
	}
	must(t, json.Unmarshal(raw, &long))
	return new(strings.Repeat(long.Repeat, long.Times))
}

// write saves everything in a new file, and returns what is to be read from it.
func write(t *testing.T, path string, saves []saveVector) Saved {
	t.Helper()
	memory, disk := NewMemoryStorage(), NewDiskStorage(path)
	_, err := disk.Load()
	must(t, err)
	for _, vector := range saves {
		save := vector.save(t)
		must(t, disk.Save(save))
		must(t, memory.Save(save))
	}
	must(t, disk.Close())
	saved, err := memory.Load()
	must(t, err)
	return saved
}

func checkLoads(t *testing.T, path string, want Saved) {
	t.Helper()
	storage := NewDiskStorage(path)
	got, err := storage.Load()
	must(t, err)
	must(t, storage.Close())
	if got.HardState != want.HardState || !slices.EqualFunc(got.Entries, want.Entries, sameEntry) || !sameSnapshot(got.Snapshot, want.Snapshot) ||
		!slices.Equal(got.FirstVoters, want.FirstVoters) {
		t.Errorf("read %+v and %d entries, want %+v and %d", got.HardState, len(got.Entries), want.HardState, len(want.Entries))
	}
}

func sameEntry(a, b Entry) bool { return reflect.DeepEqual(a, b) }

// sameSnapshot reports whether they say the same: a list of none may be nil.
func sameSnapshot(a, b *Snapshot) bool {
	return fmt.Sprintf("%+v", orNone(a)) == fmt.Sprintf("%+v", orNone(b))
}

func orNone(s *Snapshot) Snapshot {
	if s == nil {
		return Snapshot{}
	}
	return *s
}

func TestTheBytesAreThoseOfTheVectors(t *testing.T) {
	for _, vector := range readVectors(t).Files {
		t.Run(vector.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "node-1.log")
			saved := write(t, path, vector.Saves)
			content, err := os.ReadFile(path)
			must(t, err)
			digest := sha256.Sum256(content)
			if vector.Hex != "" && hex.EncodeToString(content) != vector.Hex {
				t.Errorf("wrote\n%x, want\n%s", content, vector.Hex)
			}
			if vector.SHA256 != "" && hex.EncodeToString(digest[:]) != vector.SHA256 {
				t.Errorf("wrote %d other bytes", len(content))
			}
			checkLoads(t, path, saved)
		})
	}
}

func TestATornTailIsCutOffAndDamageRefused(t *testing.T) {
	vectors := readVectors(t)
	path := filepath.Join(t.TempDir(), "node-1.log")
	for _, vector := range vectors.Files {
		if vector.Name != vectors.Repaired {
			continue
		}
		saved := write(t, path, vector.Saves)
		whole, err := os.ReadFile(path)
		must(t, err)
		for _, repair := range vectors.Repairs {
			t.Run(repair.Name, func(t *testing.T) {
				damage, err := hex.DecodeString(repair.Append)
				must(t, err)
				damaged := append(slices.Clip(whole[:min(repair.Keep, len(whole))]), damage...)
				must(t, os.WriteFile(path, damaged, 0o666))
				if repair.RefusedAt != nil {
					checkRefused(t, path, *repair.RefusedAt, damaged)
					return
				}
				kept, want := whole, saved
				if repair.Kept != nil {
					kept, want = whole[:*repair.Kept], Saved{}
				}
				checkLoads(t, path, want)
				content, err := os.ReadFile(path)
				must(t, err)
				if !bytes.Equal(content, kept) {
					t.Errorf("%d bytes were kept, want %d", len(content), len(kept))
				}
			})
		}
	}
}

func checkRefused(t *testing.T, path string, offset int, damaged []byte) {
	t.Helper()
	_, err := NewDiskStorage(path).Load()
	if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("%s: offset %d: ", path, offset)) {
		t.Errorf("opened with the error %v", err)
	}
	if content, err := os.ReadFile(path); err != nil || !bytes.Equal(content, damaged) {
		t.Error("what was refused was changed")
	}
}

func TestASaveAfterCloseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	storage := NewDiskStorage(path)
	_, err := storage.Load()
	must(t, err)
	must(t, storage.Close())
	if err := storage.Save(Save{HardState: &HardState{1, 1}}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("saved with the error %v", err)
	}
	must(t, storage.Close())
}

func TestAFailedSaveIsTheLastOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	storage := NewDiskStorage(path)
	_, err := storage.Load()
	must(t, err)
	must(t, storage.Save(Save{HardState: &HardState{1, 1}, FirstIndex: 1, Entries: entriesOf(1)}))
	must(t, storage.file.Close()) // or any other reason for which a write fails
	for range 2 {
		if err := storage.Save(Save{HardState: &HardState{2, 2}, FirstIndex: 2, Entries: entriesOf(2)}); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("saved with the error %v", err)
		}
	}
	checkLoads(t, path, Saved{HardState: HardState{1, 1}, Entries: entriesOf(1)})
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	directory := t.TempDir()
	must(t, os.WriteFile(filepath.Join(directory, "file"), nil, 0o666))
	must(t, os.Mkdir(filepath.Join(directory, "node-1.log"), 0o777))
	for _, path := range []string{
		filepath.Join(directory, "file", "node-1.log"),
		filepath.Join(directory, "node-1.log"),
	} {
		if _, err := NewDiskStorage(path).Load(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s was opened with the error %v", path, err)
		}
	}
}

func TestMemoryOutlivesALifeOfItsNode(t *testing.T) {
	storage := NewMemoryStorage()
	must(t, storage.Save(Save{HardState: &HardState{3, 2}, FirstIndex: 1, Entries: entriesOf(1, 2, 3)}))
	first, err := storage.Load()
	must(t, err)
	must(t, storage.Close())
	must(t, storage.Save(Save{FirstIndex: 2, Entries: entriesOf(4)}))
	if got := termsOf(first.Entries); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("what was loaded changed to terms %v", got)
	}
	second, err := storage.Load()
	must(t, err)
	if got := termsOf(second.Entries); !slices.Equal(got, []uint64{1, 4}) || second.HardState != (HardState{3, 2}) {
		t.Errorf("terms %v, %+v", got, second.HardState)
	}
}

// The space of what a snapshot covers is given back, and what followed it can be written on.
func TestASnapshotBeginsANewFile(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "node-1.log")
	must(t, os.WriteFile(path+".new", []byte("left by a crash"), 0o666))
	memory, disk := NewMemoryStorage(), NewDiskStorage(path)
	_, err := disk.Load()
	must(t, err)
	snapshot := snapshotAt(900, 2, 3)
	for _, save := range []Save{
		{HardState: &HardState{2, 1}, FirstIndex: 1, Entries: entriesOf(slices.Repeat([]uint64{2}, 1000)...)},
		{HardState: &HardState{2, 1}, FirstIndex: 901, Entries: entriesOf(2, 2, 2), Snapshot: snapshot},
		{FirstIndex: 904, Entries: entriesOf(2)},
		{HardState: &HardState{3, 0}, FirstIndex: 902, Entries: entriesOf(3, 3)},
	} {
		must(t, disk.Save(save))
		must(t, memory.Save(save))
	}
	must(t, disk.Close())
	files, err := os.ReadDir(directory)
	must(t, err)
	if info, err := files[0].Info(); len(files) != 1 || err != nil || info.Size() > 300 {
		t.Errorf("left are %v, the first of %d bytes", files, info.Size())
	}
	for range 2 {
		saved, err := memory.Load()
		must(t, err)
		if saved.Snapshot.LastIndex != 900 || !slices.Equal(termsOf(saved.Entries), []uint64{2, 3, 3}) {
			t.Fatalf("saved were %+v", saved)
		}
		checkLoads(t, path, saved)
	}
	_, err = disk.Load()
	must(t, err)
	must(t, disk.Save(Save{FirstIndex: 904, Entries: entriesOf(4)}))
	must(t, disk.Close())
	checkLoads(t, path, Saved{HardState: HardState{3, 0}, Snapshot: snapshot, Entries: entriesOf(2, 3, 3, 4)})
}

// Until the new file is whole the old one is what counts.
func TestAFileWithoutItsNewOneIsTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	storage := NewDiskStorage(path)
	_, err := storage.Load()
	must(t, err)
	must(t, storage.Save(Save{HardState: &HardState{1, 1}, FirstIndex: 1, Entries: entriesOf(1)}))
	must(t, os.MkdirAll(filepath.Join(path+".new", "in the way"), 0o777))
	err = storage.Save(Save{HardState: &HardState{1, 1}, FirstIndex: 2, Snapshot: snapshotAt(1, 1, 1)})
	if err == nil || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("saved with the error %v", err)
	}
	checkLoads(t, path, Saved{HardState: HardState{1, 1}, Entries: entriesOf(1)})
}

func TestASnapshotComesFirstInItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	content := appendFrame([]byte(header), appendHardState(nil, HardState{1, 1}))
	damaged := appendFrame(content, AppendSnapshot(nil, snapshotAt(1, 1, 1)))
	must(t, os.WriteFile(path, damaged, 0o666))
	checkRefused(t, path, len(content), damaged)
}
