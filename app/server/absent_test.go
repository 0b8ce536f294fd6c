package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// names is a store of environments that counts its look-ups.
type names struct {
	environments map[string]preview.Environment
	queue        map[string]int
	ledger       []preview.LedgerEntry
	err          error
	wait         chan struct{} // look-ups stand still until it closes; nil: they do not
	asked        atomic.Int64
	running      atomic.Int64
	most         atomic.Int64 // look-ups at once
}

func (n *names) EnvironmentByName(ctx context.Context, name string) (preview.Environment, error) {
	n.asked.Add(1)
	for running := n.running.Add(1); ; {
		if most := n.most.Load(); running <= most || n.most.CompareAndSwap(most, running) {
			break
		}
	}
	defer n.running.Add(-1)
	if n.wait != nil {
		select {
		case <-n.wait:
		case <-ctx.Done():
			return preview.Environment{}, ctx.Err()
		}
	}
	e, ok := n.environments[name]
	if n.err == nil && !ok {
		return e, preview.ErrNotFound
	}
	return e, n.err
}

func (n *names) Queue(context.Context, string) (map[string]int, error) { return n.queue, n.err }

func (n *names) Ledger(context.Context, string) ([]preview.LedgerEntry, error) {
	return n.ledger, n.err
}

func askAbsent(h http.Handler, host, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/any/path", nil)
	r.Host = host
	r.Header.Set("Accept", accept)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	const name = "preview-k7xq2mab-pr-7"
	tests := []struct {
		name   string
		env    preview.Environment
		place  int
		status int
		code   string
		hint   string
	}{
		{"expired", preview.Environment{State: preview.StateArchived, ExpiredSHA: "sha"}, 0, 404, "ENV_PREVIEW_EXPIRED", "/flaresmith preview"},
		{"closed", preview.Environment{State: preview.StateArchived, Closed: true}, 0, 404, "ENV_PREVIEW_CLOSED", "Reopen"},
		{"destroyed", preview.Environment{State: preview.StateArchived, Held: true}, 0, 404, "ENV_PREVIEW_DESTROYED", "/flaresmith preview"},
		{"not eligible", preview.Environment{State: preview.StateArchived, Message: "hush"}, 0, 404, "ENV_PREVIEW_NOT_FOUND", "check"},
		{"queued", preview.Environment{State: preview.StateQueued, Message: "hush"}, 3, 503, "ENV_PREVIEW_QUEUED", "by itself"},
		{"just wanted", preview.Environment{State: preview.StateQueued}, 0, 503, "ENV_PREVIEW_PROVISIONING", "Try again"},
		{"being made", preview.Environment{State: preview.StateProvisioning}, 0, 503, "ENV_PREVIEW_PROVISIONING", "Try again"},
		{"after a restart", preview.Environment{State: preview.StateActive, GoodSHA: "sha"}, 0, 503, "ENV_PREVIEW_STARTING", "Try again"},
		{"never came up", preview.Environment{State: preview.StateError, Message: "hush"}, 0, 404, "ENV_PREVIEW_FAILED", "check"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.env.ID, tt.env.Name = "id", name
			n := &names{environments: map[string]preview.Environment{name: tt.env}}
			if tt.place > 0 {
				n.queue = map[string]int{"id": tt.place}
			}
			a := newAbsent(n, "localhost", slog.New(slog.DiscardHandler))
			w := askAbsent(a, name+".localhost:8080", "*/*")
			var got map[string]problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			p := got["error"]
			if w.Code != tt.status || p.Code != tt.code || !strings.Contains(p.Hint, tt.hint) || p.Message == "" {
				t.Errorf("%d %+v", w.Code, p)
			}
			if p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") || p.TraceID != "0af7651916cd43dd8448eb211c80319c" || time.Since(p.Timestamp) > time.Minute {
				t.Errorf("identification: %+v", p)
			}
			if (w.Header().Get("Retry-After") != "") != (tt.status == 503) || (p.RetryPolicy == retrySafe) != (tt.status == 503) {
				t.Errorf("retry: %q %q", w.Header().Get("Retry-After"), p.RetryPolicy)
			}
			if tt.place > 0 && (p.Details["position"] != float64(tt.place) || !strings.Contains(p.Message, fmt.Sprint(tt.place))) {
				t.Errorf("place: %+v", p)
			}
			page := askAbsent(a, name+".localhost", "text/html,*/*")
			if page.Code != tt.status || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || !strings.Contains(page.Body.String(), p.Message) {
				t.Errorf("page: %d %s", page.Code, page.Body)
			}
			if strings.Contains(w.Body.String()+page.Body.String(), "hush") {
				t.Error("the pull request's content is shown")
			}
			if want := map[int]int64{404: 1, 503: 2}[tt.status]; n.asked.Load() != want { // what is final is kept
				t.Errorf("%d look-ups, want %d", n.asked.Load(), want)
			}
		})
	}
}

