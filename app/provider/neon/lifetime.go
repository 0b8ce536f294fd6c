package neon

import (
	"context"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// expirySlack is how long Neon lets a branch live after its time, so that we are the ones who end it.
	expirySlack = 6 * time.Hour
	// longestExpiry is the most that Neon takes.
	longestExpiry = 30*24*time.Hour - time.Hour
)

// expiry is when Neon itself ends the branch.
func expiry(r preview.Resource) *time.Time {
	if r.ExpiresAt.IsZero() || r.Keep {
		return nil
	}
	at := r.ExpiresAt.Add(expirySlack)
	if latest := time.Now().Add(longestExpiry); at.After(latest) {
		at = latest
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}

// lapsesWrongly reports whether Neon would end the branch at another time than it should. An hour more or less is not
// worth a write.
func lapsesWrongly(b branch, r preview.Resource) bool {
	at := expiry(r)
	if at == nil || b.ExpiresAt.IsZero() {
		return (at == nil) != b.ExpiresAt.IsZero()
	}
	if r.ExpiresAt.Add(expirySlack).Sub(*at) >= time.Second { // beyond what Neon takes, which moves on by itself
		return time.Until(b.ExpiresAt) < longestExpiry/2
	}
	return at.Sub(b.ExpiresAt).Abs() > time.Hour
}

func (p *Branches) renewExpiry(ctx context.Context, id string, r preview.Resource) error {
	if at := expiry(r); at != nil {
		return p.api.expire(ctx, id, at)
	}
	return nil
}
