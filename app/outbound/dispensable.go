package outbound

import (
	"context"
	"net/http"
	"time"
)

type dispensableKey struct{}

// Dispensable marks the requests of a context as ones that can be left out or made later. They wait for nothing: what a pause,
// a budget, a slot or a backoff would hold up is refused at once, by a LimitError or with the answer that there was, and so is, by an
// OpenError, what would try an account that was left alone, or wait for another call that does. They also
// leave that part of each budget's burst, from 0 to 1, to the requests that can't be left out.
func Dispensable(ctx context.Context, left float64) context.Context {
	return context.WithValue(ctx, dispensableKey{}, left)
}

// dispensable is the part of each budget that requests of the context have to leave; false: they can't be left out.
func dispensable(ctx context.Context) (left float64, yes bool) {
	left, yes = ctx.Value(dispensableKey{}).(float64)
	return left, yes
}

// checkLeft refuses a request that can be left out where it would not leave of each budget what it has to. Nothing is
// taken: several requests at the same moment may leave a few units less.
func (a *account) checkLeft(r *http.Request, now time.Time, costs []int) error {
	part, yes := dispensable(r.Context())
	if !yes || part == 0 { // then the wait for the units themselves decides
		return nil
	}
	var state SharedState
	a.shared.ask(r.Context(), func(ctx context.Context) (err error) {
		state, err = a.shared.State(ctx, a.shared.key)
		return err
	})
	for i, b := range a.policy.Budgets {
		if costs[i] == 0 {
			continue
		}
		there := a.buckets[i].TokensAt(now)
		if all, known := state.Left[b.Name]; known {
			there = min(there, all)
		}
		if missing := part*float64(b.Burst) + float64(costs[i]) - there; missing > 0 {
			wait := time.Duration(missing / float64(a.buckets[i].Limit()) * float64(time.Second))
			return &LimitError{Provider: a.policy.Provider, Limit: b.Name, Until: now.Add(wait)}
		}
	}
	return nil
}
