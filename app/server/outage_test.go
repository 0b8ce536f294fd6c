package server

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// TestOutageOfFacts: while GitHub does not say what is wanted, what was said stays, and where there is no
// configuration nothing is said at all.
func TestOutageOfFacts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		configured bool
	}{{"with a preview", true}, {"without a configuration", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := sampleFiles()
			if !tt.configured {
				delete(files, ".github/flaresmith.yml")
			}
			w := newWorld(t, files, nil)
			if !tt.configured {
				w.proposal() // or what it calls would count towards the breaker
			}
			pr, sha := w.open("feature/a")
			if tt.configured {
				w.wantCheck(sha, "success")
			}
			w.settle()
			before := w.environment(pr)
			w.github.ResetRequests()
			w.github.SetFaults(fault.OnRoute("GET /repos/{owner}/{repo}/contents/{path}", fault.Fault{Status: 502}))
			if err := w.github.Label(testRepo, pr, "later", "octo-dev"); err != nil {
				t.Fatal(err)
			}
			w.until("a pass has failed", func() bool { return w.environment(pr).Attempts > 0 })
			if got := w.github.Writes(); len(got) > 0 {
				t.Errorf("wrote %+v", got)
			}
			if got := w.environment(pr); got.State != before.State || got.GoodSHA != before.GoodSHA {
				t.Errorf("state %q at %q, was %q at %q", got.State, got.GoodSHA, before.State, before.GoodSHA)
			}
			w.github.SetFaults()
			w.until("it is tried again by itself", func() bool { return w.environment(pr).Attempts == 0 })
			w.settle()
			w.valid()
		})
	}
}

// TestPullRequestNotYetThere: GitHub tells of a pull request a moment before it serves it.
func TestPullRequestNotYetThere(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	w.github.SetFaults(fault.Nth(1, 2, fault.OnRoute("GET /repos/{owner}/{repo}/pulls/{pull_number}", fault.Fault{Status: 404})))
	_, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
}

// TestRefusedReport: a report that GitHub refuses for good is not sent again and again.
func TestRefusedReport(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	w.github.SetFaults(fault.OnRoute("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", fault.Fault{Status: 403, Body: `{"message":"Unable to create comment because issue is locked."}`}))
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	if got := w.environment(pr); got.NextPassAt.Before(time.Now().Add(5 * time.Minute)) {
		t.Errorf("tried again at %s", got.NextPassAt)
	}
	// Nor does a command that can't be answered keep the close from its work.
	if _, err := w.github.Comment(testRepo, pr, "octo-lead", "/flaresmith destroy"); err != nil {
		t.Fatal(err)
	}
	w.until("the command counts", func() bool { return w.environment(pr).Held && w.cloud.total() == 0 })
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.environment(pr); got.State != preview.StateArchived || !got.NextPassAt.IsZero() {
		t.Errorf("closed: state %q, next pass at %s", got.State, got.NextPassAt)
	}
}

// TestFailingPreviewExpires: its time ends although its newest commit does not build.
func TestFailingPreviewExpires(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	broken, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", map[string]string{"src/index.js": "export default {\n  fetch( {\n"}, "broken")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(broken, "failure")
	w.settle()
	got := w.environment(pr)
	if got.ExpiresAt.IsZero() || !got.NextPassAt.Equal(got.ExpiresAt) {
		t.Errorf("next pass at %s, its time ends at %s", got.NextPassAt, got.ExpiresAt)
	}
	w.valid()
}

// TestReopenedIntoQueue: a pull request that is reopened while every place is taken gets the next one.
func TestReopenedIntoQueue(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files[".github/flaresmith.yml"].Data = []byte("preview: {max_active: 1}\n")
	w := newWorld(t, files, nil)
	reopened, sha := w.open("feature/reopened")
	w.wantCheck(sha, "success")
	if err := w.github.ClosePR(testRepo, reopened, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	first, other := w.open("feature/first")
	w.wantCheck(other, "success")
	if err := w.github.Reopen(testRepo, reopened, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "queued")
	w.settle()
	if err := w.github.ClosePR(testRepo, first, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
}

// A close does not wait for GitHub's list of changed files, which nobody needs then.
func TestCloseWaitsForNoList(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, sampleFiles(), nil, Options{StandIns: StandIns{Calls: func(*outbound.Policy) {}}}) // waits as a server does
	pr, sha := w.open("feature/long")
	w.wantCheck(sha, "success")
	w.settle()
	var asked atomic.Int64
	w.github.SetFaults(func(r *http.Request) *fault.Fault {
		if fault.RouteOf(r) != "GET /repos/{owner}/{repo}/pulls/{pull_number}/files" {
			return nil
		}
		asked.Add(1)
		return &fault.Fault{Delay: time.Hour}
	})
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.cloud.total(); got != 0 {
		t.Errorf("%d resources are left after the close: %v", got, w.cloud.writes)
	}
	if n := asked.Load(); n > 3 { // one a pass; who waited would have asked five times in each
		t.Errorf("the list was asked for %d times", n)
	}
}
