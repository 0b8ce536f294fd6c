package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// script is a provider of a bubble's own: it answers the nth call, from 1, and keeps what it got.
type script struct {
	answer func(n int, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	at     []time.Time
	bodies []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var text []byte
	if r.Body != nil {
		text, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	s.mu.Lock()
	s.at, s.bodies = append(s.at, time.Now()), append(s.bodies, string(text))
	n := len(s.at)
	s.mu.Unlock()
	return s.answer(n, r)
}

func (s *script) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("body"))}
}

// always answers with a status.
func always(code int, header ...string) *script {
	return &script{answer: func(int, *http.Request) (*http.Response, error) { return status(code, header...), nil }}
}

// hang answers when the request is given up.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func request(ctx context.Context, t *testing.T, method, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://api.example/things?secret=1", reader)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send makes one call and ends its answer; 0 is no answer.
func send(rt http.RoundTripper, r *http.Request) (int, error) {
	answer, err := rt.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

func noJitter() float64   { return 0 }
func mostJitter() float64 { return 1 }

var errReset = errors.New("connection reset")

func TestRepeat(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	fails := func(n int, failure func(r *http.Request) (*http.Response, error)) *script {
		return &script{answer: func(i int, r *http.Request) (*http.Response, error) {
			if i <= n {
				return failure(r)
			}
			return status(200), nil
		}}
	}
	with := func(code int, header ...string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return status(code, header...), nil }
	}
	network := func(err error) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	tests := []struct {
		name     string
		policy   Policy
		provider *script
		method   string
		change   func(*http.Request) *http.Request
		want     int // status, 0 for an error
		calls    int
		took     time.Duration
	}{
		{name: "success", provider: always(200), method: "GET", want: 200, calls: 1},
		{name: "full backoff", provider: fails(4, with(502)), method: "GET", want: 200, calls: 5, took: 1500 * time.Millisecond},
		{name: "five attempts at most", provider: always(502), method: "GET", want: 502, calls: 5, took: 1500 * time.Millisecond},
		{name: "backoff is bounded", policy: Policy{Retry: Retry{Attempts: 8}}, provider: always(502), method: "GET", want: 502, calls: 8,
			took: 6300 * time.Millisecond},
		{name: "network", provider: fails(1, network(errReset)), method: "GET", want: 200, calls: 2, took: 100 * time.Millisecond},
		{name: "put and delete", provider: fails(1, with(500)), method: "DELETE", want: 200, calls: 2, took: 100 * time.Millisecond},
		{name: "501 will not change", provider: always(501), method: "GET", want: 501, calls: 1},
		{name: "404 will not change", provider: always(404), method: "GET", want: 404, calls: 1},
		{name: "post after 502", provider: always(502), method: "POST", want: 502, calls: 1},
		{name: "post after a reset", provider: fails(1, network(errReset)), method: "POST", calls: 1},
		{name: "post that was never sent", provider: fails(1, network(dial)), method: "POST", want: 200, calls: 2, took: 100 * time.Millisecond},
		{name: "post that timed out", provider: fails(1, hang), method: "POST", calls: 1, took: 10 * time.Second},
		{name: "get that timed out", provider: fails(1, hang), method: "GET", want: 200, calls: 2, took: 10*time.Second + 100*time.Millisecond},
		{name: "post that was limited", provider: fails(1, with(429, "Retry-After", "7")), method: "POST", want: 200, calls: 2,
			took: 7*time.Second + 100*time.Millisecond},
		{name: "limited for too long", provider: always(429, "Retry-After", "60"), method: "GET", want: 429, calls: 1},
		{name: "limited without an end", provider: always(429, "X-RateLimit-Reset", "9223372036854775807"), method: "GET", want: 429, calls: 1},
		{name: "limited without a time", provider: always(429), method: "GET", want: 429, calls: 1},
		{name: "503 proves nothing here", policy: GitHub(), provider: always(503), method: "POST", want: 503, calls: 1},
		{name: "503 says when", policy: GitHub(), provider: fails(1, with(503, "Retry-After", "2")), method: "GET", want: 200, calls: 2,
			took: 2*time.Second + 100*time.Millisecond},
		{name: "423 at Neon", policy: Neon(), provider: fails(2, with(423)), method: "POST", want: 200, calls: 3, took: 300 * time.Millisecond},
		{name: "503 at Neon", policy: Neon(), provider: fails(1, with(503)), method: "PATCH", want: 200, calls: 2, took: 100 * time.Millisecond},
		{name: "delete at Neon", policy: Neon(), provider: always(500), method: "DELETE", want: 500, calls: 1},
		{name: "GitHub limits by 403", policy: GitHub(), provider: fails(1, with(403, "Retry-After", "1")), method: "POST", want: 200, calls: 2,
			took: 1100 * time.Millisecond},
		{name: "403 is an answer", policy: GitHub(), provider: always(403, "X-RateLimit-Remaining", "4000"), method: "GET", want: 403, calls: 1},
		{name: "marked by its context", provider: fails(1, with(502)), method: "POST", want: 200, calls: 2, took: 100 * time.Millisecond,
			change: func(r *http.Request) *http.Request { return r.WithContext(Repeatable(r.Context())) }},
		{name: "marked by a header without a value", provider: fails(1, with(502)), method: "POST", want: 200, calls: 2, took: 100 * time.Millisecond,
			change: func(r *http.Request) *http.Request { r.Header["Idempotency-Key"] = nil; return r }},
		{name: "a body that can't be made again", provider: always(429, "Retry-After", "1"), method: "PUT", want: 429, calls: 1,
			change: func(r *http.Request) *http.Request { r.GetBody = nil; return r }},
		{name: "a body that fails to be made again", provider: always(502), method: "PUT", calls: 1, took: 100 * time.Millisecond,
			change: func(r *http.Request) *http.Request {
				r.GetBody = func() (io.ReadCloser, error) { return nil, errReset }
				return r
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := New(tt.policy, tt.provider, Options{Jitter: mostJitter})
				body := ""
				if tt.method != "GET" {
					body = "all of the body"
				}
				r := request(t.Context(), t, tt.method, body)
				if tt.change != nil {
					r = tt.change(r)
				}
				began := time.Now()
				got, err := send(rt, r)
				if got != tt.want || (err != nil) != (tt.want == 0) {
					t.Errorf("answer %d %v, want %d", got, err, tt.want)
				}
				if diff := cmp.Diff([]any{tt.calls, tt.took}, []any{tt.provider.calls(), time.Since(began)}); diff != "" {
					t.Errorf("calls and time (-want +got):\n%s", diff)
				}
				for i, sent := range tt.provider.bodies {
					if sent != body {
						t.Errorf("attempt %d sent %q, want %q", i+1, sent, body)
					}
				}
				if flying := rt.Status()[0].InFlight; flying != 0 {
					t.Errorf("%d slots are kept", flying)
				}
			})
		})
	}
}