// A Worker beside the first one shares its environment's fate, and has one of its own while that serves.
func TestAbsentWorker(t *testing.T) {
	t.Parallel()
	const name = "preview-k7xq2mab-pr-7"
	serving := preview.Environment{State: preview.StateActive, GoodSHA: "sha"}
	failing := preview.Environment{State: preview.StateError, GoodSHA: "sha"}
	entry := func(url string) []preview.LedgerEntry {
		return []preview.LedgerEntry{{Kind: preview.KindWorker, Name: name}, {Kind: preview.KindWorker, Worker: "admin", Name: name + "-admin", Outputs: preview.Outputs{URL: url}}}
	}
	tests := []struct {
		name   string
		env    preview.Environment
		ledger []preview.LedgerEntry
		host   string
		status int
		code   string
	}{
		{"expired", preview.Environment{State: preview.StateArchived, ExpiredSHA: "sha"}, nil, name + "-admin", 404, "ENV_PREVIEW_EXPIRED"},
		{"closed", preview.Environment{State: preview.StateArchived, Closed: true}, nil, name + "-admin", 404, "ENV_PREVIEW_CLOSED"},
		{"being made", preview.Environment{State: preview.StateProvisioning}, nil, name + "-admin", 503, "ENV_PREVIEW_PROVISIONING"},
		{"after a restart", serving, entry("http://admin/"), name + "-admin", 503, "ENV_PREVIEW_STARTING"},
		{"never came up", failing, entry(""), name + "-admin", 404, "ENV_PREVIEW_FAILED"},
		{"no such Worker", serving, entry("http://admin/"), name + "-other", 404, "ENV_PREVIEW_NOT_FOUND"},
		{"removed from the configuration", serving, entry("http://admin/")[:1], name + "-admin", 404, "ENV_PREVIEW_NOT_FOUND"},
		{"no such preview", serving, entry("http://admin/"), "preview-k7xq2mab-pr-8-admin", 404, "ENV_PREVIEW_NOT_FOUND"},
		{"no name of a Worker", serving, entry("http://admin/"), name + "-a--b", 404, "ENV_PREVIEW_NOT_FOUND"},
		{"no name of ours", serving, entry("http://admin/"), name + ".admin", 404, "ENV_PREVIEW_NOT_FOUND"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.env.ID, tt.env.Name = "id", name
			n := &names{environments: map[string]preview.Environment{name: tt.env}, ledger: tt.ledger}
			w := askAbsent(newAbsent(n, "localhost", slog.New(slog.DiscardHandler)), tt.host+".localhost:8080", "*/*")
			var got map[string]problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			p := got["error"]
			if w.Code != tt.status || p.Code != tt.code {
				t.Errorf("%d %+v, want %d %s", w.Code, p, tt.status, tt.code)
			}
			if p.Code == "ENV_PREVIEW_NOT_FOUND" && p.Context["preview"] != tt.host {
				t.Errorf("it speaks of %v, asked was for %s", p.Context["preview"], tt.host)
			}
		})
	}
}

