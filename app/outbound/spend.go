package outbound

import (
	"time"

	"golang.org/x/time/rate"
)

// aloneShare is the part of each budget, one of so many, that a replica spends while it can't ask the others what they spend.
const aloneShare = 2

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
