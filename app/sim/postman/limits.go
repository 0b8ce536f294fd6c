package postman

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limits counts requests as Postman does: in windows of a minute, and of the month.
type limits struct {
	month, minute int

	mu        sync.Mutex
	usedMonth int
	used      int
	until     time.Time // end of the minute
}

// verdict is what the limits say of a request.
type verdict int

const (
	letThrough verdict = iota
	minuteUsedUp
	monthUsedUp
)

// spend counts a request and writes what is left into the answer's head.
func (l *limits) spend(h http.Header, now time.Time) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.until) {
		l.used, l.until = 0, now.Add(time.Minute)
	}
	result := letThrough
	switch {
	case l.usedMonth >= l.month:
		result = monthUsedUp
	case l.used >= l.minute:
		result = minuteUsedUp
	default:
		l.used++
		l.usedMonth++
	}
	reset := strconv.Itoa(max(int(l.until.Sub(now).Round(time.Second).Seconds()), 1))
	h.Set("RateLimit-Limit", strconv.Itoa(l.minute))
	h.Set("RateLimit-Remaining", strconv.Itoa(l.minute-l.used))
	h.Set("RateLimit-Reset", reset)
	h.Set("RateLimit-Limit-Month", strconv.Itoa(l.month))
	h.Set("RateLimit-Remaining-Month", strconv.Itoa(l.month-l.usedMonth))
	if result == minuteUsedUp {
		h.Set("RetryAfter", reset)
	}
	return result
}

// SetMonth sets how many requests of the month are left.
func (s *Server) SetMonth(left int) {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	s.limits.usedMonth = s.limits.month - left
}
