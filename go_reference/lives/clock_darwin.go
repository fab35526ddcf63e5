package lives

import "golang.org/x/sys/unix"

// Python's monotonic clock stands still while a Mac sleeps, as this one does.
const monotonicClock = unix.CLOCK_UPTIME_RAW
