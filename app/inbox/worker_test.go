package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

// pile is the store's part that the worker uses, for one pull request, in memory.
type pile struct {
	wanted  int64
	done    int64
	pending []store.Delivery
	handled []store.Handled
	late    []store.Delivery // arrives while the first pass works
	down    error
}

func (p *pile) PendingDeliveries(context.Context, int64, int) (store.Pending, error) {
	const page = 2
	return store.Pending{Wanted: p.wanted, Deliveries: p.pending[:min(page, len(p.pending))], More: len(p.pending) > page}, p.down
}

func (p *pile) MarkHandled(_ context.Context, _ int64, _ int, list []store.Handled) error {
	p.handled = append(p.handled, list...)
	p.pending = p.pending[len(list):]
	return nil
}

func (p *pile) FinishWork(ctx context.Context, _ *river.Job[store.DeliverArgs], seen int64, handled []store.Handled) (bool, error) {
	if err := p.MarkHandled(ctx, 0, 0, handled); err != nil {
		return false, err
	}
	if p.late != nil {
		p.pending, p.wanted, p.late = append(p.pending, p.late...), p.wanted+int64(len(p.late)), nil
	}
	p.done = seen
	return p.wanted == seen, nil
}

func (p *pile) RearmStaleWork(context.Context) (int, error) { return 3, p.down }

// compressed is a delivery of the event, whose payload is its id.
func compressed(event, guid string) store.Delivery {
	return store.Delivery{GUID: guid, Event: event, Payload: s2.Encode(nil, []byte(guid))}
}

// events is a handler of everything in its map.
type events map[string]func(ctx context.Context, payload string) error

func (e events) Handles() []string {
	var names []string
	for name := range e {
		names = append(names, name)
	}
	return names
}

func (e events) Handle(ctx context.Context, event, _ string, payload []byte) error {
	return e[event](ctx, string(payload))
}

