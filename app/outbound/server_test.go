package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quick is a policy whose waits are short enough for a real clock.
func quick() Policy {
	return Policy{Provider: "p", Timeout: time.Minute, BodyTimeout: time.Minute,
		Retry: Retry{Base: time.Millisecond, Most: 2 * time.Millisecond}}
}

// pipes connect a client with a server without the kernel, so that the time of both can be a bubble's.
type pipes struct {
	net.Listener // Addr alone
	dialed       chan net.Conn
	closed       chan struct{}
	once         sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.dialed <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overPipes is the way to a server that lives as long as the test.
func overPipes(t *testing.T, handler http.HandlerFunc) http.RoundTripper {
	t.Helper()
	p := &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	transport := &http.Transport{DialContext: p.dial}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(p) })
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		serving.Wait()
	})
	return transport
}

// TestServer holds the transport over net/http's own, against a server that fails in every way.
func TestServer(t *testing.T) {
	t.Parallel()
	hijack := func(w http.ResponseWriter, text string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
	tests := []struct {
		name   string
		fail   func(w http.ResponseWriter, r *http.Request)
		method string
		want   int // of calls
		text   string
	}{
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "PUT", 3, "done"},
		{"connection closed without a word", func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }, "PUT", 3, "done"},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { hijack(w, "\x00garbage\r\n\r\n") }, "PUT", 3, "done"},
		{"never answers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "PUT", 3, "done"},
		{"never answers a post", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "POST", 1, ""},
		{"closes a post's connection", func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }, "POST", 1, ""},
		{"error whose body never ends", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "PUT", 3, "done"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { overAServer(t, tt.fail, tt.method, tt.want, tt.text) })
		})
	}
}

// overAServer makes a call to a server that fails twice, and wants so many requests with the whole body, and an answer of that text.
func overAServer(t *testing.T, fail http.HandlerFunc, method string, requests int, answer string) {
	t.Helper()
	const sent = "all of the body"
	var mu sync.Mutex
	var bodies []string
	rt := New(Policy{Provider: "p"}, overPipes(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		bodies = append(bodies, string(body))
		n := len(bodies)
		mu.Unlock()
		if n <= 2 {
			fail(w, r)
			return
		}
		_, _ = io.WriteString(w, "done")
	}), Options{})
	r, err := http.NewRequestWithContext(t.Context(), method, "http://server.example/x?token=hush", strings.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	got, err := rt.RoundTrip(r)
	text := ""
	if err == nil {
		body, readErr := io.ReadAll(got.Body)
		text, err = string(body), errors.Join(readErr, got.Body.Close())
	}
	if text != answer || (err == nil) != (answer != "") {
		t.Errorf("%q %v", text, err)
	}
	if err != nil && strings.Contains(err.Error(), "hush") {
		t.Errorf("the error tells the query: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := make([]string, requests)
	for i := range want {
		want[i] = sent
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

// TestRefusedConnection holds that a POST that never left is sent again, and fails in the end.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	seen := &record{}
	rt := New(quick(), nil, Options{Observer: seen})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := send(rt, r); err == nil {
		t.Fatal("it answered")
	}
	if len(seen.attempts) != 5 || rt.Status()[0].Failures != 5 {
		t.Errorf("attempts %v, status %+v", seen.attempts, rt.Status())
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		serve    func(w http.ResponseWriter, r *http.Request)
		timeout  bool
		failures int
	}{
		{"hangs", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begin")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, true, 1},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "begin")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := New(Policy{Provider: "p"}, overPipes(t, tt.serve), Options{})
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example", nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := rt.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(answer.Body)
				var timeout *TimeoutError
				if string(text) != "begin" || err == nil || errors.As(err, &timeout) != tt.timeout || tt.timeout && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%q %v", text, err)
				}
				_, _ = answer.Body.Read(make([]byte, 1))
				_ = answer.Body.Close()
				if s := rt.Status()[0]; s.Failures != tt.failures || s.InFlight != 0 {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// TestManyCallers runs everything at once, for the race detector.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%7 == 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	p := quick()
	p.Concurrent, p.Breaker.Failures = 8, 1<<20
	p.Budgets = []Budget{{Name: "b", Limit: 100_000, Window: time.Second}}
	seen := &record{}
	rt := New(p, server.Client().Transport, Options{Observer: seen})
	var group sync.WaitGroup
	var failed atomic.Int64
	for i := range 32 {
		group.Go(func() {
			client := &http.Client{Transport: rt.For([]string{"a", "b"}[i%2])}
			for range 10 {
				answer, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				if answer.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				_ = answer.Body.Close()
				_ = rt.Status()
			}
		})
	}
	group.Wait()
	if failed.Load() > 10 || len(seen.attempts) < 320 {
		t.Errorf("%d of 320 failed, %d attempts", failed.Load(), len(seen.attempts))
	}
	for _, s := range rt.Status() {
		if s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// BenchmarkTransport is what a call costs beside the base's own work.
func BenchmarkTransport(b *testing.B) {
	base := &script{answer: func(int, *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
	}}
	p := GitHub()
	for i := range p.Budgets {
		p.Budgets[i].Limit, p.Budgets[i].Burst = 1<<40, 1<<39
	}
	rt := New(p, base, Options{})
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://api.github.com/repos/acme/shop/pulls/7", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		answer, err := rt.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		_ = answer.Body.Close()
	}
}
