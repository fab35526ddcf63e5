package raft

import "os"

// syncData returns when the disk has the file's data. macOS has no fdatasync; there, Sync
// is F_FULLFSYNC, which empties the drive's own cache, too.
func syncData(file *os.File) error { return file.Sync() }

// SyncedBy is the system's means by which a save waits for the disk; their prices differ.
const SyncedBy = "F_FULLFSYNC"