func TestWorker(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		attempt int
		events  []string // of the deliveries; the id of each is its place
		seen    []string // payloads that reached a handler
		handled []store.Handled
		wantErr preview.Class
	}{
		{"in order, over pages", 1, []string{"ok", "ok", "ok", "ok", "ok"}, []string{"0", "1", "2", "3", "4"},
			[]store.Handled{{GUID: "0"}, {GUID: "1"}, {GUID: "2"}, {GUID: "3"}, {GUID: "4"}}, ""},
		{"unknown event", 1, []string{"star", "ok"}, []string{"1"}, []store.Handled{{GUID: "0"}, {GUID: "1"}}, ""},
		{"panic", 1, []string{"panic", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0", Error: "panic: string"}, {GUID: "1"}}, ""},
		{"nil dereference", 1, []string{"nil", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0", Error: "panic: runtime.errorString"}, {GUID: "1"}}, ""},
		{"bad payload", 1, []string{"invalid", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0", Error: "invalid: payload is no push"}, {GUID: "1"}}, ""},
		{"not compressed", 1, []string{"garbage", "ok"}, []string{"1"}, []store.Handled{{GUID: "0", Error: "stored payload does not decompress"}, {GUID: "1"}}, ""},
		{"transient stops, and keeps what is done", 19, []string{"ok", "transient", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0"}}, preview.ClassTransient},
		{"unclassed is tried again", 4, []string{"ok", "odd", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0"}}, preview.ClassPermanent},
		{"unclassed is given up", 5, []string{"odd", "ok"}, []string{"0", "1"}, []store.Handled{{GUID: "0", Error: "permanent"}, {GUID: "1"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &pile{wanted: int64(len(tt.events))}
			for i, event := range tt.events {
				d := compressed(event, fmt.Sprint(i))
				if event == "garbage" {
					d.Event, d.Payload = "ok", []byte("garbage")
				}
				p.pending = append(p.pending, d)
			}
			var seen []string
			sees := func(err error) func(context.Context, string) error {
				return func(_ context.Context, payload string) error { seen = append(seen, payload); return err }
			}
			var none *store.Delivery
			handler := events{
				"ok": sees(nil),
				"panic": func(_ context.Context, payload string) error {
					seen = append(seen, payload)
					panic("secret " + payload)
				},
				"nil": func(_ context.Context, payload string) error {
					seen = append(seen, payload)
					return errors.New(none.GUID)
				},
				"invalid":   sees(preview.Invalid("payload is no push", preview.Problem{Message: "hostile text"})),
				"transient": sees(preview.Transient(io.EOF)),
				"odd":       sees(errors.New("hostile text")),
			}
			w, err := inbox.NewWorker(p, []githubapp.EventHandler{handler}, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			err = w.Work(t.Context(), &river.Job[store.DeliverArgs]{JobRow: &rivertype.JobRow{Attempt: tt.attempt}})
			if (err != nil) != (tt.wantErr != "") || err != nil && preview.Classify(err) != tt.wantErr {
				t.Errorf("error %v, want class %q", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.seen, seen); diff != "" {
				t.Errorf("handlers saw (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.handled, p.handled); diff != "" {
				t.Errorf("handled (-want +got):\n%s", diff)
			}
			if finished := p.done == p.wanted; finished != (tt.wantErr == "") {
				t.Errorf("done %d of %d", p.done, p.wanted)
			}
		})
	}
}

func TestWorkerMakesAnotherPass(t *testing.T) {
	t.Parallel()
	p := &pile{wanted: 1, pending: []store.Delivery{compressed("ok", "a")}, late: []store.Delivery{compressed("ok", "b")}}
	w, err := inbox.NewWorker(p, []githubapp.EventHandler{events{"ok": func(context.Context, string) error { return nil }}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Work(t.Context(), &river.Job[store.DeliverArgs]{JobRow: &rivertype.JobRow{Attempt: 1}}); err != nil {
		t.Fatal(err)
	}
	if p.done != 2 || len(p.handled) != 2 {
		t.Errorf("done %d, handled %v: the late delivery is lost", p.done, p.handled)
	}
}

// A server that stops leaves the delivery at hand for the next one.
func TestWorkerStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pile{wanted: 1, pending: []store.Delivery{compressed("slow", "a")}}
	w, err := inbox.NewWorker(p, []githubapp.EventHandler{events{"slow": func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return errors.New("stopped in the middle")
	}}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = w.Work(ctx, &river.Job[store.DeliverArgs]{JobRow: &rivertype.JobRow{Attempt: 20}})
	if !errors.Is(err, context.Canceled) || len(p.handled) != 0 {
		t.Errorf("error %v, handled %v; want cancelled and nothing handled", err, p.handled)
	}
}

func TestWorkerStoreDown(t *testing.T) {
	t.Parallel()
	p := &pile{down: preview.Transient(io.EOF)}
	w, err := inbox.NewWorker(p, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	job := &river.Job[store.DeliverArgs]{JobRow: &rivertype.JobRow{Attempt: 1}}
	if err := w.Work(t.Context(), job); !errors.Is(err, io.EOF) {
		t.Errorf("work: %v", err)
	}
	if err := w.Rearm(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("rearm: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		for attempt, want := range map[int]time.Duration{1: time.Second, 3: 4 * time.Second, 20: time.Minute} {
			job.Attempt = attempt
			if wait := time.Until(w.NextRetry(job)); wait != want {
				t.Errorf("attempt %d waits %v, want %v", attempt, wait, want)
			}
		}
	})
}

func TestNewWorkerRefusesTwoHandlers(t *testing.T) {
	t.Parallel()
	one := events{"push": nil}
	if _, err := inbox.NewWorker(&pile{}, []githubapp.EventHandler{one, one}, nil, nil); err == nil {
		t.Error("no error for two handlers of one event")
	}
}

// counts is an Observer.
type counts struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counts) Received(event string, status int) { c.add(fmt.Sprintf("%s %d", event, status)) }
func (c *counts) Handled(event, outcome string, _ time.Duration) {
	c.add(event + " " + outcome)
}
func (c *counts) Redelivered(event, outcome string) { c.add(event + " " + outcome) }

func (c *counts) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[key]++
}

func TestObserver(t *testing.T) {
	t.Parallel()
	c := &counts{seen: map[string]int{}}
	p := &pile{wanted: 3, pending: []store.Delivery{compressed("ok", "a"), compressed("anything", "b"), compressed("bad", "c")}}
	w, err := inbox.NewWorker(p, []githubapp.EventHandler{events{
		"ok":  func(context.Context, string) error { return nil },
		"bad": func(context.Context, string) error { panic("x") },
	}}, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Work(t.Context(), &river.Job[store.DeliverArgs]{JobRow: &rivertype.JobRow{Attempt: 1}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"ok done": 1, "other ignored": 1, "bad failed": 1}, c.seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
