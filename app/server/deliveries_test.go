package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/app/store"
)

// nowhere refuses every delivery.
const nowhere = "http://127.0.0.1:1/"

// sent waits until GitHub has tried to deliver everything.
func (w *world) sent() {
	w.t.Helper()
	if err := w.github.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// sweep looks for lost deliveries now, and waits until all that follows is settled.
func (w *world) sweep() {
	w.t.Helper()
	if err := w.server.store.Enqueue(w.t.Context(), store.SweepArgs{}); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

// complete waits until every delivery that GitHub tried is handled.
func (w *world) complete() {
	w.t.Helper()
	w.until("every delivery is handled", func() bool {
		var want []string
		for _, d := range w.github.Deliveries() { // what the last pass told GitHub comes back as an event, too
			want = append(want, d.GUID)
		}
		slices.Sort(want)
		var got []string
		err := w.server.store.Pool().QueryRow(w.t.Context(), `SELECT array_agg(guid ORDER BY guid COLLATE "C") FROM deliveries WHERE handled_at IS NOT NULL`).Scan(&got)
		if err != nil {
			w.t.Fatal(err)
		}
		return slices.Equal(slices.Compact(want), got)
	})
}

// redelivered is the metric of stored deliveries.
func (w *world) redelivered() (n float64) {
	w.t.Helper()
	families, err := w.server.metrics.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "webhook_redelivered_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// What happens while the server is down is found when it starts: a pull request that was closed, one that was
// opened, one that was both.
func TestDeliveriesWhileDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	closed, sha := w.open("feature/closed")
	w.wantCheck(sha, "success")
	w.settle()
	w.stop()

	if err := w.github.ClosePR(testRepo, closed, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	opened, sha := w.open("feature/opened")
	both, _ := w.open("feature/both")
	if err := w.github.ClosePR(testRepo, both, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.sent()

	w.start()
	w.wantCheck(sha, "success")
	w.until("only the open one has a preview", func() bool {
		return slices.Equal(w.cloud.names(preview.KindWorker), []string{w.environment(opened).Name})
	})
	w.settle()
	for _, pr := range []int{closed, both} {
		if got := w.environment(pr); got.State != preview.StateArchived && got.State != preview.StateQueued {
			t.Errorf("pull request %d: state %q", pr, got.State)
		}
	}
	w.complete()
	if n := w.redelivered(); n == 0 {
		t.Error("the metric counts nothing")
	}
	w.valid()
}

// A server that ends while it fetches a delivery still stores it.
func TestStopWhileFetching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	w.settle()
	w.stop()
	w.open("feature/opened")
	w.sent()
	asked := make(chan struct{}, 1000)
	slow := fault.OnRoute("GET /app/hook/deliveries/{delivery_id}", fault.Fault{Delay: time.Second}) // the server stops meanwhile
	w.github.SetFaults(func(r *http.Request) *fault.Fault {
		delay := slow(r)
		if delay != nil {
			asked <- struct{}{}
		}
		return delay
	})
	w.start()
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatal("nothing was fetched")
	}
	w.stop()
	db, err := pgx.Connect(t.Context(), w.config["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	var stored, tries int
	err = db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM deliveries WHERE event = 'pull_request'), (SELECT coalesce(sum(tries), 0) FROM missed_deliveries)`).Scan(&stored, &tries)
	if err != nil || stored != 1 || tries != 0 {
		t.Errorf("%d stored, %d tries, %v; want 1 stored", stored, tries, err)
	}
	w.github.SetFaults()
	w.valid()
}

// A server that answered 500 or 503 to some gets them all the same, once, whoever redelivers meanwhile.
func TestDeliveriesRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	w.settle()
	hook := w.server.URL() + "/api/github/hook"
	var count atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch count.Add(1) % 3 {
		case 1:
			out.WriteHeader(http.StatusInternalServerError)
			return
		case 2:
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, hook, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header = r.Header
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = response.Body.Close() }()
		out.WriteHeader(response.StatusCode)
	}))
	defer proxy.Close()
	w.github.SetWebhook(github.Webhook{URL: proxy.URL, Secret: testSecret})
	_, sha := w.open("feature/a")
	w.push("feature/a", "two")
	w.push("feature/a", "three")
	newest := w.push("feature/a", "four")
	w.sent()
	for _, d := range w.github.Deliveries() {
		if d.StatusCode >= 500 && d.Event == "push" { // a person is faster: twice failed, or arrived
			if err := w.github.Redeliver(d.GUID); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.sent()
	w.github.SetWebhook(github.Webhook{URL: hook, Secret: testSecret})
	w.sweep()
	w.wantCheck(newest, "success")
	w.settle()
	w.complete()
	if n := w.redelivered(); n == 0 {
		t.Error("the metric counts nothing")
	}
	if sha == newest {
		t.Error("nothing was pushed")
	}
	w.valid()
}

// A command that got lost is run late, unless its pull request was closed since.
func TestLateCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// What happens: "destroy" (said by somebody who may), "press" (the same by a button), "close", "reopen".
		// Those before "|" get lost, those behind arrive. "second" waits for the next one.
		story   string
		queued  bool // the pull request waits for a place, so that its check is not complete
		outcome string
		held    bool
	}{
		{"not closed since", "destroy |", false, "done", true},
		{"close and reopen arrive", "destroy | close reopen", false, "dropped", false},
		{"close arrives", "destroy | close", false, "dropped", false},
		{"close lost", "destroy close |", false, "dropped", false},
		{"close lost, reopen arrives", "destroy close | reopen", false, "dropped", false},
		{"close and reopen lost", "destroy close reopen |", false, "dropped", false},
		{"given after the reopen", "close reopen second destroy |", false, "done", true},
		{"button, not closed since", "press |", false, "done", true},
		{"button, close and reopen lost", "press second close reopen |", false, "dropped", false},
		{"button of an incomplete check, not closed since", "press |", true, "done", true},
		{"button of an incomplete check, close and reopen lost", "press second close reopen |", true, "dropped", false},
		{"button of an incomplete check, close and reopen arrive", "press second | close reopen", true, "dropped", false},
	}
	for _, tt := range someOf(tests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := sampleFiles()
			files[".github/flaresmith.yml"].Data = []byte("preview: {max_active: 1}\n")
			w := newWorld(t, files, nil)
			pr, sha := w.open("feature/one")
			w.wantCheck(sha, "success")
			if tt.queued {
				pr, sha = w.open("feature/two")
				w.wantCheck(sha, "queued")
			}
			w.settle()
			w.nextSecond()
			hook := github.Webhook{URL: w.server.URL() + "/api/github/hook", Secret: testSecret}
			w.github.SetWebhook(github.Webhook{URL: nowhere, Secret: testSecret})
			for step := range strings.FieldsSeq(tt.story) {
				var err error
				switch step {
				case "destroy":
					_, err = w.github.Comment(testRepo, pr, "octo-lead", "/flaresmith destroy")
				case "press":
					check, _ := w.check(testRepo, sha)
					err = w.github.PressButton(testRepo, check.ID, string(preview.VerbDestroy), "octo-lead")
				case "close":
					err = w.github.ClosePR(testRepo, pr, "octo-dev")
				case "reopen":
					err = w.github.Reopen(testRepo, pr, "octo-dev")
				case "second":
					w.nextSecond()
				case "|":
					w.sent()
					w.github.SetWebhook(hook)
				}
				if err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			w.settle()
			// Slow, so that a pass would find what was stored before the rest is.
			w.github.SetFaults(fault.OnRoute("GET /app/hook/deliveries/{delivery_id}", fault.Fault{Delay: 500 * time.Millisecond}))
			w.sweep()
			var outcomes []string
			err := w.server.store.Pool().QueryRow(t.Context(), `SELECT array_agg(outcome) FROM commands`).Scan(&outcomes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.outcome}, outcomes); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if got := w.environment(pr); got.Held != tt.held {
				t.Errorf("held %t, state %q", got.Held, got.State)
			}
			w.complete()
			w.valid()
		})
	}
}
