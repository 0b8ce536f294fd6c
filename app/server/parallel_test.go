package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// meeting is a place where those who were invited wait for each other, each once. Who does one thing after
// another waits there in vain, until its time is up.
type meeting struct {
	name string

	mu      sync.Mutex
	missing map[string]bool
	all     chan struct{}
}

func newMeeting(name string, invited ...string) *meeting {
	m := &meeting{name: name, missing: map[string]bool{}, all: make(chan struct{})}
	for _, who := range invited {
		m.missing[who] = true
	}
	return m
}

// arrive waits for the others if who is invited.
func (m *meeting) arrive(ctx context.Context, who string) {
	m.mu.Lock()
	invited := m.missing[who]
	delete(m.missing, who)
	if invited && len(m.missing) == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	if !invited {
		return
	}
	select {
	case <-m.all:
	case <-ctx.Done():
	}
}

// tookPlace fails the test unless all came.
func (m *meeting) tookPlace(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.missing) > 0 {
		t.Errorf("%s: these never came: %v", m.name, m.missing)
	}
}

// meetAt makes requests to GitHub wait for each other.
func meetAt(meetings ...*meeting) fault.Rule {
	return func(r *http.Request) *fault.Fault {
		for _, m := range meetings {
			m.arrive(r.Context(), strings.TrimPrefix(fault.RouteOf(r), "GET "))
		}
		return nil
	}
}

// What need not wait for another thing does not: facts are read in one round, every provider is looked at
// at once, the database is made while the source is fetched, and the parts of a report are written
// together. Nothing here depends on a clock.
func TestPassIsParallel(t *testing.T) {
	t.Parallel()
	const repo = "/repos/{owner}/{repo}"
	w := newWorld(t, sampleFiles(), nil)
	facts := newMeeting("facts", repo+"/pulls/{pull_number}", repo+"/contents/{path}", repo+"/pulls/{pull_number}/files")
	both := newMeeting("database and source", repo+"/tarball/{ref}", "database")
	first := newMeeting("first report", "POST "+repo+"/check-runs", "POST "+repo+"/issues/{issue_number}/comments", "POST "+repo+"/deployments")
	last := newMeeting("last report", "PATCH "+repo+"/check-runs/{check_run_id}", repo+"/issues/comments/{comment_id}",
		"POST "+repo+"/deployments/{deployment_id}/statuses")
	w.github.SetFaults(meetAt(facts, both, first))
	w.cloud.fail(func(ctx context.Context, _ string, r preview.Resource) error {
		both.arrive(ctx, string(r.Kind))
		if r.Kind == preview.KindCollection { // the last step: by then the first report is out, or soon will be
			w.until("the first report is out", func() bool {
				report := query(t, w.config["DATABASE_URL"], `SELECT report::text FROM environments`)[0]
				return strings.Contains(report, "deploymentDigest") && strings.Contains(report, "commentDigest") && strings.Contains(report, "checkDigest")
			})
			w.github.SetFaults(meetAt(last))
		}
		return nil
	})
	pr, sha := w.open("feature/parallel")
	w.wantCheck(sha, "success")
	w.settle()
	for _, m := range []*meeting{facts, both, first, last} {
		m.tookPlace(t)
	}

	again := newMeeting("facts of an unchanged world", repo+"/pulls/{pull_number}", repo+"/contents/{path}", repo+"/pulls/{pull_number}/files")
	looks := newMeeting("looks at an unchanged world", "database", "schema", "worker", "collection")
	w.github.SetFaults(meetAt(again))
	w.cloud.watch(func(ctx context.Context, kind preview.Kind) { looks.arrive(ctx, string(kind)) })
	w.github.ResetRequests()
	before := w.cloud.count()
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	again.tookPlace(t)
	looks.tookPlace(t)
	if n := w.cloud.count() - before; n != 0 {
		t.Errorf("%d writes at the providers", n)
	}
	if writes := w.github.Writes(); len(writes) != 0 {
		t.Errorf("writes at GitHub: %+v", writes)
	}
	w.valid()
}