// TestJitter holds that a wait is anywhere between nothing and its bound.
func TestJitter(t *testing.T) {
	t.Parallel()
	for _, jitter := range []float64{0, 0.5, 1} {
		synctest.Test(t, func(t *testing.T) {
			provider := always(502)
			_, _ = send(New(Policy{}, provider, Options{Jitter: func() float64 { return jitter }}), request(t.Context(), t, "GET", ""))
			var waits []time.Duration
			for i := range provider.at[1:] {
				waits = append(waits, provider.at[i+1].Sub(provider.at[i]))
			}
			var want []time.Duration
			for _, most := range []float64{100, 200, 400, 800} {
				want = append(want, time.Duration(most*jitter)*time.Millisecond)
			}
			if diff := cmp.Diff(want, waits); diff != "" {
				t.Errorf("jitter %v (-want +got):\n%s", jitter, diff)
			}
		})
	}
}

func TestAsked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name    string
		header  []string
		limited bool
		want    time.Duration
		said    bool
	}{
		{name: "nothing"},
		{name: "seconds", header: []string{"Retry-After", "3"}, want: 3 * time.Second, said: true},
		{name: "date", header: []string{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat)}, want: time.Minute, said: true},
		{name: "date gone by", header: []string{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat)}, said: true},
		{name: "negative", header: []string{"Retry-After", "-3"}},
		{name: "words", header: []string{"Retry-After", "soon"}},
		{name: "longer than an integer", header: []string{"Retry-After", "99999999999999999999999"}},
		{name: "no overflow", header: []string{"Retry-After", "9223372036854775807"}, want: (1 << 31) * time.Second, said: true},
		{name: "Postman's spelling", header: []string{"RetryAfter", "4"}, want: 4 * time.Second, said: true},
		{name: "another one", header: []string{"X-RateLimit-RetryAfter", "4"}, want: 4 * time.Second, said: true},
		{name: "reset in the far future", header: []string{"X-RateLimit-Reset", "9223372036854775807"}, limited: true, want: longest, said: true},
		{name: "date in the far future", header: []string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, want: longest, said: true},
		{name: "reset", header: []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(time.Hour).Unix())}, limited: true, want: time.Hour, said: true},
		{name: "reset of a limit that is not used up", header: []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(time.Hour).Unix())}},
		{name: "Retry-After is first", header: []string{"Retry-After", "1", "X-RateLimit-Reset", fmt.Sprint(now.Add(time.Hour).Unix())}, limited: true,
			want: time.Second, said: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, said := asked(status(200, tt.header...).Header, tt.limited, now)
			if got != tt.want || said != tt.said {
				t.Errorf("%v %t, want %v %t", got, said, tt.want, tt.said)
			}
		})
	}
}

