package raft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Saved is what an earlier life of a node left.
type Saved struct {
	HardState HardState
	Entries   []Entry
	Repair    string // what had to be done to the file first, for people; mostly nothing
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
	log       *ReplicatedLog
}

// NewMemoryStorage returns a storage in which nothing was saved.
func NewMemoryStorage() *MemoryStorage { return &MemoryStorage{log: NewReplicatedLog(nil)} }

// Load returns what was saved.
func (s *MemoryStorage) Load() (Saved, error) {
	return Saved{HardState: s.hardState, Entries: s.log.Slice(1, s.log.LastIndex())}, nil
}

// Save keeps the save's values.
func (s *MemoryStorage) Save(save Save) error {
	if save.HardState != nil {
		s.hardState = *save.HardState
	}
	if len(save.Entries) > 0 {
		s.log.Truncate(save.FirstIndex)
		s.log.Append(save.Entries...)
	}
	return nil
}

// Close has nothing to let go of.
func (s *MemoryStorage) Close() error { return nil }

// A DiskStorage survives a kill at any moment. It is one append-only file of a header and
// framed records; one save is one write and one fdatasync. The Python implementations write
// the same bytes with the same system calls, and each opens the other's files.
//
// A record torn at the end of the file was never acknowledged: Load cuts it off, and says
// so. Damage before the end is refused.
type DiskStorage struct {
	path      string
	file      *os.File
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
	s.file, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return Saved{}, s.fault(err)
	}
	if saved, err = s.replay(); err != nil {
		return Saved{}, errors.Join(s.fault(err), s.Close())
	}
	return saved, nil
}

// Save appends the save's records in one write, and waits until the disk has them.
func (s *DiskStorage) Save(save Save) error {
	if s.file == nil {
		return s.fault(fs.ErrClosed)
	}
	s.records = s.records[:0]
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
	if _, err := s.file.Write(s.records); err != nil {
		return s.fault(err)
	}
	return s.fault(s.sync())
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

func (s *DiskStorage) sync() error { return unix.Fdatasync(int(s.file.Fd())) }

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

// replay reads all records, and makes the file end with the last whole one.
func (s *DiskStorage) replay() (Saved, error) {
	content, err := io.ReadAll(s.file)
	if err != nil {
		return Saved{}, err
	}
	if len(content) < len(header) && strings.HasPrefix(header, string(content)) {
		return Saved{}, s.create()
	}
	if !strings.HasPrefix(string(content[:min(len(header), len(content))]), header) {
		return Saved{}, errors.New("offset 0: not a node's log of this version")
	}
	var saved Saved
	offset := len(header)
	for offset < len(content) {
		payload, err := nextPayload(content[offset:])
		if errors.Is(err, errTorn) {
			break
		}
		if err == nil {
			err = saved.replay(payload)
		}
		if err != nil {
			return Saved{}, fmt.Errorf("offset %d: %w", offset, err)
		}
		offset += frameSize + len(payload)
	}
	s.lastIndex = len(saved.Entries)
	torn := len(content) - offset
	if torn == 0 {
		return saved, nil
	}
	saved.Repair = fmt.Sprintf("%s: offset %d: cut off an unfinished save of %d bytes", s.path, offset, torn)
	if err := s.file.Truncate(int64(offset)); err != nil {
		return Saved{}, err
	}
	return saved, s.sync()
}

// create begins the file anew, and makes its name durable.
func (s *DiskStorage) create() error {
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	if _, err := s.file.WriteString(header); err != nil {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	directory, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
