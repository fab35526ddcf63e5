package raft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Saved is what an earlier life of a node left.
type Saved struct {
	HardState HardState
	Snapshot  *Snapshot
	Entries   []Entry // after the snapshot
	Repair    string  // what had to be done to the file first, for people; mostly nothing
	// What the log begins with; nil where nothing was saved yet, or by a revision that did not
	// keep it.
	FirstVoters []NodeID
}

// A Storage is where a node keeps what it must not forget. An error of its methods names
// the file and says why.
type Storage interface {
	// Load returns what was saved, and opens the storage for saving.
	Load() (Saved, error)
	// Save makes a save durable before it returns.
	Save(Save) error
	// Close lets go of the file; what was saved stays.
	Close() error
}

// A MemoryStorage survives the crash of a node, but not of the process.
type MemoryStorage struct {
	hardState HardState
	snapshot  *Snapshot
	log       *ReplicatedLog

	firstVoters []NodeID
}

// NewMemoryStorage returns a storage in which nothing was saved.
func NewMemoryStorage() *MemoryStorage {
	return &MemoryStorage{log: NewReplicatedLog(Snapshot{}, nil)}
}

// Load returns what was saved.
func (s *MemoryStorage) Load() (Saved, error) {
	return Saved{
		HardState: s.hardState,
		Snapshot:  s.snapshot,
		Entries:   s.log.Slice(s.log.FirstIndex(), s.log.LastIndex()),

		FirstVoters: s.firstVoters,
	}, nil
}

// Save keeps the save's values.
func (s *MemoryStorage) Save(save Save) error {
	if save.FirstVoters != nil {
		s.firstVoters = save.FirstVoters
	}
	if save.HardState != nil {
		s.hardState = *save.HardState
	}
	if save.Snapshot != nil {
		s.snapshot = save.Snapshot
		s.log = NewReplicatedLog(*save.Snapshot, save.Entries)
	} else if len(save.Entries) > 0 {
		s.log.Truncate(save.FirstIndex)
		s.log.Append(save.Entries...)
	}
	return nil
}

// Close has nothing to let go of.
func (s *MemoryStorage) Close() error { return nil }

// A DiskStorage survives a kill at any moment. It is one append-only file of a header and
// framed records; one save is one write and one fdatasync. A snapshot begins a new file,
// which takes the old one's name once it is durable, so that the space is given back. The
// Python implementations write the same bytes with the same system calls, and each opens the
// other's files.
//
// A record torn at the end of the file was never acknowledged: Load cuts it off, and says
// so. So it does with zeros to the end of the file, which a filesystem leaves where a file
// had grown but its data was not yet written. Damage before the end is refused.
//
// From Load to Close the file is locked (flock): it has one writer at a time. The lock ends
// with the process, however that ends.
//
// A save that fails is the last one until the next Load: what it left in the file is
// unknown, and nothing may be written behind it.
type DiskStorage struct {
	path      string
	file      *os.File
	size      int // of what is saved
	lastIndex int
	records   []byte // of the present save
	payload   []byte // of the present record
}

// NewDiskStorage returns the storage in the file at path, which Load creates if need be.
func NewDiskStorage(path string) *DiskStorage { return &DiskStorage{path: path} }

// Load reads the file, cuts a torn tail off, and opens the file for appending.
func (s *DiskStorage) Load() (saved Saved, err error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o777); err != nil {
		return Saved{}, s.fault(err)
	}
	if s.file, err = openLocked(s.path); err != nil {
		return Saved{}, s.fault(err)
	}
	if saved, err = s.recover(); err != nil {
		return Saved{}, errors.Join(s.fault(err), s.Close())
	}
	s.lastIndex = saved.lastIndex()
	return saved, nil
}

// Read returns what Load would, but opens nothing, and repairs and creates nothing.
func (s *DiskStorage) Read() (Saved, error) {
	content, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Saved{}, nil
	}
	if err != nil {
		return Saved{}, s.fault(err)
	}
	saved, _, err := replay(content)
	return saved, s.fault(err)
}

