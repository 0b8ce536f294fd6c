package outbound

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	// windowParts is how finely the breaker's window rolls.
	windowParts = 12
	// probeTime is what a caller is told to wait while another's call tries the provider.
	probeTime = 5 * time.Second
	// slotTime is what a caller is told to wait when all slots stay taken.
	slotTime = time.Second
)

// account is what is known of one account of a provider.
type account struct {
	name    string
	policy  *Policy
	observe Observer
	changed func(account, from, to string, until time.Time)
	breaker *gobreaker.CircuitBreaker[struct{}]
	slots   *semaphore.Weighted
	buckets []*rate.Limiter // in the order of the policy's budgets

	shared shared

	probe chan struct{} // taken by the one call that tries a provider whose breaker is half-open

	mu        sync.Mutex
	openUntil time.Time
	elsewhere time.Time // until when all replicas leave it alone, as was last heard; passed: one call has to try it
	paused    time.Time // not called before
	inFlight  int
	alone     bool  // the other replicas could not be asked the last time
	owed      []int // units that were spent since, by budget: the others are told when they can be asked again
}

func newAccount(name string, p *Policy, o Observer, changed func(account, from, to string, until time.Time)) *account {
	a := &account{name: name, policy: p, observe: o, changed: changed, owed: make([]int, len(p.Budgets)), slots: semaphore.NewWeighted(int64(p.Concurrent)), probe: make(chan struct{}, 1)}
	for _, b := range p.Budgets {
		refill := rate.Limit(float64(max(b.Limit-b.Burst, 1)) / b.Window.Seconds())
		a.buckets = append(a.buckets, rate.NewLimiter(refill, b.Burst))
	}
	a.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: p.Provider, MaxRequests: 1, Interval: p.Breaker.Window, BucketPeriod: p.Breaker.Window / windowParts,
		Timeout:     p.Breaker.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int64(c.TotalFailures) >= int64(p.Breaker.Failures) },
		IsExcluded:  func(err error) bool { return errors.Is(err, errProvesNothing) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			until := time.Time{}
			if to == gobreaker.StateOpen {
				until = time.Now().Add(p.Breaker.OpenFor)
			}
			a.mu.Lock()
			a.openUntil = until
			a.mu.Unlock()
			changed(name, from.String(), to.String(), until)
		},
	})
	return a
}

// checkOpen is the error of an open breaker.
func (a *account) checkOpen() error {
	if a.breaker.State() != gobreaker.StateOpen && !a.heardUntil().After(time.Now()) {
		return nil
	}
	return a.openError()
}

// heardUntil is until when all replicas leave the account alone, as was last heard.
func (a *account) heardUntil() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.elsewhere
}

// hear notes until when all replicas leave the account alone; zero: they call it. Where this is news, because it was not this
// replica's own breaker that changed, it is told.
func (a *account) hear(until time.Time) {
	own := a.breaker.State()
	a.mu.Lock()
	from := sharedState(a.elsewhere)
	a.elsewhere = until
	a.mu.Unlock()
	if to := sharedState(until); from != to && own == gobreaker.StateClosed {
		a.changed(a.name, from.String(), to.String(), until)
	}
}

// sharedState is the state of the breaker of all replicas.
func sharedState(until time.Time) gobreaker.State {
	switch {
	case until.IsZero():
		return gobreaker.StateClosed
	case until.After(time.Now()):
		return gobreaker.StateOpen
	}
	return gobreaker.StateHalfOpen
}

func (a *account) openError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	until := a.openUntil
	if a.elsewhere.After(until) {
		until = a.elsewhere
	}
	if !until.After(time.Now()) { // half-open, and somebody else's call is the one let through
		until = time.Now().Add(probeTime)
	}
	return &OpenError{Provider: a.policy.Provider, Until: until}
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

// turn lets one call at a time try a provider whose breaker is half-open; the others wait for what becomes of it. If they failed
// at once, they would take down with them what they are part of, often the very call that tries. done must be called once if there
// is no error.
func (a *account) turn(ctx context.Context) (done func(), err error) {
	if a.breaker.State() != gobreaker.StateHalfOpen && a.heardUntil().IsZero() {
		return func() {}, nil
	}
	within, cancel := context.WithTimeout(ctx, a.policy.Timeout)
	defer cancel()
	select {
	case a.probe <- struct{}{}:
	case <-within.Done():
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, a.openError()
	}
	done = sync.OnceFunc(func() { <-a.probe })
	if err := a.sharedTurn(within, ctx); err != nil {
		done()
		return nil, err
	}
	if a.breaker.State() == gobreaker.StateHalfOpen || !a.heardUntil().IsZero() { // nobody else found out
		return done, nil
	}
	done()
	return func() {}, a.checkOpen()
}