// The envelope has exactly the fields that are promised.
func TestEnvelopeFields(t *testing.T) {
	t.Parallel()
	w := askAbsent(newAbsent(&names{}, "localhost", slog.New(slog.DiscardHandler)), "x.localhost", "")
	var got map[string]map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	for name, value := range got["error"] {
		fields[name] = value != nil
	}
	want := map[string]bool{"code": true, "message": true, "severity": true, "retryPolicy": true, "requestId": true, "traceId": true,
		"timestamp": true, "context": true, "hint": true, "causeChain": true, "details": true}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestAbsentIsCheap(t *testing.T) {
	t.Parallel()
	n := &names{}
	a := newAbsent(n, "localhost", slog.New(slog.DiscardHandler))
	for _, host := range []string{"x.localhost", "preview-1.localhost", "a.preview-k7xq2mab-pr-7.localhost", strings.Repeat("a", 500) + ".localhost"} {
		if w := askAbsent(a, host, ""); w.Code != 404 {
			t.Errorf("%s: %d", host, w.Code)
		}
	}
	if n.asked.Load() != 0 {
		t.Errorf("names that can't be ours cost %d look-ups", n.asked.Load())
	}
	clock := time.Now()
	a.now = func() time.Time { return clock }
	for range 5 {
		askAbsent(a, "preview-k7xq2mab-pr-7.localhost", "")
	}
	if n.asked.Load() != 1 {
		t.Errorf("the same name cost %d look-ups", n.asked.Load())
	}
	clock = clock.Add(absentFresh)
	askAbsent(a, "preview-k7xq2mab-pr-7.localhost", "")
	if n.asked.Load() != 2 {
		t.Errorf("%d look-ups; an answer does not last for ever", n.asked.Load())
	}
	for pr := 1; pr < 3*absentKept; pr++ {
		askAbsent(a, fmt.Sprintf("preview-k7xq2mab-pr-%d.localhost", pr), "")
	}
	if len(a.known) > absentKept {
		t.Errorf("%d names are kept", len(a.known))
	}
}

// Made-up names take two connections at most, and the rest of the callers give up.
func TestAbsentIsBounded(t *testing.T) {
	t.Parallel()
	n := &names{wait: make(chan struct{})}
	a := newAbsent(n, "localhost", slog.New(slog.DiscardHandler))
	answers := make(chan int)
	for pr := 1; pr <= 8; pr++ {
		go func() { answers <- askAbsent(a, fmt.Sprintf("preview-k7xq2mab-pr-%d.localhost", pr), "").Code }()
	}
	for range 8 {
		if code := <-answers; code != http.StatusServiceUnavailable {
			t.Errorf("answer %d", code)
		}
	}
	if got := n.most.Load(); got != absentLookups {
		t.Errorf("%d look-ups at once", got)
	}
}

func TestAbsentWithoutDatabase(t *testing.T) {
	t.Parallel()
	n := &names{err: errors.New("password=hush")}
	w := askAbsent(newAbsent(n, "localhost", slog.New(slog.DiscardHandler)), "preview-k7xq2mab-pr-7.localhost", "")
	if w.Code != 503 || strings.Contains(w.Body.String(), "hush") || !strings.Contains(w.Body.String(), "ENV_PREVIEW_UNKNOWN") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// up is a runtime with one Worker.
type up string

func (u up) Serves(name string) bool { return name == string(u) }
func (u up) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w, "worker")
}

func TestByHostOnTheStore(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	expired := preview.PreviewName(p.Hash, 7)
	id, err := s.Want(t.Context(), preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentPreview, Name: expired, PR: 7})
	if err != nil {
		t.Fatal(err)
	}
	lease, e, err := s.Acquire(t.Context(), id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	e.State, e.ExpiredSHA = preview.StateArchived, "sha"
	if err := s.SaveEnvironment(t.Context(), lease, e); err != nil {
		t.Fatal(err)
	}
	rest := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "rest") })
	h := byHost("localhost", "flaresmith.localhost", up("preview-k7xq2mab-pr-1"), newAbsent(s, "localhost", slog.New(slog.DiscardHandler)), rest)
	tests := []struct{ name, host, want string }{
		{"worker", "preview-k7xq2mab-pr-1.localhost:8080", "worker"},
		{"upper case and a dot at the end", "PREVIEW-k7xq2mab-pr-1.localhost.:8080", "worker"},
		{"the server itself", "localhost:8080", "rest"},
		{"the server below the previews' domain", "flaresmith.localhost:8080", "rest"},
		{"another domain", "preview-k7xq2mab-pr-1.example", "rest"},
		{"expired", expired + ".localhost:8080", "ENV_PREVIEW_EXPIRED"},
		{"unknown", "preview-k7xq2mab-pr-2.localhost:8080", "ENV_PREVIEW_NOT_FOUND"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if w := askAbsent(h, tt.host, ""); !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("answer %s", w.Body)
			}
		})
	}
}
