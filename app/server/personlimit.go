package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// manyPeople is how many buckets are kept before full ones are dropped.
const manyPeople = 1_000

// personLimit has a bucket for each person, so that nobody takes what others need. It is safe for concurrent use.
type personLimit struct {
	refill rate.Limit
	burst  int

	mu      sync.Mutex
	buckets map[int64]*rate.Limiter
}

func newPersonLimit(refill rate.Limit, burst int) *personLimit {
	return &personLimit{refill: refill, burst: burst, buckets: map[int64]*rate.Limiter{}}
}

// take takes one from a person's bucket, or takes nothing and tells after which time there is one.
func (l *personLimit) take(person int64, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.buckets[person]
	if bucket == nil {
		if len(l.buckets) >= manyPeople {
			l.dropFull(now)
		}
		bucket = rate.NewLimiter(l.refill, l.burst)
		l.buckets[person] = bucket
	}
	r := bucket.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// dropFull forgets those who did not ask for long: a new bucket is as full as theirs.
func (l *personLimit) dropFull(now time.Time) {
	for person, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, person)
		}
	}
}
