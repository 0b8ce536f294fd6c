package outbound

import (
	"context"
	"fmt"
	"time"
)

// OpenError says that a call was not made, or not repeated, because the provider's breaker is open.
type OpenError struct {
	Provider string
	Until    time.Time // when a call may be tried again
}

// Error implements error.
func (e *OpenError) Error() string {
	return fmt.Sprintf("%s is not called until %s: too many calls failed", e.Provider, clockTime(e.Until))
}

// RetryAfter is how long the caller should wait, from now; never negative.
func (e *OpenError) RetryAfter() time.Duration { return max(time.Until(e.Until), 0) }

// Uncalled is the provider, for who knows the error by this method alone.
func (e *OpenError) Uncalled() string { return e.Provider }

// LimitError says that a call was not made because a limit would be passed and the wait does not fit
// into the caller's deadline or the policy's MaxWait.
type LimitError struct {
	Provider string
	Limit    string    // name of the budget; "pause" when the provider itself asked for one, "slots" for too many calls at once
	Until    time.Time // when a call may be tried again
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is not called until %s: limit %q is used up", e.Provider, clockTime(e.Until), e.Limit)
}

// RetryAfter is how long the caller should wait, from now; never negative.
func (e *LimitError) RetryAfter() time.Duration { return max(time.Until(e.Until), 0) }

// TimeoutError says that one attempt took longer than the policy allows. What was asked for may
// have been done. It is a net.Error, and errors.Is finds context.DeadlineExceeded in it.
type TimeoutError struct {
	Provider string
	Limit    time.Duration
	Body     bool // the answer began, but did not end
}

// Error implements error.
func (e *TimeoutError) Error() string {
	if e.Body {
		return fmt.Sprintf("%s: the answer did not end within %s", e.Provider, e.Limit)
	}
	return fmt.Sprintf("%s: no answer within %s", e.Provider, e.Limit)
}

// Timeout implements net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary implements net.Error.
func (e *TimeoutError) Temporary() bool { return true }

// Is reports a timeout as the deadline it is.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05Z") }
