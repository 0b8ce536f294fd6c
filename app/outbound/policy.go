package outbound

import (
	"net/http"
	"slices"
	"time"
)

// Policy is how one provider is called. Zero fields take the defaults that New states.
type Policy struct {
	Provider    string        // as in metrics and errors: "github"
	Timeout     time.Duration // of one attempt, until the answer's head; default 10 s
	BodyTimeout time.Duration // for the answer's body after its head; default 30 s
	Concurrent  int           // calls at once of one account, bodies included; default 100
	// ShareTimeout bounds each question to Options.Shared: a call is not held up by what is there to protect it. Default 500 ms.
	ShareTimeout time.Duration
	Retry        Retry
	Breaker      Breaker
	Budgets      []Budget
	// Limited tells an answer that refuses for the provider's own limit; such an answer proves that
	// nothing was done, and pauses the account. Default: status 429.
	Limited func(*http.Response) bool
	// Operation names a request with one of few values; default: its method.
	Operation func(*http.Request) string
}

// Retry is when and how a call is repeated; see the package's doc.
type Retry struct {
	Attempts int           // at most, the first included; default 5
	Base     time.Duration // bound of the first wait; doubles; default 100 ms
	Most     time.Duration // bound of any backoff; default 1600 ms
	// MaxWait bounds each single wait of a call: a longer Retry-After, budget or pause is given to
	// the caller, as the answer itself or as a LimitError. Default 20 s.
	MaxWait time.Duration
	// Pause is how long an account is left alone when it was limited and no header says how long;
	// default 60 s. MaxPause bounds what a header may ask for; default 15 min.
	Pause, MaxPause time.Duration
	Refused         []int                    // statuses that prove that nothing was done
	Safe            func(*http.Request) bool // default: IdempotentMethod
}

// Breaker opens after Failures (default 10) within Window (default 60 s) and lets one call through
// after OpenFor (default 30 s).
type Breaker struct {
	Failures int
	Window   time.Duration
	OpenFor  time.Duration
}

// Budget is one published limit, kept by a bucket of Burst units that refills by Limit-Burst units
// a Window: no window, wherever it begins, sees more than Limit.
type Budget struct {
	Name   string
	Limit  int
	Window time.Duration
	Burst  int                     // default and at most Limit/2
	Cost   func(*http.Request) int // units of one attempt; default 1; 0: not counted
}

// IdempotentMethod reports a method that HTTP says can be repeated.
func IdempotentMethod(r *http.Request) bool {
	return readMethod(r) || r.Method == http.MethodPut || r.Method == http.MethodDelete
}

func readMethod(r *http.Request) bool {
	return slices.Contains([]string{"", http.MethodGet, http.MethodHead, http.MethodOptions}, r.Method)
}

func (p Policy) withDefaults() Policy {
	p.Timeout = or(p.Timeout, 10*time.Second)
	p.BodyTimeout = or(p.BodyTimeout, 30*time.Second)
	p.Concurrent = or(p.Concurrent, 100)
	p.ShareTimeout = or(p.ShareTimeout, 500*time.Millisecond)
	p.Retry.Attempts = or(p.Retry.Attempts, 5)
	p.Retry.Base = or(p.Retry.Base, 100*time.Millisecond)
	p.Retry.Most = or(p.Retry.Most, 1600*time.Millisecond)
	p.Retry.MaxWait = or(p.Retry.MaxWait, 20*time.Second)
	p.Retry.Pause = or(p.Retry.Pause, time.Minute)
	p.Retry.MaxPause = or(p.Retry.MaxPause, 15*time.Minute)
	p.Breaker.Failures = or(p.Breaker.Failures, 10)
	p.Breaker.Window = or(p.Breaker.Window, time.Minute)
	p.Breaker.OpenFor = or(p.Breaker.OpenFor, 30*time.Second)
	if p.Retry.Safe == nil {
		p.Retry.Safe = IdempotentMethod
	}
	if p.Limited == nil {
		p.Limited = tooMany
	}
	if p.Operation == nil {
		p.Operation = method
	}
	p.Budgets = slices.Clone(p.Budgets)
	for i := range p.Budgets {
		b := &p.Budgets[i]
		b.Burst = max(min(or(b.Burst, b.Limit/2), b.Limit/2), 1)
		if b.Cost == nil {
			b.Cost = func(*http.Request) int { return 1 }
		}
	}
	return p
}

// or is value, or other where value is not above zero.
func or[T int | time.Duration](value, other T) T {
	if value > 0 {
		return value
	}
	return other
}

func tooMany(r *http.Response) bool { return r.StatusCode == http.StatusTooManyRequests }

// method is the request's method if it is one of HTTP's usual ones.
func method(r *http.Request) string {
	usual := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	switch {
	case r.Method == "":
		return http.MethodGet
	case slices.Contains(usual, r.Method):
		return r.Method
	}
	return "other"
}
