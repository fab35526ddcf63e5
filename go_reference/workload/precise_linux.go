package workload

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// slice is the shortest turn on a processor that Linux gives (6.12 and newer): who asks for short
// turns, as whoever may, gets them as soon as it wakes, from those who have long ones.
const slice = 100 * time.Microsecond

// bePrecise lets the thread's timers be as late as they must, and has it wait for no other's turn.
func bePrecise() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if attributes, err := unix.SchedGetAttr(0, 0); err == nil {
		attributes.Runtime = uint64(slice)
		_ = unix.SchedSetAttr(0, attributes, 0)
	}
}

// nap sleeps by the kernel's timer, not by the runtime's. Interrupted, it ends early.
func nap(d time.Duration) {
	request := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&request, nil)
}

// widen lets a pipe hold what may be outstanding, if this user's pipes may.
func widen(end *os.File) { _, _ = unix.FcntlInt(end.Fd(), unix.F_SETPIPE_SZ, pipeSize) }
