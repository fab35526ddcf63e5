//go:build !linux

package raft

import "os"

// syncData returns when the disk has the file's data. macOS has no fdatasync; there, Sync
// is F_FULLFSYNC, which empties the drive's own cache, too.
func syncData(file *os.File) error { return file.Sync() }