// sharedTurn waits until no other replica tries the account. What is heard then says whether this one does.
func (a *account) sharedTurn(within, ctx context.Context) error {
	for {
		if a.heardUntil().IsZero() {
			return nil
		}
		var turn Turn
		if !a.shared.ask(within, func(ctx context.Context) (err error) {
			turn, err = a.shared.Try(ctx, a.shared.key, a.policy.Timeout+a.policy.BodyTimeout)
			return err
		}) {
			if within.Err() != nil {
				return cmp.Or(ctx.Err(), a.openError())
			}
			a.hear(time.Time{}) // what is known here counts
			return nil
		}
		switch turn {
		case TurnOurs:
			return nil
		case TurnClosed:
			a.hear(time.Time{})
			return nil
		case TurnOpen:
			a.hear(time.Now().Add(probeTime))
			return a.openError()
		case TurnOthers:
		}
		select {
		case <-time.After(turnPause):
		case <-within.Done():
			return cmp.Or(ctx.Err(), a.openError())
		}
	}
}

// report tells the other replicas how a call ended.
func (a *account) report(ctx context.Context, err error) {
	tried := !a.heardUntil().IsZero() // then only the call that tries is made
	switch {
	case errors.Is(err, errProvesNothing):
		if tried {
			a.shared.told(ctx, func(ctx context.Context) error { return a.shared.Tried(ctx, a.shared.key, false) })
		}
	case err != nil:
		a.shared.told(ctx, func(ctx context.Context) error {
			until, err := a.shared.Failed(ctx, a.shared.key, a.policy.Breaker)
			if err == nil {
				a.hear(until)
			}
			return err
		})
	case tried:
		a.hear(time.Time{})
		a.shared.told(ctx, func(ctx context.Context) error { return a.shared.Tried(ctx, a.shared.key, true) })
	}
}

// spend takes the request's cost from every budget, and waits for the one that is furthest behind.
// If that is too long nothing is taken.
func (a *account) spend(r *http.Request) error {
	now := time.Now()
	costs := a.costs(r)
	local := a.reserve(now, costs)
	shares, due, owed := a.shares(costs)
	var spent Spent
	asked := a.shared.ask(r.Context(), func(ctx context.Context) (err error) {
		spent, err = a.shared.Spend(ctx, a.shared.key, due)
		return err
	})
	switch {
	case asked:
		a.hear(spent.OpenUntil)
		if err := a.checkOpen(); err != nil {
			local.cancel()
			return err
		}
		a.settle(owed)
	case a.shared.Shared != nil && r.Context().Err() == nil:
		local = local.join(a.spendAlone(now, costs))
	}
	until, name := now.Add(local.wait), local.budget
	if asked && spent.At.After(until) {
		until, name = spent.At, spent.Budget
	}
	if time.Until(until) > 0 {
		if err := a.wait(r.Context(), name, until); err != nil {
			local.cancel()
			if asked && len(shares) > 0 {
				a.shared.told(r.Context(), func(ctx context.Context) error { return a.shared.Return(ctx, a.shared.key, shares) })
			}
			return err
		}
	}
	for i, b := range a.policy.Budgets {
		if costs[i] > 0 {
			a.observe.Spent(a.policy.Provider, b.Name, costs[i])
		}
	}
	return nil
}

// costs are what a request takes of each of the policy's budgets.
func (a *account) costs(r *http.Request) []int {
	list := make([]int, len(a.policy.Budgets))
	for i, b := range a.policy.Budgets {
		list[i] = max(min(b.Cost(r), b.Burst), 0)
	}
	return list
}

func (a *account) takeSlot(ctx context.Context) error {
	if a.slots.TryAcquire(1) {
		return nil
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

// fits reports a wait that the policy and the caller's deadline have room for.
func (a *account) fits(ctx context.Context, d time.Duration) bool {
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
