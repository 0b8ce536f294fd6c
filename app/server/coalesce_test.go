package server

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// The events of fifty pushes to one pull request within a second, each pass with 200 ms of work, cost
// a few passes.
func TestPushesCoalesce(t *testing.T) {
	t.Parallel()
	const pushes, within, work, limit = 50, time.Second, 200 * time.Millisecond, 6
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/busy")
	w.wantCheck(sha, "success")
	w.settle()
	var repo, installation int64
	err := w.server.store.Pool().QueryRow(t.Context(), `SELECT repo_id, installation_id FROM projects`).Scan(&repo, &installation)
	if err != nil {
		t.Fatal(err)
	}
	before, wanted := w.passes(), w.environment(pr).Wanted
	w.cloud.slow.Store(int64(work))

	tick := time.NewTicker(within / pushes)
	defer tick.Stop()
	start := time.Now()
	for i := range pushes {
		// The stand-in takes longer for a real push than the time there is.
		body := fmt.Appendf(nil, `{"action":"synchronize","number":%[1]d,"after":"%[2]040d","pull_request":{"number":%[1]d},
			"repository":{"id":%[3]d,"name":"shop","full_name":"acme/shop","owner":{"login":"acme"}},"installation":{"id":%[4]d}}`,
			pr, i, repo, installation)
		if status := w.deliver("pull_request", body); status != http.StatusAccepted {
			t.Fatalf("push %d: status %d", i, status)
		}
		<-tick.C
	}
	took := time.Since(start)
	w.settle()
	if got := w.environment(pr).Wanted - wanted; got < pushes {
		t.Errorf("%d of %d pushes were wanted", got, pushes)
	}
	got := w.passes() - before
	t.Logf("%d passes for %d pushes in %s", got, pushes, took.Round(time.Millisecond))
	// A slow machine takes longer to deliver, and more passes fit in.
	if most := uint64(limit * max(1, took.Seconds())); got > most {
		t.Errorf("%d passes, want at most %d", got, most)
	}
}

// passes is how many passes the reconciler ran to their end.
func (w *world) passes() uint64 {
	w.t.Helper()
	families, err := w.server.metrics.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var n uint64
	for _, f := range families {
		if f.GetName() == "provision_duration_seconds" {
			for _, m := range f.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}
