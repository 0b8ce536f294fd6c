package store_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

const liveReconcileJobs = `SELECT count(*) FROM river_job WHERE kind = 'reconcile' AND state = 'available'`

func second(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

func previewWish(p preview.Project, pr int) preview.Wish {
	return preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentPreview, Name: preview.PreviewName(p.Hash, pr), PR: pr}
}

func want(t *testing.T, s *store.Store, w preview.Wish) string {
	t.Helper()
	id, err := s.Want(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func environment(t *testing.T, s *store.Store, id string) preview.Environment {
	t.Helper()
	e, err := s.Environment(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWant(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p, q := storetest.Project(t, s, 1), storetest.Project(t, s, 2)
	id := want(t, s, previewWish(p, 7))
	if again := want(t, s, previewWish(p, 7)); again != id {
		t.Errorf("a second wish made another environment")
	}
	if other := want(t, s, previewWish(q, 7)); other == id {
		t.Errorf("two repositories share the environment of pull request 7")
	}
	got := environment(t, s, id)
	wanted := preview.Environment{ID: id, ProjectID: p.ID, Kind: preview.EnvironmentPreview, Name: preview.PreviewName(p.Hash, 7),
		PR: 7, State: preview.StateQueued, Wanted: 2, CreatedAt: got.CreatedAt}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if jobs := scalar[int](t, s, liveReconcileJobs); jobs != 2 {
		t.Errorf("%d live jobs for two environments", jobs)
	}
	if byName, err := s.EnvironmentByName(t.Context(), got.Name); err != nil || byName.ID != id {
		t.Errorf("by name: %v, %v", byName.ID, err)
	}
	list, err := s.Environments(t.Context(), p.ID)
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("environments of the project: %v, %v", list, err)
	}
	if _, err := s.Environment(t.Context(), uuid.NewString()); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("missing environment: %v", err)
	}
	for name, w := range map[string]preview.Wish{
		"no pull request":      {ProjectID: p.ID, Kind: preview.EnvironmentPreview, Name: "preview-x-pr-1"},
		"core with a number":   {ProjectID: p.ID, Kind: preview.EnvironmentDev, Name: "dev-x", PR: 1},
		"unknown kind":         {ProjectID: p.ID, Kind: "qa", Name: "dev-x"},
		"name that can't be":   {ProjectID: p.ID, Kind: preview.EnvironmentDev, Name: `dev-"; DROP`},
		"project that is none": {ProjectID: uuid.NewString(), Kind: preview.EnvironmentDev, Name: "dev-none"},
	} {
		if _, err := s.Want(t.Context(), w); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Events come in any order, doubled, from many connections: the generation counts each, there is
// one job, the newest push and the newest lifecycle win.
func TestWantInAnyOrder(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	const newest = 20
	var wishes []preview.Wish
	for i := 1; i <= newest; i++ {
		core := preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentDev, Name: preview.CoreName(p.Hash, preview.EnvironmentDev),
			Branch: "feature/" + string(rune('a'+i)), SHA: string(rune('a' + i)), PushedAt: second(i)}
		pull := previewWish(p, 7)
		pull.LifecycleAt = second(i)
		wishes = append(wishes, core, core, pull, pull, previewWish(p, 7))
	}
	rand.Shuffle(len(wishes), func(i, j int) { wishes[i], wishes[j] = wishes[j], wishes[i] })
	var group sync.WaitGroup
	for worker := range 5 {
		group.Go(func() {
			for i := worker; i < len(wishes); i += 5 {
				if _, err := s.Want(t.Context(), wishes[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	dev, err := s.EnvironmentByName(t.Context(), preview.CoreName(p.Hash, preview.EnvironmentDev))
	if err != nil {
		t.Fatal(err)
	}
	if dev.Branch != "feature/u" || dev.SHA != "u" || dev.Wanted != 2*newest {
		t.Errorf("dev follows %s at %s, generation %d", dev.Branch, dev.SHA, dev.Wanted)
	}
	pull, err := s.EnvironmentByName(t.Context(), preview.PreviewName(p.Hash, 7))
	if err != nil {
		t.Fatal(err)
	}
	if pull.Wanted != 3*newest {
		t.Errorf("preview's generation %d, want %d", pull.Wanted, 3*newest)
	}
	if at, err := s.LifecycleAt(t.Context(), pull.ID); err != nil || !at.Equal(second(newest)) {
		t.Errorf("lifecycle %v, %v", at, err)
	}
	if jobs := scalar[int](t, s, liveReconcileJobs); jobs != 2 {
		t.Errorf("%d live jobs for two environments", jobs)
	}
	// A wish without a push changes nothing of it.
	want(t, s, preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentDev, Name: dev.Name})
	if e := environment(t, s, dev.ID); e.SHA != dev.SHA || e.Branch != dev.Branch {
		t.Errorf("a wish without a push moved dev to %s", e.SHA)
	}
}

func TestWantNewCheck(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	w := previewWish(storetest.Project(t, s, 1), 7)
	id := want(t, s, w)
	if _, err := s.Pool().Exec(t.Context(), `UPDATE environments SET report = '{"checkRunId": 5, "checkDigest": "d", "commentId": 6}'`); err != nil {
		t.Fatal(err)
	}
	want(t, s, w)
	if report := scalar[string](t, s, `SELECT report::text FROM environments WHERE id = $1`, id); report != `{"commentId": 6, "checkRunId": 5, "checkDigest": "d"}` {
		t.Errorf("report %s", report)
	}
	w.NewCheck = true
	want(t, s, w)
	if report := scalar[string](t, s, `SELECT report::text FROM environments WHERE id = $1`, id); report != `{"newCheck": true, "commentId": 6, "checkRunId": 5, "checkDigest": "d"}` {
		t.Errorf("report %s", report)
	}
}

func TestWantManyAndRearm(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p, q := storetest.Project(t, s, 1), storetest.Project(t, s, 2)
	a, b, gone, other := want(t, s, previewWish(p, 1)), want(t, s, previewWish(p, 2)), want(t, s, previewWish(p, 3)), want(t, s, previewWish(q, 1))
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	// All passes are over; one preview is archived, and b still has its job.
	exec(`UPDATE environments SET observed = wanted, armed_by = NULL WHERE id <> $1`, b)
	exec(`UPDATE environments SET closed = true WHERE id = $1`, gone)
	exec(`DELETE FROM river_job j USING environments e WHERE e.id = $1 AND j.id <> e.armed_by`, b)
	if err := s.WantProject(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	generations := func() map[string]int64 {
		got := map[string]int64{}
		for name, id := range map[string]string{"a": a, "b": b, "gone": gone, "other": other} {
			got[name] = environment(t, s, id).Wanted
		}
		return got
	}
	if diff := cmp.Diff(map[string]int64{"a": 2, "b": 2, "gone": 1, "other": 1}, generations()); diff != "" {
		t.Errorf("after WantProject (-want +got):\n%s", diff)
	}
	if jobs := scalar[int](t, s, liveReconcileJobs); jobs != 2 {
		t.Errorf("%d live jobs, want 2", jobs)
	}
	if err := s.WantInstallation(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"a": 3, "b": 3, "gone": 1, "other": 2}, generations()); diff != "" {
		t.Errorf("after WantInstallation (-want +got):\n%s", diff)
	}
	if jobs := scalar[int](t, s, liveReconcileJobs); jobs != 3 {
		t.Errorf("%d live jobs, want 3", jobs)
	}
	if n, err := s.RearmStaleEnvironments(t.Context()); err != nil || n != 0 {
		t.Errorf("re-armed %d, %v, while all jobs live", n, err)
	}
	exec(`UPDATE environments SET observed = wanted WHERE id = $1`, other) // up to date, and its job dies too
	exec(`UPDATE river_job SET state = 'cancelled', finalized_at = now()`)
	if n, err := s.RearmStaleEnvironments(t.Context()); err != nil || n != 2 {
		t.Errorf("re-armed %d, %v; want 2", n, err)
	}
	if n := scalar[int](t, s, `SELECT count(*) FROM environments e JOIN river_job j ON j.id = e.armed_by WHERE j.state = 'available'`); n != 2 {
		t.Errorf("%d environments have a live job, want 2", n)
	}
	if n := scalar[int](t, s, `SELECT count(*) FROM environments WHERE armed_by IS NOT NULL`); n != 2 {
		t.Errorf("%d environments are armed, want 2", n)
	}
}