// FuzzAsked holds that whatever a header says is a wait that can be added to.
func FuzzAsked(f *testing.F) {
	f.Add("3", "", true)
	f.Add("Fri, 31 Dec 1999 23:59:59 GMT", "1700000000", true)
	f.Add("", "-1", false)
	f.Fuzz(func(t *testing.T, after, reset string, limited bool) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}}
		got, said := asked(h, limited, time.Unix(1_700_000_000, 0))
		if got < 0 || got > longest || !said && got != 0 {
			t.Errorf("%v %t", got, said)
		}
	})
}

// TestPause holds that a limit stops the account's other calls too, and no other account's.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &script{answer: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Minute).Unix())), nil
			}
			return status(200), nil
		}}
		rt := New(GitHub(), provider, Options{})
		one, two := rt.For("1"), rt.For("2")
		if got, err := send(one, request(t.Context(), t, "GET", "")); got != 403 || err != nil {
			t.Fatalf("%d %v", got, err)
		}
		_, err := send(one, request(t.Context(), t, "GET", ""))
		var limit *LimitError
		if !errors.As(err, &limit) || limit.RetryAfter() != time.Minute || limit.Limit != "pause" {
			t.Fatalf("while paused: %v", err)
		}
		if got, err := send(two, request(t.Context(), t, "GET", "")); got != 200 {
			t.Fatalf("another account: %d %v", got, err)
		}
		time.Sleep(50 * time.Second)
		began := time.Now()
		if got, err := send(one, request(t.Context(), t, "GET", "")); got != 200 || time.Since(began) != 10*time.Second {
			t.Fatalf("near the end of the pause: %d %v after %v", got, err, time.Since(began))
		}
		if calls := provider.calls(); calls != 3 {
			t.Errorf("%d calls", calls)
		}
	})
}

func TestPauseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := New(Policy{}, always(429, "Retry-After", "999999999"), Options{})
		_, _ = send(rt, request(t.Context(), t, "GET", ""))
		if left := time.Until(rt.Status()[0].PausedUntil); left != 15*time.Minute {
			t.Errorf("paused for %v", left)
		}
	})
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy Policy
		method string
		limit  int           // calls that any window may see
		window time.Duration // of the limit
		run    time.Duration
	}{
		{"reads of GitHub", GitHub(), "GET", 900, time.Minute, 5 * time.Minute},
		{"creations at GitHub in a minute", GitHub(), "POST", 80, time.Minute, 5 * time.Minute},
		{"creations at GitHub in an hour", GitHub(), "POST", 500, time.Hour, 3 * time.Hour},
		{"writes of GitHub", GitHub(), "PATCH", 180, time.Minute, 5 * time.Minute},
		{"Neon", Neon(), "GET", 700, time.Minute, 3 * time.Minute},
		{"Neon's routes", Neon(), "GET", 40, time.Second, time.Minute},
		{"Cloudflare", Cloudflare(), "GET", 1200, 5 * time.Minute, 15 * time.Minute},
		{"Cloudflare's addresses", Cloudflare(), "GET", 200, time.Second, time.Minute},
		{"Postman", Postman(), "GET", 300, time.Minute, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				provider := always(200)
				rt := New(tt.policy, provider, Options{})
				for end := time.Now().Add(tt.run); time.Now().Before(end); {
					if _, err := send(rt, request(t.Context(), t, tt.method, "")); err != nil {
						t.Fatal(err)
					}
				}
				most := 0
				for i, j := 0, 0; i < len(provider.at); i++ {
					for provider.at[i].Sub(provider.at[j]) >= tt.window {
						j++
					}
					most = max(most, i-j+1)
				}
				if most > tt.limit || most < tt.limit/2 {
					t.Errorf("a window saw %d calls, its limit is %d", most, tt.limit)
				}
			})
		})
	}
}

