package github

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is what goes wrong with one request. Without After nothing happens but the fault itself,
// unless it is a delay only.
type Fault struct {
	Delay  time.Duration // wait first
	Status int           // answer this; 0 with a Delay: then go on as usual
	Body   string        // JSON; empty: a message as GitHub gives it
	Header http.Header
	Drop   bool // close the connection without an answer
	After  bool // do the work, and only then fail
}

// Rule decides about a request: nil leaves it alone. Rules are asked in order and must be safe for
// concurrent use; RouteOf tells which operation the request is.
type Rule func(*http.Request) *Fault

type faults struct {
	mu    sync.Mutex
	rules []Rule
}

// SetFaults replaces the rules; without any, nothing goes wrong.
func (s *Server) SetFaults(rules ...Rule) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = rules
}

func (f *faults) pick(r *http.Request) *Fault {
	f.mu.Lock()
	rules := f.rules
	f.mu.Unlock()
	for _, rule := range rules {
		if fault := rule(r); fault != nil {
			return fault
		}
	}
	return nil
}

type routeKey struct{}

// RouteOf names the operation of a request that a Rule is asked about, e.g. "POST /repos/{owner}/{repo}/check-runs".
func RouteOf(r *http.Request) string {
	name, _ := r.Context().Value(routeKey{}).(string)
	return name
}

// OnRoute applies a fault to every request of an operation.
func OnRoute(route string, fault Fault) Rule {
	return func(r *http.Request) *Fault {
		if RouteOf(r) != route {
			return nil
		}
		return &fault
	}
}

// Nth lets a rule speak only for the requests from..to (counted from 1) among those it would have spoken for.
func Nth(from, to int, rule Rule) Rule {
	var mu sync.Mutex
	seen := 0
	return func(r *http.Request) *Fault {
		fault := rule(r)
		if fault == nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen < from || seen > to {
			return nil
		}
		return fault
	}
}

// RateLimited is GitHub's answer (403 or 429) to a caller who hit the secondary limit.
func RateLimited(status int, retryAfter time.Duration) Fault {
	return Fault{
		Status: status, Header: http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(retryAfter.Seconds())))}},
		Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
}

// PrimaryLimited is GitHub's answer to a caller who used up the hour's requests; reset is when the next ones come.
func PrimaryLimited(reset time.Time) Fault {
	return Fault{
		Status: http.StatusForbidden,
		Header: http.Header{"X-RateLimit-Remaining": {"0"}, "X-RateLimit-Reset": {strconv.FormatInt(reset.Unix(), 10)}},
		Body:   `{"message":"API rate limit exceeded for installation.","documentation_url":"https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"}`,
	}
}

// ContentLimit refuses, as GitHub's secondary limit does, more than so many content creations within a minute of now.
func ContentLimit(perMinute int, now func() time.Time) Rule {
	var mu sync.Mutex
	var made []time.Time
	return func(r *http.Request) *Fault {
		if !(Request{Method: r.Method, Route: RouteOf(r)}).Write() || r.Method == http.MethodDelete {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		at := now()
		for len(made) > 0 && at.Sub(made[0]) >= time.Minute {
			made = made[1:]
		}
		if len(made) < perMinute {
			made = append(made, at)
			return nil
		}
		fault := RateLimited(http.StatusForbidden, time.Minute-at.Sub(made[0]))
		return &fault
	}
}

// before acts on a fault ahead of the work; done means that there is nothing left to do. A dropped connection has status 0.
func (f *Fault) before(ctx context.Context, w http.ResponseWriter) (a answer, done bool) {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return answer{}, true
		}
	}
	switch {
	case f.After:
		return answer{}, false
	case f.Drop:
		drop(w)
		return answer{}, true
	case f.Status == 0:
		return answer{}, false
	}
	return f.answer(), true
}

func (f *Fault) answer() answer {
	status, body := f.Status, f.Body
	if status == 0 {
		status = http.StatusBadGateway
	}
	if body == "" {
		body = `{"message":"` + http.StatusText(status) + `","documentation_url":"https://docs.github.com/rest"}`
	}
	a := answer{status: status, raw: []byte(body), contentType: "application/json; charset=utf-8", header: http.Header{}}
	for key, values := range f.Header {
		a.header[http.CanonicalHeaderKey(key)] = values
	}
	_ = a.encode() // has no body to encode
	return a
}

// drop closes the connection under a request.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close()
}
