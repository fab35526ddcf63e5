package raft

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData returns when the disk has the file's data.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
