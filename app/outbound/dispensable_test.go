package outbound

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestDispensable holds that what can be left out leaves of a budget what it has to, also of what other replicas spend, and that it is
// refused at once where anything would make it wait.
func TestDispensable(t *testing.T) {
	t.Parallel()
	policy := Policy{Provider: "p", Concurrent: 1, Budgets: []Budget{{Name: "requests", Limit: 70, Window: time.Minute, Burst: 10}}} // one comes back a second
	tests := []struct {
		name   string
		shared bool
		left   float64
		spent  int // by others, before
		calls  int // that are made of twenty
		wait   time.Duration
	}{
		{name: "half is left", left: 0.5, calls: 5, wait: time.Second},
		{name: "nothing is left", calls: 10, wait: time.Second},
		{name: "others have spent some", left: 0.5, spent: 3, calls: 2, wait: time.Second},
		{name: "others have spent too much", left: 0.5, spent: 8, wait: 4 * time.Second},
		{name: "other replicas have spent some", shared: true, left: 0.5, spent: 3, calls: 2, wait: time.Second},
		{name: "other replicas have spent all", shared: true, spent: 10, wait: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				provider := always(200)
				rt := New(policy, provider, Options{})
				others := rt
				if tt.shared {
					m := &meeting{budgets: map[string]*level{}}
					rt, others = New(policy, provider, Options{Shared: m}), New(policy, provider, Options{Shared: m})
				}
				for range tt.spent {
					if _, err := send(others, request(t.Context(), t, "POST", "")); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				for range 20 {
					_, err := send(rt, request(Dispensable(t.Context(), tt.left), t, "POST", ""))
					var limit *LimitError
					if err != nil && (!errors.As(err, &limit) || limit.Limit != "requests" || limit.RetryAfter() != tt.wait) {
						t.Fatal(err)
					}
				}
				if got := provider.calls() - tt.spent; got != tt.calls || time.Since(began) != 0 {
					t.Errorf("%d calls in %s, want %d at once", got, time.Since(began), tt.calls)
				}
				for range 10 - tt.spent - tt.calls { // what was refused took nothing
					if _, err := send(rt, request(t.Context(), t, "POST", "")); err != nil || time.Since(began) != 0 {
						t.Fatalf("a call that can't be left out: %v after %s", err, time.Since(began))
					}
				}
				time.Sleep(tt.wait)
				if _, err := send(rt, request(Dispensable(t.Context(), 0), t, "POST", "")); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("a slot", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			rt := New(policy, always(200), Options{})
			answer, err := rt.RoundTrip(request(t.Context(), t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			began := time.Now()
			_, err = send(rt, request(Dispensable(t.Context(), 0), t, "GET", ""))
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != "slots" || time.Since(began) != 0 {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	})
	t.Run("a pause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			provider := always(http.StatusTooManyRequests, "Retry-After", "7")
			rt := New(policy, provider, Options{})
			began := time.Now()
			if got, err := send(rt, request(Dispensable(t.Context(), 0), t, "POST", "")); got != http.StatusTooManyRequests {
				t.Errorf("the answer is %d, %v", got, err)
			}
			_, err := send(rt, request(Dispensable(t.Context(), 0), t, "POST", ""))
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != "pause" || provider.calls() != 1 || time.Since(began) != 0 {
				t.Errorf("%v after %s and %d calls", err, time.Since(began), provider.calls())
			}
		})
	})
}
