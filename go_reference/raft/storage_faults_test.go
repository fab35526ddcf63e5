package raft

import (
	"bytes"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// oneRecordSaves are saves each of which is one record.
func oneRecordSaves() []Save {
	return []Save{
		{HardState: &HardState{1, 0}},
		{HardState: &HardState{1, 2}},
		{FirstIndex: 1, Entries: entriesOf(1)},
		{FirstIndex: 2, Entries: entriesOf(1, 1)},
		{HardState: &HardState{2, 3}},
		{FirstIndex: 4, Entries: entriesOf(2)},
	}
}

// writeSaves writes a new file; it returns its content, and its length before the first and
// after each save.
func writeSaves(t *testing.T, path string, saves []Save) (content []byte, lengths []int) {
	t.Helper()
	storage := NewDiskStorage(path)
	_, err := storage.Load()
	must(t, err)
	lengths = append(lengths, len(fileContent(t, path)))
	for _, save := range saves {
		must(t, storage.Save(save))
		lengths = append(lengths, len(fileContent(t, path)))
	}
	must(t, storage.Close())
	return fileContent(t, path), lengths
}

func fileContent(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

func checkContent(t *testing.T, path string, want []byte) {
	t.Helper()
	if got := fileContent(t, path); !bytes.Equal(got, want) {
		t.Errorf("the file holds %x, want %x", got, want)
	}
}

func checkLoadFails(t *testing.T, path, want string) {
	t.Helper()
	if _, err := NewDiskStorage(path).Load(); err == nil || err.Error() != path+": "+want {
		t.Errorf("opened with the error %v, want %s: %s", err, path, want)
	}
}

// Only in the last record's payload can a flipped bit be taken for a torn tail.
func TestAFlippedBitIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	whole, lengths := writeSaves(t, path, oneRecordSaves())
	last := lengths[len(lengths)-2]
	for position := range whole {
		for bit := range 8 {
			damaged := slices.Clone(whole)
			damaged[position] ^= 1 << bit
			must(t, os.WriteFile(path, damaged, 0o666))
			if position >= last+frameSize {
				storage := NewDiskStorage(path)
				_, err := storage.Load()
				must(t, err)
				must(t, storage.Close())
				checkContent(t, path, whole[:last])
				continue
			}
			record := 0
			for _, length := range lengths {
				if length <= position {
					record = length
				}
			}
			checkRefused(t, path, record, damaged)
		}
	}
}

func TestZerosAtTheEndAreATornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	whole, lengths := writeSaves(t, path, oneRecordSaves())
	for end := len(header); end <= len(whole); end++ {
		for _, size := range []int{1, frameSize, 5000} {
			zeroed := append(slices.Clone(whole[:end]), make([]byte, size)...)
			kept := 0
			for _, length := range lengths {
				// Where a record ends in zeros of its own, nothing of it is missing.
				if bytes.HasPrefix(zeroed, whole[:length]) {
					kept = length
				}
			}
			must(t, os.WriteFile(path, zeroed, 0o666))
			storage := NewDiskStorage(path)
			saved, err := storage.Load()
			must(t, err)
			must(t, storage.Close())
			if (saved.Repair != "") != (kept < len(zeroed)) {
				t.Errorf("%d zeros from %d on: %q was said", size, end, saved.Repair)
			}
			checkContent(t, path, whole[:kept])
		}
	}
}

func TestAFileHasOneWriterAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	first, second := NewDiskStorage(path), NewDiskStorage(path)
	_, err := first.Load()
	must(t, err)
	checkLoadFails(t, path, "in use by another process")
	must(t, first.Save(Save{HardState: &HardState{4, 2}}))
	must(t, first.Save(Save{
		HardState:  &HardState{4, 2},
		FirstIndex: 8,
		Snapshot:   &Snapshot{LastIndex: 7, LastTerm: 3, Configuration: Configuration{Voters: []NodeID{1}}},
	}))
	checkLoadFails(t, path, "in use by another process")
	must(t, first.Close())
	saved, err := second.Load()
	must(t, err)
	if saved.HardState != (HardState{4, 2}) || saved.Snapshot == nil {
		t.Errorf("read %+v", saved)
	}
	must(t, second.Close())
}

// limitFiles lets no file of this process grow beyond so many bytes.
func limitFiles(t *testing.T, bytes int) (unlimit func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(bytes), Max: limit.Max}))
	return func() {
		must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
		signal.Reset(unix.SIGXFSZ)
	}
}

func TestASaveOnAFullDiskIsTakenBack(t *testing.T) {
	for _, left := range []int{0, 1, frameSize, 20} {
		path := filepath.Join(t.TempDir(), "node-1.log")
		storage := NewDiskStorage(path)
		_, err := storage.Load()
		must(t, err)
		must(t, storage.Save(oneRecordSaves()[0]))
		before := fileContent(t, path)
		unlimit := limitFiles(t, len(before)+left)
		err = storage.Save(Save{HardState: &HardState{9, 1}, FirstIndex: 1, Entries: entriesOf(9, 9)})
		unlimit()
		if err == nil || !strings.HasPrefix(err.Error(), path+": "+unix.EFBIG.Error()) {
			t.Errorf("with %d bytes left it was saved with the error %v", left, err)
		}
		checkContent(t, path, before)
		if storage.Save(oneRecordSaves()[1]) == nil {
			t.Error("a save after a failed one")
		}
	}
}

func TestANewFileOnAFullDiskIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-1.log")
	unlimit := limitFiles(t, 3)
	_, err := NewDiskStorage(path).Load()
	unlimit()
	if err == nil || !strings.HasPrefix(err.Error(), path+": "+unix.EFBIG.Error()) {
		t.Errorf("opened with the error %v", err)
	}
	checkLoads(t, path, Saved{})
}

// asNobody is subject to the modes of files, which root is not.
func asNobody(t *testing.T, act func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		must(t, syscall.Setreuid(-1, 65534))
		defer func() { must(t, syscall.Setreuid(-1, 0)) }()
	}
	act()
}

func TestAPathWithoutPermissionIsNamed(t *testing.T) {
	for _, mode := range []struct{ directory, file os.FileMode }{
		{0o755, 0o444}, {0o755, 0o222}, {0o755, 0o000}, {0o555, 0}, {0o000, 0},
	} {
		directory := t.TempDir()
		must(t, os.Chmod(filepath.Dir(directory), 0o755))
		path := filepath.Join(directory, "node-1.log")
		if mode.directory == 0o755 {
			must(t, os.WriteFile(path, []byte(header), 0o666))
			must(t, os.Chmod(path, mode.file))
		}
		must(t, os.Chmod(directory, mode.directory))
		asNobody(t, func() { checkLoadFails(t, path, unix.EACCES.Error()) })
		must(t, os.Chmod(directory, 0o755))
	}
}
