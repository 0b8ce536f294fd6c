package github

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// SetFaults replaces the rules that make requests fail; without any, nothing goes wrong.
func (s *Server) SetFaults(rules ...fault.Rule) { s.faults.Replace(rules...) }

// generalError is the body of a failure that says nothing in particular.
func generalError(status int) string {
	return `{"message":"` + http.StatusText(status) + `","documentation_url":"https://docs.github.com/rest"}`
}

// RateLimited is GitHub's answer (403 or 429) to a caller who hit the secondary limit.
func RateLimited(status int, retryAfter time.Duration) fault.Fault {
	return fault.Fault{
		Status: status, Header: http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(retryAfter.Seconds())))}},
		Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
}

// PrimaryLimited is GitHub's answer to a caller who used up the hour's requests; reset is when the next ones come.
func PrimaryLimited(reset time.Time) fault.Fault {
	return fault.Fault{
		Status: http.StatusForbidden,
		Header: http.Header{"X-RateLimit-Remaining": {"0"}, "X-RateLimit-Reset": {strconv.FormatInt(reset.Unix(), 10)}},
		Body:   `{"message":"API rate limit exceeded for installation.","documentation_url":"https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"}`,
	}
}

// ContentLimit refuses, as GitHub's secondary limit does, more than so many content creations within a minute of now.
func ContentLimit(perMinute int, now func() time.Time) fault.Rule {
	var mu sync.Mutex
	var made []time.Time
	return func(r *http.Request) *fault.Fault {
		if !(Request{Method: r.Method, Route: fault.RouteOf(r)}).Write() || r.Method == http.MethodDelete {
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
		limited := RateLimited(http.StatusForbidden, time.Minute-at.Sub(made[0]))
		return &limited
	}
}
