package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// hold leases an environment until the end of the test.
func hold(t *testing.T, s *store.Store, id string) (preview.Lease, preview.Environment) {
	t.Helper()
	lease, e, err := s.Acquire(t.Context(), id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return lease, e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestShownEnvironments(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p, other := storetest.Project(t, s, 1), storetest.Project(t, s, 2)
	want(t, s, previewWish(other, 1))
	for pr := 1; pr <= 5; pr++ {
		id := want(t, s, previewWish(p, pr))
		if pr <= 3 {
			lease, e := hold(t, s, id)
			e.State = preview.StateArchived
			must(t, s.SaveEnvironment(t.Context(), lease, e))
		}
	}
	want(t, s, preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentProd, Name: preview.CoreName(p.Hash, preview.EnvironmentProd),
		Branch: "main", SHA: "sha", PushedAt: second(1)})
	named := want(t, s, previewWish(p, 5))
	lease, _ := hold(t, s, named)
	must(t, s.SavePublished(t.Context(), lease, []byte("{}"), []byte(`{"begun": true, "title": "Carts", "branch": "carts"}`)))
	list, err := s.ShownEnvironments(t.Context(), p.ID, 2)
	must(t, err)
	var got []int
	for _, e := range list {
		got = append(got, e.PR)
		if named := e.PR == 5; named != (e.Title == "Carts") || named != (e.HeadRef == "carts") {
			t.Errorf("pull request %d is called %q on %q", e.PR, e.Title, e.HeadRef)
		}
	}
	if diff := cmp.Diff([]int{0, 5, 4, 3, 2}, got); diff != "" {
		t.Errorf("pull requests in order (-want +got):\n%s", diff)
	}
}

func TestLastPassesAndOutputs(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	first, second, idle := want(t, s, previewWish(p, 1)), want(t, s, previewWish(p, 2)), want(t, s, previewWish(p, 3))
	start := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	for i := range 4 {
		for _, id := range []string{first, second} {
			must(t, s.RecordPass(t.Context(), preview.PassRecord{EnvironmentID: id, Generation: int64(i), SHA: "sha", Outcome: "ready",
				Steps:     []preview.StepRecord{{Name: "database", Op: "create", OK: true, StartMS: 3, DurationMS: int64(i)}},
				StartedAt: start.Add(time.Duration(i) * time.Minute), Duration: 1500 * time.Millisecond}))
		}
	}
	passes, err := s.LastPasses(t.Context(), []string{first, second, idle}, 2)
	must(t, err)
	if len(passes) != 2 || len(passes[first]) != 2 || len(passes[second]) != 2 {
		t.Fatalf("passes: %v", passes)
	}
	newest := passes[first][0]
	if newest.Generation != 3 || newest.Duration != 1500*time.Millisecond || !newest.StartedAt.Equal(start.Add(3*time.Minute)) ||
		len(newest.Steps) != 1 || newest.Steps[0].DurationMS != 3 || passes[first][1].Steps[0].DurationMS != 2 {
		t.Errorf("passes of the first: %+v", passes[first])
	}

	lease, _ := hold(t, s, first)
	for kind, out := range map[preview.Kind]preview.Outputs{
		preview.KindDatabase: {DatabaseURL: "postgres://hidden", DatabaseName: "db"},
		preview.KindWorker:   {URL: "http://a.localhost/"},
	} {
		must(t, s.RecordIntent(t.Context(), lease, preview.Key{Kind: kind}, "name", ""))
		must(t, s.RecordApplied(t.Context(), lease, preview.Key{Kind: kind}, "", "digest", out))
	}
	admin := preview.Key{Kind: preview.KindWorker, Worker: "admin"}
	worker := preview.Key{Kind: preview.KindWorker}
	other, _ := hold(t, s, second)
	must(t, s.RecordIntent(t.Context(), other, admin, "name-admin", ""))
	must(t, s.RecordApplied(t.Context(), other, admin, "", "digest", preview.Outputs{URL: "http://a-admin.localhost/", WorkerName: "admin"}))
	must(t, s.RecordIntent(t.Context(), other, worker, "name", ""))
	must(t, s.RecordApplied(t.Context(), other, worker, "", "digest", preview.Outputs{URL: "http://b.localhost/", WorkerName: "api"}))
	outputs, err := s.OutputsOf(t.Context(), []string{first, second})
	must(t, err)
	wanted := map[string]preview.Outputs{
		second: {URL: "http://b.localhost/", Workers: []preview.WorkerURL{{Name: "api", URL: "http://b.localhost/"}, {Name: "admin", URL: "http://a-admin.localhost/"}}},
		first:  {DatabaseName: "db", URL: "http://a.localhost/"},
	}
	if diff := cmp.Diff(wanted, outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestQueueAndProjectByFullName(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	ids := []string{want(t, s, previewWish(p, 1)), want(t, s, previewWish(p, 2)), want(t, s, previewWish(p, 3))}
	for i, id := range ids {
		lease, _ := hold(t, s, id)
		place, err := s.Admit(t.Context(), lease, 1)
		must(t, err)
		if place != i {
			t.Fatalf("place %d of pull request %d", place, i+1)
		}
	}
	queue, err := s.Queue(t.Context(), p.ID)
	must(t, err)
	if diff := cmp.Diff(map[string]int{ids[1]: 1, ids[2]: 2}, queue); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	found, err := s.ProjectByFullName(t.Context(), "Octo-Org", "SAMPLE")
	must(t, err)
	if found.ID != p.ID {
		t.Errorf("found %s, want %s", found.ID, p.ID)
	}
	if _, err := s.ProjectByFullName(t.Context(), "octo-org", "nothing"); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("an unknown name: %v", err)
	}
}
