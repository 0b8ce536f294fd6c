package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// record is an Observer that keeps what it is told.
type record struct {
	mu       sync.Mutex
	attempts []Attempt
	changes  []string
}

func (o *record) Attempted(a Attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts = append(o.attempts, a)
}
func (o *record) Waited(string, string, time.Duration) {}
func (o *record) Spent(string, string, int)            {}
func (o *record) BreakerChanged(provider, account, from, to string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes = append(o.changes, provider+"/"+account+" "+from+" to "+to)
}

// TestBreakerCounts says what is a failure of the provider.
func TestBreakerCounts(t *testing.T) {
	t.Parallel()
	answers := func(code int, header ...string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return status(code, header...), nil }
	}
	tests := []struct {
		name    string
		answer  func(*http.Request) (*http.Response, error)
		timeout time.Duration // of the caller; negative: canceled after that
		want    int
	}{
		{name: "success", answer: answers(200)},
		{name: "4xx", answer: answers(422)},
		{name: "a limit", answer: answers(429, "Retry-After", "1")},
		{name: "5xx", answer: answers(500), want: 1},
		{name: "network", answer: func(*http.Request) (*http.Response, error) { return nil, errReset }, want: 1},
		{name: "timeout", answer: hang, want: 1},
		{name: "the caller's deadline", answer: hang, timeout: 5 * time.Second, want: 1},
		{name: "the caller's short deadline", answer: hang, timeout: 50 * time.Millisecond},
		{name: "the caller went away", answer: hang, timeout: -5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := New(Policy{Retry: Retry{Attempts: 1}}, &script{answer: func(_ int, r *http.Request) (*http.Response, error) { return tt.answer(r) }}, Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.timeout > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				} else if tt.timeout < 0 {
					time.AfterFunc(-tt.timeout, cancel)
				}
				_, _ = send(rt, request(ctx, t, "GET", ""))
				if got := rt.Status()[0].Failures; got != tt.want {
					t.Errorf("%d failures, want %d", got, tt.want)
				}
			})
		})
	}
}

// TestBreaker is the life of a breaker: it opens at the tenth failure, lets one call through after
// its time, and closes when that works.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		healthy := false
		provider := &script{answer: func(int, *http.Request) (*http.Response, error) {
			if healthy {
				return status(200), nil
			}
			return status(503), nil
		}}
		var log bytes.Buffer
		seen := &record{}
		rt := New(Policy{Provider: "p"}, provider, Options{Jitter: noJitter, Observer: seen, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		one := rt.For("one")
		for i := range 9 {
			if got, err := send(one, request(t.Context(), t, "POST", "x")); got != 503 {
				t.Fatalf("call %d: %d %v", i, got, err)
			}
		}
		// The tenth failure is the first attempt of a call that could be repeated: it is not.
		began := time.Now()
		var open *OpenError
		if _, err := send(one, request(t.Context(), t, "GET", "")); !errors.As(err, &open) || open.RetryAfter() != 30*time.Second || open.Provider != "p" {
			t.Fatalf("the tenth: %v", err)
		}
		for range 100 {
			if _, err := send(one, request(t.Context(), t, "GET", "")); !errors.As(err, &open) {
				t.Fatal(err)
			}
		}
		if provider.calls() != 10 || time.Since(began) != 0 {
			t.Fatalf("%d calls, open calls took %v", provider.calls(), time.Since(began))
		}
		if got, _ := send(rt.For("two"), request(t.Context(), t, "POST", "")); got != 503 {
			t.Error("another account is stopped too")
		}
		s := rt.Status()
		if s[0].Account != "one" || s[0].Breaker != "open" || !s[0].OpenUntil.Equal(began.Add(30*time.Second)) || s[1].Breaker != "closed" {
			t.Errorf("status %+v", s)
		}

		time.Sleep(30*time.Second + 1)
		if _, err := send(one, request(t.Context(), t, "GET", "")); !errors.As(err, &open) { // one attempt, no repeats
			t.Fatal(err)
		}
		healthy = true
		time.Sleep(30*time.Second + 1)
		if got, err := send(one, request(t.Context(), t, "GET", "")); got != 200 {
			t.Fatal(err)
		}
		if calls := provider.calls(); calls != 13 {
			t.Errorf("%d calls", calls)
		}
		want := []string{"p/one closed to open", "p/one open to half-open", "p/one half-open to open", "p/one open to half-open", "p/one half-open to closed"}
		if diff := cmp.Diff(want, seen.changes); diff != "" {
			t.Error(diff)
		}
		if text := log.String(); strings.Count(text, "\n") != 5 || strings.Contains(text, "secret") || strings.Contains(text, "api.example") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestBreakerForgets holds that failures count within the window only.
func TestBreakerForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := New(Policy{}, always(500), Options{})
		for range 60 { // nine in every window of 63 s
			if got, err := send(rt, request(t.Context(), t, "POST", "")); got != 500 {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second)
		}
	})
}