// recover reads what is whole in the file, and makes the file that and no more.
func (s *DiskStorage) recover() (Saved, error) {
	content, err := io.ReadAll(s.file)
	if err != nil {
		return Saved{}, err
	}
	saved, whole, err := replay(content)
	if err != nil {
		return Saved{}, err
	}
	s.size = whole
	if torn := len(content) - whole; torn > 0 {
		saved.Repair = fmt.Sprintf("%s: offset %d: cut %d torn bytes off", s.path, whole, torn)
		if err := s.file.Truncate(int64(whole)); err != nil {
			return Saved{}, err
		}
	}
	if whole == 0 {
		if s.size, err = s.file.WriteString(header); err != nil {
			return Saved{}, err
		}
	}
	// An earlier life may have been killed before it synced what is read here, and from now
	// on that counts as saved.
	return saved, errors.Join(s.sync(), syncDirectory(filepath.Dir(s.path)))
}

// Save appends the save's records in one write, and waits until the disk has them.
func (s *DiskStorage) Save(save Save) error {
	if s.file == nil {
		return s.fault(fs.ErrClosed)
	}
	s.records = s.records[:0]
	if save.Snapshot != nil {
		s.records = append(s.records, header...)
		s.record(AppendSnapshot(s.payload[:0], save.Snapshot))
		s.lastIndex = save.Snapshot.LastIndex
	}
	if save.FirstVoters != nil {
		s.record(appendFirstVoters(s.payload[:0], save.FirstVoters))
	}
	if save.HardState != nil {
		s.record(appendHardState(s.payload[:0], *save.HardState))
	}
	if len(save.Entries) > 0 {
		if save.FirstIndex <= s.lastIndex {
			s.record(appendTruncation(s.payload[:0], save.FirstIndex))
		}
		s.record(appendEntries(s.payload[:0], save.FirstIndex, save.Entries))
		s.lastIndex = save.FirstIndex + len(save.Entries) - 1
	}
	write := s.append
	if save.Snapshot != nil {
		write = s.beginAnew
	}
	if err := write(); err != nil {
		return s.fault(errors.Join(err, s.takeBack()))
	}
	return nil
}

// append adds the records to the file.
func (s *DiskStorage) append() error {
	if _, err := s.file.Write(s.records); err != nil {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	s.size += len(s.records)
	return nil
}

// beginAnew puts a file with only the records in the old one's place.
func (s *DiskStorage) beginAnew() error {
	path := s.path + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := openLocked(path)
	if err != nil {
		return err
	}
	if _, err = file.Write(s.records); err == nil {
		err = syncData(file)
	}
	if err == nil {
		err = os.Rename(path, s.path)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	old := s.file
	s.file, s.size = file, len(s.records)
	return errors.Join(old.Close(), syncDirectory(filepath.Dir(s.path)))
}

// takeBack removes what a failed save has left, if the disk lets us, and lets go of the
// file. What was written but not synced could be read back and still not be on the disk. A
// torn record that stays is cut off by the next Load.
func (s *DiskStorage) takeBack() error {
	return errors.Join(s.file.Truncate(int64(s.size)), s.Close())
}

// record adds a payload to the records of this save, and keeps its memory for the next.
func (s *DiskStorage) record(payload []byte) {
	s.records = appendFrame(s.records, payload)
	s.payload = payload
}

// Close closes the file.
func (s *DiskStorage) Close() error {
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return s.fault(file.Close())
}

func (s *DiskStorage) sync() error { return syncData(s.file) }

// fault names the file in an error.
func (s *DiskStorage) fault(err error) error {
	if err == nil {
		return nil
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

// openLocked opens a file for appending that no one else has open so.
func openLocked(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func lock(file *os.File) error {
	inUse := errors.New("in use by another process")
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return inUse
	}
	if err != nil {
		return err
	}
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(file.Name())
	if err == nil && !os.SameFile(opened, named) {
		// Its owner has just put another file in its place.
		return inUse
	}
	return err
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
