package server

import (
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestProviderFaults lets each provider be slow, fail once, panic, and lose its answer after it did the
// work. Each time the preview comes to be, once, and goes, and people see one of each.
func TestProviderFaults(t *testing.T) {
	t.Parallel()
	passing := preview.Transient(errors.New("connection refused by hunter2"))
	broken := errors.New("what nobody thought of, with hunter2")
	faults := map[string]func(c *cloud){
		"slow": func(c *cloud) {
			c.fail(func(ctx context.Context, _ string, _ preview.Resource) error {
				select {
				case <-time.After(500 * time.Millisecond):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		},
		"fails once":           func(c *cloud) { c.fail(failing(1, passing)) },
		"fails once for good":  func(c *cloud) { c.fail(failing(1, broken)) },
		"conflict for a while": func(c *cloud) { c.fail(failing(1, preview.ErrConflict)) },
		"panics": func(c *cloud) {
			before := failing(1, broken)
			c.fail(func(ctx context.Context, op string, r preview.Resource) error {
				if err := before(ctx, op, r); err != nil {
					panic(err)
				}
				return nil
			})
		},
		"loses its answer": func(c *cloud) {
			before := failing(1, passing)
			c.lose(func(op string, r preview.Resource) error { return before(context.Background(), op, r) })
		},
	}
	for name, set := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "fails") || strings.HasPrefix(name, "conflict") {
				racetest.OneAfterTheOther(t)
			}
			w := newWorld(t, sampleFiles(), nil)
			set(w.cloud)
			pr, sha := w.open("feature/a")
			w.wake(sha)
			w.settle()
			if got := w.environment(pr); got.State != preview.StateActive || w.cloud.sha(got.Name) != sha {
				t.Errorf("state %q, serves %q", got.State, w.cloud.sha(got.Name))
			}
			w.wantOneOfEach(pr, sha)
			set(w.cloud)
			if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
				t.Fatal(err)
			}
			w.until("everything is gone", func() bool {
				w.wantAll()
				return w.cloud.total() == 0 && w.environment(pr).State == preview.StateArchived
			})
			w.settle()
			w.wantUntold()
			w.valid()
		})
	}
}

// wantUntold looks for what a provider said in everything that was written to GitHub.
func (w *world) wantUntold() {
	w.t.Helper()
	for _, r := range w.github.Writes() {
		if strings.Contains(r.Body, "hunter2") || strings.Contains(r.Body, "thought of") {
			w.t.Errorf("%s tells what a provider said: %s", r.Route, r.Body)
		}
	}
}

// failing answers the first writes of each kind, so many for making it and as many for removing it, with err.
func failing(times int, err error) func(context.Context, string, preview.Resource) error {
	var mu sync.Mutex
	seen := map[string]int{}
	return func(_ context.Context, op string, r preview.Resource) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[op+string(r.Kind)]++; seen[op+string(r.Kind)] <= times {
			return err
		}
		return nil
	}
}

// TestProviderFailsAlways: a provider that stays down turns the check red in the end, what serves goes on,
// and nobody needs to do anything when it is back.
func TestProviderFailsAlways(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), map[string]string{"FLARESMITH_OUTAGE_DEADLINE": "2s"})
	pr, first := w.open("feature/a")
	w.wantCheck(first, "success")
	w.settle()
	name := w.environment(pr).Name
	before := w.cloud.names(preview.KindDatabase)
	w.cloud.fail(func(_ context.Context, _ string, r preview.Resource) error {
		if r.Kind == preview.KindWorker {
			return preview.Transient(errors.New("connection refused by hunter2"))
		}
		return nil
	})
	second := w.push("feature/a", "two")
	w.wantCheck(second, "failure")
	w.wantToldBefore(second, "in_progress", "failure")
	if got := w.cloud.sha(name); got != first {
		t.Errorf("serves %q, want the last good commit", got)
	}
	if diff := cmp.Diff(before, w.cloud.names(preview.KindDatabase)); diff != "" {
		t.Error(diff)
	}
	w.cloud.fail(func(context.Context, string, preview.Resource) error { return nil })
	w.wantCheck(second, "success")
	w.settle()
	if got := w.cloud.sha(name); got != second {
		t.Errorf("serves %q, want the newest commit", got)
	}
	for _, run := range mustRuns(t, w) {
		if run.Conclusion == "failure" {
			t.Errorf("a red check is left: %+v", run)
		}
	}
	w.wantUntold()
	w.valid()
}