// TestBudgetWithoutTime holds that a call which can't wait fails at once, and pays nothing.
func TestBudgetWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := New(Policy{Provider: "p", Budgets: []Budget{{Name: "slow", Limit: 2, Window: 10 * time.Second}, {Name: "wide", Limit: 100, Window: time.Second}}}, always(200), Options{})
		if _, err := send(rt, request(t.Context(), t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		began := time.Now()
		for range 3 {
			_, err := send(rt, request(ctx, t, "GET", ""))
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != "slow" || limit.RetryAfter() != 10*time.Second || time.Since(began) != 0 {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
		}
		want := []BudgetStatus{{Name: "slow", Limit: 2, Window: 10 * time.Second, Burst: 1}, {Name: "wide", Limit: 100, Window: time.Second, Burst: 50, Remaining: 49}}
		if diff := cmp.Diff(want, rt.Status()[0].Budgets); diff != "" {
			t.Error(diff)
		}
		if _, err := send(rt, request(t.Context(), t, "GET", "")); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("with time: %v after %v", err, time.Since(began))
		}
	})
}

func TestSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := New(Policy{Provider: "p", Concurrent: 2, Retry: Retry{MaxWait: 5 * time.Second}}, always(200), Options{})
		var open []*http.Response
		for range 2 {
			answer, err := rt.RoundTrip(request(t.Context(), t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, answer)
		}
		_, err := send(rt, request(t.Context(), t, "GET", ""))
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Limit != "slots" {
			t.Fatalf("a third call: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = open[0].Body.Close()
		}()
		began := time.Now()
		if _, err := send(rt, request(t.Context(), t, "GET", "")); err != nil || time.Since(began) != time.Second {
			t.Errorf("after a body was closed: %v, %v", err, time.Since(began))
		}
		time.Sleep(time.Minute) // the forgotten body's time is up
		synctest.Wait()
		if s := rt.Status()[0]; s.InFlight != 0 {
			t.Errorf("%d calls in flight", s.InFlight)
		}
	})
}

// Each attempt has a span, whose traceparent only the API is told: answers may lead elsewhere.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	var got []string
	provider := &script{answer: func(n int, r *http.Request) (*http.Response, error) {
		got = append(got, r.Header.Get("Traceparent"))
		if n == 1 {
			return status(502), nil
		}
		return status(200), nil
	}}
	ended := tracetest.NewSpanRecorder()
	ctx, root := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("").Start(t.Context(), "root")
	traced := request(ctx, t, "GET", "")
	rt := New(Policy{Provider: "neon", Retry: Retry{Base: 1, Most: 1}}, provider, Options{API: &url.URL{Scheme: traced.URL.Scheme, Host: traced.URL.Host, Path: "/v1/"}})
	traced.URL.Path = "/v1/branches"
	archive := request(ctx, t, "GET", "")
	archive.URL.Path = "/archive"
	elsewhere := request(ctx, t, "GET", "")
	elsewhere.URL.Host, elsewhere.URL.Path = "storage.example", traced.URL.Path
	insecure := request(ctx, t, "GET", "")
	insecure.URL.Scheme, insecure.URL.Path = "ftp", traced.URL.Path
	for _, r := range []*http.Request{traced, elsewhere, insecure, archive, request(t.Context(), t, "GET", "")} {
		if _, err := send(rt, r); err != nil {
			t.Fatal(err)
		}
	}
	root.End()
	var want, spans []string
	for _, s := range ended.Ended()[:2] {
		want = append(want, "00-"+root.SpanContext().TraceID().String()+"-"+s.SpanContext().SpanID().String()+"-01")
	}
	for _, s := range ended.Ended() {
		spans = append(spans, s.Name()+" "+s.Status().Code.String())
	}
	if diff := cmp.Diff(append(want, "", "", "", ""), got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"neon GET Error", "neon GET Unset", "neon GET Unset", "neon GET Unset", "neon GET Unset", "root Unset"}, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if traced.Header.Get("Traceparent") != "" {
		t.Error("the caller's request was changed")
	}
}
