package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// TestInstallationVanishes removes the App from the organisation at a moment, with and without an
// event that tells of it. Everything that was made goes by our own ledger, without a token; nothing
// is posted any more, and nobody asks without end.
func TestInstallationVanishes(t *testing.T) {
	t.Parallel()
	const statuses = "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses"
	tests := []struct {
		name string
		told bool
		// when calls vanish once, at its moment, and makes that moment come.
		when func(w *world, vanish func())
	}{
		{"between passes, untold", false, func(w *world, vanish func()) {
			_, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			vanish()
			w.wantAll()
		}},
		{"while the first facts are read, untold", false, func(w *world, vanish func()) {
			w.github.SetFaults(atRequest("GET /repos/{owner}/{repo}/pulls/{pull_number}", vanish))
			w.open("feature/a")
		}},
		{"while the repository is fetched, untold", false, func(w *world, vanish func()) {
			w.github.SetFaults(atRequest("GET /repos/{owner}/{repo}/tarball/{ref}", vanish))
			w.open("feature/a")
		}},
		{"while the Worker is made, untold", false, func(w *world, vanish func()) {
			w.cloud.fail(atApply(preview.KindWorker, vanish))
			w.open("feature/a")
		}},
		{"while the Worker is made, told", true, func(w *world, vanish func()) {
			w.cloud.fail(atApply(preview.KindWorker, vanish))
			w.open("feature/a")
		}},
		{"while the report is written, untold", false, func(w *world, vanish func()) {
			w.github.SetFaults(atRequest(checkRunsRoute, vanish))
			w.open("feature/a")
		}},
		{"while the last part of a report is written, told", true, func(w *world, vanish func()) {
			w.github.SetFaults(fault.Nth(2, 2, atRequest(statuses, vanish)))
			w.open("feature/a")
		}},
		{"while a new commit is made, untold", false, func(w *world, vanish func()) {
			_, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			w.cloud.fail(atApply(preview.KindWorker, vanish))
			w.push("feature/a", "two")
		}},
		{"while a command is answered, untold", false, func(w *world, vanish func()) {
			pr, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			w.github.SetFaults(atRequest("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", vanish))
			w.say(pr, "octo-dev", "/flaresmith status")
		}},
		{"while it is torn down, untold", false, func(w *world, vanish func()) {
			pr, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			w.cloud.fail(func(_ context.Context, op string, _ preview.Resource) error {
				if op == "delete" {
					vanish()
				}
				return nil
			})
			if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
				w.t.Fatal(err)
			}
		}},
	}
	for _, tt := range someOf(tests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sampleFiles(), nil)
			w.settle()
			vanished := make(chan struct{})
			var once sync.Once
			var posted int
			tt.when(w, func() {
				once.Do(func() {
					if !tt.told {
						w.github.SetWebhook(github.Webhook{URL: "http://127.0.0.1:1/", Secret: testSecret})
					}
					if err := w.github.Uninstall("acme", "octo-lead"); err != nil {
						t.Error(err)
					}
					posted = len(succeeded(w.github.Writes()))
					close(vanished)
				})
			})
			select {
			case <-vanished:
			case <-time.After(patience):
				t.Fatal("the moment never came")
			}
			w.until("everything is torn down, and no pass is due", func() bool {
				var left int
				err := w.server.store.Pool().QueryRow(t.Context(), `
					SELECT (SELECT count(*) FROM resources) + (SELECT count(*) FROM environments WHERE wanted > observed OR next_pass_at IS NOT NULL OR state <> 'archived')
						+ (SELECT 1 - least(count(*), 1) FROM environments)`).Scan(&left)
				if err != nil {
					t.Fatal(err)
				}
				return left == 0 && w.cloud.total() == 0
			})
			// The parts of a report are written beside each other: two may have been under way at the moment.
			if now := succeeded(w.github.Writes()); len(now) > posted+2 {
				t.Errorf("posted without an installation: %+v", now[posted:])
			}
			asked, since := -1, time.Now()
			w.until("nobody asks for what is gone any more", func() bool {
				if now := len(w.github.Requests()); now != asked {
					asked, since = now, time.Now()
				}
				return time.Since(since) > 2*time.Second
			})
			w.wantNoSecret()
		})
	}
}

// atRequest calls do when an operation is asked for, before it is done.
func atRequest(route string, do func()) fault.Rule {
	return func(r *http.Request) *fault.Fault {
		if fault.RouteOf(r) == route {
			do()
		}
		return nil
	}
}

// atApply calls do in the middle of making a resource.
func atApply(kind preview.Kind, do func()) func(context.Context, string, preview.Resource) error {
	return func(_ context.Context, op string, r preview.Resource) error {
		if op == "apply" && r.Kind == kind {
			do()
		}
		return nil
	}
}

// wantAll wants a pass for every environment, as the steady poll does after half an hour.
func (w *world) wantAll() {
	w.t.Helper()
	if _, err := w.server.store.Pool().Exec(w.t.Context(), `UPDATE environments SET next_pass_at = now()`); err != nil {
		w.t.Fatal(err)
	}
}

// succeeded are the requests that GitHub did.
func succeeded(list []github.Request) []github.Request {
	var done []github.Request
	for _, r := range list {
		if r.Status/100 == 2 {
			done = append(done, r)
		}
	}
	return done
}

// TestKeyRefused: GitHub that refuses the App's key, or this machine's clock, says nothing about the
// installation. Nothing is torn down, the log says what it is, and nobody asks without end.
func TestKeyRefused(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	refused := fault.Fault{Status: http.StatusUnauthorized, Body: `{"message":"A JSON web token could not be decoded"}`}
	w.github.SetFaults(func(*http.Request) *fault.Fault { return &refused })
	w.wantAll()
	w.until("a pass has failed", func() bool { return strings.Contains(w.log.String(), "refuses the App's key or this machine's clock") })
	w.until("the pass ended", func() bool { return w.environment(pr).NextPassAt.After(time.Now()) })
	got := w.environment(pr)
	if got.State != preview.StateActive || w.cloud.sha(got.Name) != sha {
		t.Errorf("state %q, serves %q: want it to go on as it is", got.State, w.cloud.sha(got.Name))
	}
	if got.NextPassAt.Before(time.Now().Add(5 * time.Minute)) {
		t.Errorf("it is tried again at %s", got.NextPassAt)
	}
	w.github.SetFaults()
	second := w.push("feature/a", "two")
	w.wantCheck(second, "success")
	w.settle()
	w.wantNoSecret()
	w.valid()
}