// TestHalfOpen holds that of many callers one tries a provider that was down, and that the others wait for what becomes of it: it may
// answer, fail, or be given up by its caller, so that the next one tries.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		fails   int // how many of those that try fail
		gives   bool
		refused int
		calls   int // after the breaker opened
	}{
		{name: "answers", calls: 20},
		{name: "fails", fails: 1, refused: 19, calls: 1},
		{name: "is given up", gives: true, calls: 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { halfOpen(t, tt.fails, tt.gives, tt.refused, tt.calls) })
		})
	}
}

func halfOpen(t *testing.T, fails int, gives bool, refused, calls int) {
	t.Helper()
	release := make(chan struct{})
	provider := &script{answer: func(n int, r *http.Request) (*http.Response, error) {
		if n <= 10 {
			return nil, errReset
		}
		select {
		case <-release:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		if n <= 10+fails {
			return nil, errReset
		}
		return status(200), nil
	}}
	rt := New(Policy{Provider: "p"}, provider, Options{})
	for range 10 {
		_, _ = send(rt, request(t.Context(), t, "POST", ""))
	}
	time.Sleep(31 * time.Second)
	ctx, giveUp := context.WithCancel(t.Context())
	results := make(chan error, 20)
	call := func(ctx context.Context) {
		_, err := send(rt, request(ctx, t, "POST", ""))
		results <- err
	}
	dispensable := func() {
		t.Helper()
		began := time.Now()
		var open *OpenError
		if _, err := send(rt, request(Dispensable(t.Context(), 0), t, "POST", "")); !errors.As(err, &open) || time.Since(began) != 0 || provider.calls() > 11 {
			t.Fatalf("what can be left out: %v after %s and %d calls", err, time.Since(began), provider.calls())
		}
	}
	dispensable()
	go call(ctx)
	synctest.Wait() // it tries
	dispensable()
	for range 19 {
		go call(t.Context())
	}
	synctest.Wait()
	if len(results) != 0 || provider.calls() != 11 {
		t.Fatalf("%d ended, %d calls, while one tries", len(results), provider.calls())
	}
	if gives {
		giveUp()
		synctest.Wait()
	}
	close(release)
	opened := 0
	for range 20 {
		var open *OpenError
		if err := <-results; errors.As(err, &open) {
			opened++
			if open.RetryAfter() <= 0 || open.RetryAfter() > 30*time.Second {
				t.Errorf("refused until %v", open)
			}
		}
	}
	giveUp()
	if opened != refused || provider.calls() != 10+calls {
		t.Errorf("%d were refused after %d calls, want %d after %d", opened, provider.calls()-10, refused, calls)
	}
}

// TestOutage: twenty callers that go on all the time, an outage of every kind. In the minute after
// the breaker opened at least 90 % fewer calls fail at the provider than in the minute before.
func TestOutage(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(*http.Request) (*http.Response, error){
		"502": func(*http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Millisecond)
			return status(502), nil
		},
		"reset": func(*http.Request) (*http.Response, error) { return nil, errReset },
		"hang":  hang,
	}
	for kind, failure := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				down := time.Now().Add(time.Minute)
				var mu sync.Mutex
				var failed []time.Time
				provider := &script{answer: func(_ int, r *http.Request) (*http.Response, error) {
					if time.Now().Before(down) {
						return status(200), nil
					}
					began := time.Now()
					answer, err := failure(r)
					if ctx.Err() == nil {
						mu.Lock()
						failed = append(failed, began)
						mu.Unlock()
					}
					return answer, err
				}}
				rt := New(Policy{Provider: "p"}, provider, Options{})
				var group sync.WaitGroup
				for range 20 {
					group.Go(func() {
						for ctx.Err() == nil {
							_, _ = send(rt, request(ctx, t, "GET", ""))
							time.Sleep(200 * time.Millisecond)
						}
					})
				}
				var opened time.Time
				for opened.IsZero() {
					time.Sleep(time.Millisecond)
					if s := rt.Status(); len(s) > 0 && s[0].Breaker == "open" {
						opened = s[0].OpenUntil.Add(-30 * time.Second)
					}
				}
				time.Sleep(2 * time.Minute)
				cancel()
				group.Wait()
				before, after := 0, 0
				for _, at := range failed {
					switch d := at.Sub(opened); {
					case d > 0 && d <= time.Minute:
						after++
					case d <= 0 && d > -time.Minute:
						before++
					}
				}
				t.Logf("%d failing calls before, %d after", before, after)
				if before < 10 || after*10 > before {
					t.Errorf("%d failing calls in the minute before, %d in the minute after", before, after)
				}
			})
		})
	}
}

// TestObserved holds what an observer is told, and that nothing of the request is in it.
func TestObserved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &script{answer: func(n int, r *http.Request) (*http.Response, error) {
			switch n {
			case 1:
				return nil, errReset
			case 2:
				return status(500), nil
			}
			return status(404), nil
		}}
		seen := &record{}
		rt := New(Policy{Provider: "p"}, provider, Options{Observer: seen})
		_, _ = send(rt, request(t.Context(), t, "GET", ""))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = send(rt, request(gone, t, "BREW", ""))
		var got []string
		for _, a := range seen.attempts {
			got = append(got, fmt.Sprint(a.Provider, " ", a.Operation, " ", a.Number, " ", a.Result))
		}
		want := []string{"p GET 1 network", "p GET 2 failed", "p GET 3 refused", "p other 1 refused"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
