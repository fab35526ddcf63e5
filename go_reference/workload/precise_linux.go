package workload

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bePrecise lets the thread's timers be as late as they must, not 50 microseconds later.
func bePrecise() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// nap sleeps by the kernel's timer, not by the runtime's. Interrupted, it ends early.
func nap(d time.Duration) {
	request := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&request, nil)
}

// widen lets a pipe hold what may be outstanding, if this user's pipes may.
func widen(end *os.File) { _, _ = unix.FcntlInt(end.Fd(), unix.F_SETPIPE_SZ, pipeSize) }
