package workload

import (
	"math/bits"
	"time"
)

// bucketBits is how many leading bits of a value tell its bucket, so that values are kept
// to within 1 part in 128.
const bucketBits = 8

// A Histogram counts durations in log-linear buckets, as docs/protocol.md defines them. The
// zero value is empty; it grows as far as its largest value needs.
type Histogram struct {
	counts []int
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	bucket := bucketOf(uint64(d))
	h.grow(bucket + 1)
	h.counts[bucket]++
}

// Merge counts what other has counted.
func (h *Histogram) Merge(other Histogram) {
	h.grow(len(other.counts))
	for bucket, count := range other.counts {
		h.counts[bucket] += count
	}
}

// Buckets are those that are not empty, from the lowest on: each one's lowest value in
// nanoseconds, and how many values are in it.
func (h *Histogram) Buckets() [][2]int64 {
	var buckets [][2]int64
	for bucket, count := range h.counts {
		if count > 0 {
			buckets = append(buckets, [2]int64{lowest(bucket), int64(count)})
		}
	}
	return buckets
}

func (h *Histogram) grow(size int) {
	if size > len(h.counts) {
		h.counts = append(h.counts, make([]int, size-len(h.counts))...)
	}
}

// bucketOf numbers the buckets without a gap: 256 of width 1, then 128 for each further bit.
func bucketOf(value uint64) int {
	shift := max(0, bits.Len64(value)-bucketBits)
	return shift<<(bucketBits-1) + int(value>>shift)
}

// lowest is the lowest value of a bucket.
func lowest(bucket int) int64 {
	shift := max(0, bucket>>(bucketBits-1)-1)
	return int64(bucket-shift<<(bucketBits-1)) << shift
}
