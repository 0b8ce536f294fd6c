package outbound

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// aloneShare is the part of each budget, one of so many, that a replica spends while it can't ask the others what they spend.
const aloneShare = 2

// spend takes the request's cost from every budget, and waits for the one that is furthest behind.
// If that is too long nothing is taken.
func (a *account) spend(r *http.Request) error {
	now := time.Now()
	costs := a.costs(r)
	if err := a.checkLeft(r, now, costs); err != nil {
		return err
	}
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

// reserved is what was taken from this replica's own buckets.
type reserved struct {
	wait   time.Duration // until it is there
	budget string        // that is waited for
	taken  []*rate.Reservation
}

func (r reserved) cancel() {
	for _, reservation := range r.taken {
		reservation.Cancel()
	}
}

// join is both together.
func (r reserved) join(other reserved) reserved {
	r.taken = append(r.taken, other.taken...)
	if other.wait > r.wait {
		r.wait, r.budget = other.wait, other.budget
	}
	return r
}

// reserve takes the costs from this replica's own buckets.
func (a *account) reserve(now time.Time, costs []int) reserved {
	var r reserved
	for i, units := range costs {
		if units == 0 {
			continue
		}
		reservation := a.buckets[i].ReserveN(now, units)
		r.taken = append(r.taken, reservation)
		if d := reservation.DelayFrom(now); d > r.wait {
			r.wait, r.budget = d, a.policy.Budgets[i].Name
		}
	}
	return r
}

// spendAlone takes what more a call costs while the other replicas can't be asked: each unit counts for those that they may
// spend meanwhile. What they spent up to now is not known either, so that the buckets begin empty.
func (a *account) spendAlone(now time.Time, costs []int) reserved {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.alone {
		a.alone = true
		for _, bucket := range a.buckets {
			if left := int(bucket.TokensAt(now)); left > 0 {
				bucket.AllowN(now, left)
			}
		}
	}
	for i, units := range costs {
		a.owed[i] = min(a.owed[i]+units, a.policy.Budgets[i].Burst/aloneShare)
	}
	var r reserved
	for range aloneShare - 1 {
		r = r.join(a.reserve(now, costs))
	}
	return r
}

// shares are what a call costs of the budgets of all replicas; due is the same with what is owed of these budgets.
func (a *account) shares(costs []int) (own, due []Share, owed []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	owed = make([]int, len(costs))
	for i, units := range costs {
		if units == 0 {
			continue
		}
		share := Share{Budget: a.policy.Budgets[i].Name, Units: units, Burst: a.policy.Budgets[i].Burst, PerSecond: float64(a.buckets[i].Limit())}
		own = append(own, share)
		owed[i] = a.owed[i]
		share.Units += owed[i]
		due = append(due, share)
	}
	return own, due, owed
}

// settle notes that the others were told of what was owed.
func (a *account) settle(owed []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alone = false
	for i, units := range owed {
		a.owed[i] = max(a.owed[i]-units, 0)
	}
}
