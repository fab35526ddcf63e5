package raft

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData returns when the disk has the file's data.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }

// SyncedBy is the system's means by which a save waits for the disk; their prices differ.
const SyncedBy = "fdatasync"
