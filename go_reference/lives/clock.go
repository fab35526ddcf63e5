package lives

import "golang.org/x/sys/unix"

// Monotonic is the time of the monotonic clock in nanoseconds, which all processes of the
// machine share.
func Monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(monotonicClock, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}
