package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// What waits is counted with its age, by queue; a queue that is empty is there, too.
func TestBacklog(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	none := store.Backlog{Jobs: map[string]store.JobBacklog{store.QueueInbox: {}, store.QueueReconcile: {}, store.QueueSweep: {}, store.QueueOnboard: {}}}
	got, err := s.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(none, got); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{
		{GUID: "a", Event: "push", RepoID: 1, PR: 7, Payload: []byte("x")},
		{GUID: "b", Event: "push", RepoID: 1, PR: 7, Payload: []byte("x")},
		{GUID: "c", Event: "push", RepoID: 1, PR: 8, Payload: []byte("x")},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE deliveries SET received_at = now() - interval '1 minute' WHERE guid = 'a'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE river_job SET state = 'running' WHERE id = (SELECT min(id) FROM river_job)`); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Backlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := store.Backlog{Deliveries: 3, DeliveryAge: time.Minute,
		Jobs: map[string]store.JobBacklog{store.QueueInbox: {Waiting: 1, Running: 1}, store.QueueReconcile: {}, store.QueueSweep: {}, store.QueueOnboard: {}}}
	age := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 30*time.Second })
	if diff := cmp.Diff(want, got, age); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}
