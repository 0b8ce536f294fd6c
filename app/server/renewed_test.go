package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// A reset renews the passwords of a branch at Neon. Where something fails between it and the Worker, the Worker follows later: nothing
// else would tell that it still has yesterday's.
func TestWorkerFollowsRenewedDatabase(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorld(t, filesIn(t, shopMain), shopSQL(t))
	pr, _ := w.made()
	address := w.url()
	w.neon.SetFaults(fault.OnRoute("PATCH /projects/{project_id}/endpoints/{endpoint_id}", fault.Fault{Status: http.StatusServiceUnavailable}))
	if _, err := w.github.Comment(testRepo, pr, "octo-dev", "/flaresmith reset-db"); err != nil {
		t.Fatal(err)
	}
	w.until("the schema has failed", func() bool { return w.environment(pr).Attempts > 0 })
	w.neon.SetFaults()
	w.until("it serves again", func() bool {
		e := w.environment(pr)
		return e.State == preview.StateActive && e.Attempts == 0
	})
	w.settle()
	if status, body := w.get(address + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") {
		t.Errorf("GET products after the reset: %d %s", status, body)
	}
	w.valid()
}
