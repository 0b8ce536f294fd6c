package outbound

import "time"

// Result is how one attempt ended.
type Result string

// The results of an attempt; Open and Limit were not sent.
const (
	OK       Result = "ok"       // 1xx to 3xx
	Refused  Result = "refused"  // 4xx
	Limited  Result = "limited"  // the provider's own limit
	Failed   Result = "failed"   // 5xx
	Timeout  Result = "timeout"  // the policy's or the caller's deadline
	Network  Result = "network"  // no answer
	Canceled Result = "canceled" // the caller went away
	Open     Result = "open"     // not sent: the breaker is open
	Limit    Result = "limit"    // not sent: a limit, and no time to wait
)

// Attempt is one try of a call. Provider, Operation and Result have few values each: they may be
// labels of a metric.
type Attempt struct {
	Provider  string
	Operation string // from Policy.Operation: never a name, id or query
	Result    Result
	Number    int // from 1
	Took      time.Duration
}

// Observer is told what happens. Its methods are called from many goroutines, some with a breaker's
// lock held: they must be quick and must not call the Transport.
type Observer interface {
	// Attempted is told of every attempt when its answer's head is there, or why there is none.
	Attempted(a Attempt)
	// Waited is told of a wait before an attempt: the name of a budget, "pause", "slots" or "backoff".
	Waited(provider, reason string, d time.Duration)
	// Spent is told what an attempt takes from a budget.
	Spent(provider, budget string, units int)
	// BreakerChanged is told of a breaker's change; states are "closed", "half-open" and "open".
	BreakerChanged(provider, account, from, to string)
}

type silent struct{}

func (silent) Attempted(Attempt)                             {}
func (silent) Waited(string, string, time.Duration)          {}
func (silent) Spent(string, string, int)                     {}
func (silent) BreakerChanged(string, string, string, string) {}
