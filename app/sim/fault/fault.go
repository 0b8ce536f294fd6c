// Package fault is how the stand-ins of outside APIs are made to fail: rules that decide about each request,
// and the middleware that acts on them. It knows no API.
package fault

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Fault is what goes wrong with one request. Without After nothing happens but the fault itself,
// unless it is a delay only.
type Fault struct {
	Delay  time.Duration // wait first
	Status int           // answer this; 0 with a Delay: then go on as usual
	Body   string        // empty: as the API words it
	Header http.Header
	Drop   bool // close the connection without an answer
	After  bool // do the work, and only then fail
}

// Rule decides about a request: nil leaves it alone. Rules are asked in order and must be safe for
// concurrent use; RouteOf tells which operation the request is.
type Rule func(*http.Request) *Fault

// Set is the rules in force. Its zero value has none; it is safe for concurrent use.
type Set struct {
	mu    sync.Mutex
	rules []Rule
}

// Replace puts rules in force; without any, nothing goes wrong.
func (s *Set) Replace(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = rules
}

func (s *Set) pick(r *http.Request) *Fault {
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	for _, rule := range rules {
		if fault := rule(r); fault != nil {
			return fault
		}
	}
	return nil
}

type routeKey struct{}

// RouteOf names the operation of a request that a Rule is asked about, e.g. "POST /projects/{project_id}/branches".
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

// Route serves one operation under the rules of s; word is the body of a fault that brings none.
func (s *Set) Route(name string, word func(status int) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), routeKey{}, name))
		f := s.pick(r)
		if f == nil {
			next.ServeHTTP(w, r)
			return
		}
		if !f.wait(r.Context()) {
			return
		}
		switch {
		case f.After:
			next.ServeHTTP(httptest.NewRecorder(), r)
		case !f.Drop && f.Status == 0:
			next.ServeHTTP(w, r)
			return
		}
		if f.Drop {
			drop(w)
			return
		}
		f.answer(w, word)
	})
}

// wait reports whether the request still waits for an answer after the delay.
func (f *Fault) wait(ctx context.Context) bool {
	if f.Delay <= 0 {
		return true
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return f.After // the caller is gone and the work is done all the same
	}
}

func (f *Fault) answer(w http.ResponseWriter, word func(status int) string) {
	status, body := f.Status, f.Body
	if status == 0 {
		status = http.StatusBadGateway
	}
	if body == "" {
		body = word(status)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for key, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(key)] = values
	}
	w.WriteHeader(status)
	_, _ = bytes.NewBufferString(body).WriteTo(w) // who does not listen can't be told
}

// drop closes the connection under a request.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close()
}