// wantToldBefore waits until GitHub was told one state of a commit's check after another one. Who looks at the check may come too late
// for one that passes, and sees the last one a moment before its request is listed.
func (w *world) wantToldBefore(sha, first, then string) {
	w.t.Helper()
	check, _ := w.check(testRepo, sha)
	w.until(fmt.Sprintf("GitHub was told %s and then %s", first, then), func() bool {
		var told []string
		for _, r := range w.github.Writes() {
			var body struct{ Status, Conclusion string }
			if strings.Contains(r.Path, "/check-runs") && json.Unmarshal([]byte(r.Body), &body) == nil && (strings.Contains(r.Body, sha) || strings.HasSuffix(r.Path, fmt.Sprint("/", check.ID))) {
				told = append(told, stdcmp.Or(body.Conclusion, body.Status))
			}
		}
		i := slices.Index(told, first)
		return i >= 0 && slices.Contains(told[i:], then)
	})
}

// TestCloseInOutage: while one provider is away, or refuses to answer, what does not depend on its answer goes all the same, and the rest when it is back. A
// database never goes before it is known that no Worker uses it.
func TestCloseInOutage(t *testing.T) {
	t.Parallel()
	away, refused := preview.Transient(errors.New("connection refused by hunter2")), errors.New("the key hunter2 is not valid")
	databases, worker, collection := []preview.Kind{preview.KindDatabase, preview.KindSchema}, []preview.Kind{preview.KindWorker}, []preview.Kind{preview.KindCollection}
	tests := []struct {
		name string
		away []preview.Kind
		why  error
		left []preview.Kind
	}{
		{"databases", databases, away, databases},
		{"Workers", worker, away, append(databases, worker...)},
		{"collections", collection, away, collection},
		{"databases whose key is not valid", databases, refused, databases},
		{"Workers whose key is not valid", worker, refused, append(databases, worker...)},
		{"collections whose key is not valid", collection, refused, collection},
	}
	for _, tt := range someOf(tests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := sampleFiles()
			files["postman/shop.postman_collection.json"] = &fstest.MapFile{Data: []byte(`{"info": {"name": "shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}, "item": []}`)}
			w := newWorld(t, files, nil)
			pr, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			w.cloud.hide(tt.why, tt.away...)
			if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
				t.Fatal(err)
			}
			w.until("a pass has failed", func() bool { return w.environment(pr).Attempts > 0 || w.environment(pr).State == preview.StateError })
			var left []preview.Kind
			for _, kind := range preview.Kinds() {
				if len(w.cloud.names(kind)) > 0 {
					left = append(left, kind)
				}
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Errorf("left while they are away (-want +got):\n%s", diff)
			}
			w.cloud.hide(nil)
			w.until("all is gone", func() bool {
				query(t, w.config["DATABASE_URL"], `UPDATE environments SET next_pass_at = now() WHERE wanted = observed AND state = 'error'`)
				return w.cloud.total() == 0 && w.environment(pr).State == preview.StateArchived
			})
			w.settle()
			w.wantUntold()
			w.valid()
		})
	}
}

// TestOtherLogin: who changes a database's password has its Workers bound anew once, also where the pass that noticed it failed.
func TestOtherLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	w.cloud.relogin("one")
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	worker := "apply worker " + w.environment(pr).Name
	w.cloud.relogin("another")
	w.cloud.hide(preview.Transient(errors.New("connection refused")), preview.KindWorker)
	w.wantAll()
	w.until("a pass has failed", func() bool { return w.environment(pr).Attempts > 0 })
	w.cloud.hide(nil)
	w.until("the Worker is bound anew", func() bool { return w.cloud.times(worker) == 2 })
	w.settle()
	w.wantAll()
	w.settle()
	if n := w.cloud.times(worker); n != 2 || w.environment(pr).State != preview.StateActive {
		t.Errorf("the Worker was deployed %d times, and the preview is %s", n, w.environment(pr).State)
	}
}
