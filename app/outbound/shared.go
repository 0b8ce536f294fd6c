package outbound

import (
	"context"
	"time"
)

// Shared is what the replicas of a server know together about the accounts that they call: how much of each
// budget is left, and which accounts are left alone. Where it can't be asked, each replica goes by what it
// knows itself. Its methods are called from many goroutines, and hold nothing while a call is made.
type Shared interface {
	// Spend takes units from budgets that are refilled with time, and says when they are there; a moment that has
	// passed means now. While the account is left alone nothing is taken.
	Spend(ctx context.Context, account string, shares []Share) (Spent, error)
	// Return gives units back.
	Return(ctx context.Context, account string, shares []Share) error
	// Try asks for the one call that may be made to find out whether an account that was left alone works again.
	// Nobody else gets it before it was told of the end, or for that long.
	Try(ctx context.Context, account string, within time.Duration) (Turn, error)
	// Failed counts a call that failed, and says until when the account is left alone: zero, if it is not.
	Failed(ctx context.Context, account string, b Breaker) (time.Time, error)
	// State tells of an account without changing anything.
	State(ctx context.Context, account string) (SharedState, error)
	// Tried ends a call that Try allowed and that did not fail. worked: the account is called again by all.
	Tried(ctx context.Context, account string, worked bool) error
}

// Share is what a call costs of one budget.
type Share struct {
	Budget    string
	Units     int
	Burst     int     // units that may be spent at once
	PerSecond float64 // units that come back
}

// Spent is the answer of Spend.
type Spent struct {
	At        time.Time // when the units are there
	Budget    string    // that is waited for
	OpenUntil time.Time // zero: the account is called; passed: one call has to try it first
}

// SharedState is what all replicas know of an account; zero: nothing.
type SharedState struct {
	OpenUntil time.Time          // as in Spent
	Left      map[string]float64 // units of each budget that was spent of; negative: calls wait for them
}

// Turn is the answer of Try; zero is none.
type Turn int

// The answers of Try.
const (
	TurnOurs   Turn = iota + 1 // make the call, and tell of its end
	TurnOthers                 // another call is made: wait for what becomes of it
	TurnOpen                   // it is left alone again
	TurnClosed                 // it is called by all
)

const (
	// shareAgain is how long Shared is not asked after it could not answer.
	shareAgain = time.Second
	// turnPause is how often is looked what became of another's call.
	turnPause = 200 * time.Millisecond
)

// shared asks Shared about one account.
type shared struct {
	Shared
	key string
	t   *Transport
}

// ask calls Shared within its time, unless it did not answer a moment ago; false: go by what is known here.
func (s *shared) ask(ctx context.Context, question func(ctx context.Context) error) bool {
	if s.Shared == nil {
		return false
	}
	now := time.Now().UnixNano()
	if now < s.t.askAgain.Load() {
		return false
	}
	within, cancel := context.WithTimeout(ctx, s.t.policy.ShareTimeout)
	defer cancel()
	err := question(within)
	if err == nil || ctx.Err() != nil {
		return err == nil
	}
	if last := s.t.askAgain.Swap(now + int64(shareAgain)); last < now-int64(time.Minute) { // rarely, however long it lasts
		s.t.o.Logger.WarnContext(ctx, "limits and circuit breakers can't be shared with other replicas for now", "provider", s.t.policy.Provider, "error", err)
	}
	return false
}

// told is for what has happened already: it is told even if the caller goes away.
func (s *shared) told(ctx context.Context, tell func(ctx context.Context) error) {
	s.ask(context.WithoutCancel(ctx), tell)
}
