package outbound

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Status is the state of one account, for people.
type Status struct {
	Provider    string
	Account     string    // empty: the provider as a whole
	Breaker     string    // "closed", "half-open" or "open"
	OpenUntil   time.Time // zero unless open
	Failures    int       // within the breaker's window
	PausedUntil time.Time // zero unless the provider asked for a pause that still lasts
	InFlight    int
	Concurrent  int // limit of InFlight
	Budgets     []BudgetStatus
}

// BudgetStatus is what is left of one budget.
type BudgetStatus struct {
	Name      string
	Limit     int // units a window
	Window    time.Duration
	Burst     int // most units at once
	Remaining int // units that may be spent now without a wait; negative: calls are waiting for it
}

// Status lists the accounts that were called, sorted by name.
func (t *Transport) Status() []Status {
	t.mu.Lock()
	accounts := make([]*account, 0, len(t.accounts))
	for _, a := range t.accounts {
		accounts = append(accounts, a)
	}
	t.mu.Unlock()
	list := make([]Status, 0, len(accounts))
	for _, a := range accounts {
		list = append(list, a.status())
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Account, b.Account) })
	return list
}

// StatusOf is the state of one account, with what the other replicas know of it, within half a second; false: nobody called it.
func (t *Transport) StatusOf(ctx context.Context, name string) (Status, bool) {
	t.mu.Lock()
	_, called := t.accounts[name]
	t.mu.Unlock()
	a := t.account(name)
	var state SharedState
	if a.shared.ask(ctx, func(ctx context.Context) (err error) {
		state, err = a.shared.State(ctx, a.shared.key)
		return err
	}) {
		a.hear(state.OpenUntil)
	}
	s := a.status()
	for i, b := range s.Budgets {
		if left, ok := state.Left[b.Name]; ok {
			s.Budgets[i].Remaining = min(b.Remaining, int(math.Floor(left)))
		}
	}
	return s, called || len(state.Left) > 0 || !state.OpenUntil.IsZero()
}

func (a *account) status() Status {
	s := Status{Provider: a.policy.Provider, Account: a.name, Breaker: a.breaker.State().String(),
		Failures: int(a.breaker.Counts().TotalFailures), Concurrent: a.policy.Concurrent}
	now := time.Now()
	for i, b := range a.policy.Budgets {
		s.Budgets = append(s.Budgets, BudgetStatus{Name: b.Name, Limit: b.Limit, Window: b.Window, Burst: b.Burst,
			Remaining: int(math.Floor(a.buckets[i].TokensAt(now)))})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.OpenUntil, s.InFlight = a.openUntil, a.inFlight
	if state := sharedState(a.sharedUntil); state == gobreaker.StateOpen || state == gobreaker.StateHalfOpen && s.Breaker == gobreaker.StateClosed.String() {
		s.Breaker = state.String() // another replica's calls failed
		if state == gobreaker.StateOpen {
			s.OpenUntil = a.sharedUntil
		}
	}
	if a.paused.After(now) {
		s.PausedUntil = a.paused
	}
	return s
}
