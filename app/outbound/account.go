package outbound

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// slotTime is what a caller is told to wait when all slots stay taken.
const slotTime = time.Second

// account is what is known of one account of a provider: its breaker is in breaker.go, its budgets are in spend.go, and what it asks
// the other replicas is in shared.go.
type account struct {
	name    string
	policy  *Policy
	observe Observer
	changed func(account, from, to string, until time.Time)
	shared  shared
	slots   *semaphore.Weighted
	buckets []*rate.Limiter // this replica's own, in the order of the policy's budgets
	breaker *gobreaker.CircuitBreaker[struct{}]
	probe   chan struct{} // taken by the one call that tries a provider whose breaker is half-open

	mu          sync.Mutex
	openUntil   time.Time // until when this replica's own breaker is open
	sharedUntil time.Time // until when all replicas leave it alone, as was last heard; passed: one call has to try it
	paused      time.Time // not called before
	inFlight    int
	alone       bool  // the other replicas could not be asked the last time
	owed        []int // units that were spent since, by budget: the others are told when they can be asked again
}

func newAccount(name string, p *Policy, o Observer, changed func(account, from, to string, until time.Time)) *account {
	a := &account{name: name, policy: p, observe: o, changed: changed, slots: semaphore.NewWeighted(int64(p.Concurrent)),
		probe: make(chan struct{}, 1), owed: make([]int, len(p.Budgets))}
	for _, b := range p.Budgets {
		refill := rate.Limit(float64(max(b.Limit-b.Burst, 1)) / b.Window.Seconds())
		a.buckets = append(a.buckets, rate.NewLimiter(refill, b.Burst))
	}
	a.breaker = a.newBreaker()
	return a
}

// enter waits until the account may be called once more, or says why and how long it can't be: a
// pause, every budget, a slot, in this order. leave must be called once if there is no error.
func (a *account) enter(r *http.Request) (leave func(), err error) {
	ctx := r.Context()
	for {
		if err := a.checkOpen(); err != nil {
			return nil, err
		}
		until := a.pausedUntil()
		if time.Until(until) <= 0 {
			break
		}
		if err := a.wait(ctx, "pause", until); err != nil {
			return nil, err
		}
	}
	if err := a.spend(r); err != nil {
		return nil, err
	}
	if err := a.takeSlot(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.inFlight++
	a.mu.Unlock()
	return sync.OnceFunc(func() {
		a.mu.Lock()
		a.inFlight--
		a.mu.Unlock()
		a.slots.Release(1)
	}), nil
}

func (a *account) takeSlot(ctx context.Context) error {
	if a.slots.TryAcquire(1) {
		return nil
	}
	if _, yes := dispensable(ctx); yes {
		return &LimitError{Provider: a.policy.Provider, Limit: "slots", Until: time.Now().Add(slotTime)}
	}
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, a.policy.Retry.MaxWait)
	defer cancel()
	err := a.slots.Acquire(within, 1)
	a.observe.Waited(a.policy.Provider, "slots", time.Since(began))
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &LimitError{Provider: a.policy.Provider, Limit: "slots", Until: time.Now().Add(slotTime)}
}

// wait sleeps until a moment, or fails at once when that is later than the caller or the policy allows.
func (a *account) wait(ctx context.Context, reason string, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !a.fits(ctx, time.Until(until)) {
		return &LimitError{Provider: a.policy.Provider, Limit: reason, Until: until}
	}
	began := time.Now()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	a.observe.Waited(a.policy.Provider, reason, time.Since(began))
	return nil
}

// fits reports a wait that the policy and the caller's deadline have room for. What can be left out waits for nothing.
func (a *account) fits(ctx context.Context, d time.Duration) bool {
	if _, yes := dispensable(ctx); yes && d > 0 {
		return false
	}
	deadline, bounded := ctx.Deadline()
	return d <= a.policy.Retry.MaxWait && (!bounded || time.Now().Add(d).Before(deadline))
}

// pause leaves the account alone for d; a longer pause stays.
func (a *account) pause(d time.Duration) {
	until := time.Now().Add(min(d, a.policy.Retry.MaxPause))
	a.mu.Lock()
	defer a.mu.Unlock()
	if until.After(a.paused) {
		a.paused = until
	}
}

func (a *account) pausedUntil() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.paused
}
