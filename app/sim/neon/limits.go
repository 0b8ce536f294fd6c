package neon

import (
	"sync"

	"golang.org/x/time/rate"
)

// Neon's limits of one account.
const (
	perMinute      = 700
	perRouteSecond = 40
)

// limits counts requests as Neon does; nil limiters let everything through.
type limits struct {
	on      bool
	account *rate.Limiter

	mu     sync.Mutex
	routes map[string]*rate.Limiter
}

func newLimits(on bool) limits {
	return limits{on: on, account: rate.NewLimiter(perMinute/60.0, perMinute), routes: map[string]*rate.Limiter{}}
}

func (l *limits) allow(route string) bool {
	if !l.on {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.routes[route] == nil {
		l.routes[route] = rate.NewLimiter(perRouteSecond, perRouteSecond)
	}
	return l.routes[route].Allow() && l.account.Allow()
}
