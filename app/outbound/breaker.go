package outbound

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// windowParts is how finely the breaker's window rolls.
	windowParts = 12
	// probeTime is what a caller is told to wait while another's call tries the provider.
	probeTime = 5 * time.Second
)

// newBreaker is this replica's own breaker of an account.
func (a *account) newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	p := a.policy
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
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
			a.changed(a.name, from.String(), to.String(), until)
		},
	})
}

// checkOpen is the error of an open breaker.
func (a *account) checkOpen() error {
	if a.breaker.State() != gobreaker.StateOpen && !a.openForAll().After(time.Now()) {
		return nil
	}
	return a.openError()
}

// openForAll is until when all replicas leave the account alone, as was last heard.
func (a *account) openForAll() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sharedUntil
}

// hear notes until when all replicas leave the account alone; zero: they call it. Where this is news, because it was not this
// replica's own breaker that changed, it is told.
func (a *account) hear(until time.Time) {
	own := a.breaker.State()
	a.mu.Lock()
	from := sharedState(a.sharedUntil)
	a.sharedUntil = until
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
	if a.sharedUntil.After(until) {
		until = a.sharedUntil
	}
	if !until.After(time.Now()) { // half-open, and somebody else's call is the one let through
		until = time.Now().Add(probeTime)
	}
	return &OpenError{Provider: a.policy.Provider, Until: until}
}

// turn lets one call at a time try a provider whose breaker is half-open; the others wait for what becomes of it. If they failed
// at once, they would take down with them what they are part of, often the very call that tries. done must be called once if there
// is no error.
func (a *account) turn(ctx context.Context) (done func(), err error) {
	if a.breaker.State() != gobreaker.StateHalfOpen && a.openForAll().IsZero() {
		return func() {}, nil
	}
	if _, yes := dispensable(ctx); yes {
		return nil, a.openError()
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
	if a.breaker.State() == gobreaker.StateHalfOpen || !a.openForAll().IsZero() { // nobody else found out
		return done, nil
	}
	done()
	return func() {}, a.checkOpen()
}

// sharedTurn waits until no other replica tries the account. What is heard then says whether this one does.
func (a *account) sharedTurn(within, ctx context.Context) error {
	for {
		if a.openForAll().IsZero() {
			return nil
		}
		var turn Turn
		if !a.shared.ask(within, func(ctx context.Context) (err error) {
			turn, err = a.shared.Try(ctx, a.shared.key, a.policy.Timeout+a.policy.ShareTimeout) // its end is told when the answer's head is there
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
	tried := !a.openForAll().IsZero() // then only the call that tries is made
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
