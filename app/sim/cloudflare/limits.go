package cloudflare

import (
	"sync"
	"time"
)

// Cloudflare's limits of one user.
const (
	perWindow   = 1200
	perSecond   = 200
	limitWindow = 5 * time.Minute
)

// limits counts requests as Cloudflare does. Its zero value has counted nothing.
type limits struct {
	off bool

	mu      sync.Mutex
	window  count
	second  count
	blocked time.Time // nothing is let through until then
	refused int
}

// count is of the requests since a moment.
type count struct {
	since time.Time
	n     int
}

func (c *count) add(now time.Time, window time.Duration) int {
	if now.Sub(c.since) >= window {
		c.since, c.n = now, 0
	}
	c.n++
	return c.n
}

// allow counts a request; wait is for how long none will be let through when this one is not.
func (l *limits) allow(now time.Time) (wait time.Duration, ok bool) {
	if l.off {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		if !ok {
			l.refused++
		}
	}()
	if now.Before(l.blocked) {
		return l.blocked.Sub(now), false
	}
	if l.window.add(now, limitWindow) > perWindow {
		l.blocked, l.window = now.Add(limitWindow), count{}
		return limitWindow, false
	}
	if l.second.add(now, time.Second) > perSecond {
		return time.Second, false
	}
	return 0, true
}

// Limited is how many requests ran into the limits so far.
func (s *Server) Limited() int {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	return s.limits.refused
}
