package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

const leaseTime = time.Minute

func acquire(t *testing.T, s *store.Store, id string) (preview.Lease, preview.Environment) {
	t.Helper()
	l, e, err := s.Acquire(t.Context(), id, leaseTime)
	if err != nil {
		t.Fatal(err)
	}
	return l, e
}

func release(t *testing.T, s *store.Store, l preview.Lease) {
	t.Helper()
	if err := s.Release(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// expire makes a lease run out, as if its server had died.
func expire(t *testing.T, s *store.Store, id string) {
	t.Helper()
	if _, err := s.Pool().Exec(t.Context(), `UPDATE environments SET lease_until = now() - interval '1 second' WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
}

func TestLeaseIsExclusive(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	id := want(t, s, previewWish(storetest.Project(t, s, 1), 7))
	leases := make(chan preview.Lease, 8)
	var group sync.WaitGroup
	for range cap(leases) {
		group.Go(func() {
			l, _, err := s.Acquire(t.Context(), id, leaseTime)
			switch {
			case err == nil:
				leases <- l
			case !errors.Is(err, preview.ErrLeased):
				t.Error(err)
			}
		})
	}
	group.Wait()
	close(leases)
	var got []preview.Lease
	for l := range leases {
		got = append(got, l)
	}
	if len(got) != 1 {
		t.Fatalf("%d of %d got the lease", len(got), cap(leases))
	}
	release(t, s, got[0])
	l, e := acquire(t, s, id)
	if e.ID != id || e.Wanted != 1 || l.EnvironmentID != id {
		t.Errorf("leased %+v as %+v", e, l)
	}
	if _, _, err := s.Acquire(t.Context(), uuid.NewString(), leaseTime); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("lease of nothing: %v", err)
	}
}

// A lease that ran out still counts until somebody takes it over; from then on every write of its
// first holder fails and changes nothing.
func TestLostLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	id := want(t, s, previewWish(p, 7))
	lost, e := acquire(t, s, id)
	expire(t, s, id)
	if _, err := s.Renew(t.Context(), lost, leaseTime); err != nil {
		t.Errorf("a late renewal that nobody forestalled: %v", err)
	}
	expire(t, s, id)
	holder, _ := acquire(t, s, id)
	if err := s.RecordIntent(t.Context(), holder, preview.Key{Kind: preview.KindDatabase}, e.Name, ""); err != nil {
		t.Fatal(err)
	}
	c := preview.Command{Key: "comment:1", ProjectID: p.ID, PR: e.PR, CommentID: 1, Verb: preview.VerbDestroy, Actor: "octo-lead", CreatedAt: second(1)}
	if err := s.Command(t.Context(), c, previewWish(p, e.PR)); err != nil {
		t.Fatal(err)
	}
	before := environment(t, s, id)

	e.State, e.GoodSHA = preview.StateActive, "stale"
	ctx := t.Context()
	writes := map[string]func() error{
		"renew":   func() error { _, err := s.Renew(ctx, lost, leaseTime); return err },
		"release": func() error { return s.Release(ctx, lost) },
		"save":    func() error { return s.SaveEnvironment(ctx, lost, e) },
		"admit":   func() error { _, err := s.Admit(ctx, lost, 15); return err },
		"intent":  func() error { return s.RecordIntent(ctx, lost, preview.Key{Kind: preview.KindWorker}, e.Name, "") },
		"applied": func() error {
			return s.RecordApplied(ctx, lost, preview.Key{Kind: preview.KindDatabase}, "", "stale", preview.Outputs{})
		},
		"published":      func() error { return s.SavePublished(ctx, lost, []byte("{}"), []byte(`{"checkRunId": 1}`)) },
		"finish command": func() error { return s.FinishCommand(ctx, lost, e, c, preview.CommandDone) },
	}
	for name, write := range writes {
		if err := write(); !errors.Is(err, preview.ErrLeaseLost) {
			t.Errorf("%s: %v, want lease lost", name, err)
		}
	}
	// These tell nothing, and do nothing.
	if err := s.Forget(ctx, lost, preview.Key{Kind: preview.KindDatabase}, ""); err != nil {
		t.Errorf("forget: %v", err)
	}
	if err := s.Leave(ctx, lost); err != nil {
		t.Errorf("leave: %v", err)
	}
	if diff := cmp.Diff(before, environment(t, s, id)); diff != "" {
		t.Errorf("a lost lease changed the environment (-want +got):\n%s", diff)
	}
	ledger, err := s.Ledger(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]preview.LedgerEntry{{Kind: preview.KindDatabase, Name: e.Name}}, ledger); diff != "" {
		t.Errorf("a lost lease changed the ledger (-want +got):\n%s", diff)
	}
	if _, err := s.Renew(ctx, holder, leaseTime); err != nil {
		t.Errorf("the holder's own lease: %v", err)
	}
	if open := scalar[int](t, s, `SELECT count(*) FROM commands WHERE done_at IS NULL`); open != 1 {
		t.Errorf("%d commands are open: a lost lease finished one", open)
	}
}

// The fence: a pass learns of a newer wish when it renews.
func TestRenewTellsTheNewestWish(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	w := previewWish(storetest.Project(t, s, 1), 7)
	id := want(t, s, w)
	l, e := acquire(t, s, id)
	for i := range 3 {
		wanted, err := s.Renew(t.Context(), l, leaseTime)
		if err != nil || wanted != e.Wanted+int64(i) {
			t.Errorf("renewal %d: wanted %d, %v", i, wanted, err)
		}
		want(t, s, w)
	}
}

// What a pass saves must not undo what events said meanwhile.
func TestSaveEnvironmentLeavesEventsAlone(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	w := preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentDev, Name: preview.CoreName(p.Hash, preview.EnvironmentDev),
		Branch: "feature/a", SHA: "a", PushedAt: second(1)}
	id := want(t, s, w)
	l, e := acquire(t, s, id)
	w.Branch, w.SHA, w.PushedAt = "feature/b", "b", second(2)
	want(t, s, w)

	saved := e
	saved.State, saved.Held, saved.Rebuild, saved.ResetDatabase, saved.Closed = preview.StateError, true, true, true, true
	saved.ExpiresAt, saved.FailingSince, saved.NextPassAt = second(3).Local(), second(4).Local(), second(5).Local()
	saved.ExpiredSHA, saved.GoodSHA, saved.HeadSHA, saved.Message, saved.Attempts = "x", "y", "z", "why", 3
	saved.ApprovedSHA = "w"
	saved.Problems = []preview.Problem{{Path: "a.ts", Line: 1, Column: 2, Message: "m", Hint: "h"}}
	if err := s.SaveEnvironment(t.Context(), l, saved); err != nil {
		t.Fatal(err)
	}
	wanted := saved
	wanted.Branch, wanted.SHA, wanted.Wanted = "feature/b", "b", 2
	got := environment(t, s, id)
	if diff := cmp.Diff(wanted, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// queue is a project with one place for its previews.
type queue struct {
	t *testing.T
	s *store.Store
	p preview.Project
}

// admit asks for a place as a pass over the pull request's preview does, and returns its position.
func (q queue) admit(pr int) int {
	q.t.Helper()
	l, _ := acquire(q.t, q.s, want(q.t, q.s, previewWish(q.p, pr)))
	defer release(q.t, q.s, l)
	position, err := q.s.Admit(q.t.Context(), l, 1)
	if err != nil {
		q.t.Fatal(err)
	}
	return position
}

// leave ends the pull request's preview.
func (q queue) leave(pr int) {
	q.t.Helper()
	l, e := acquire(q.t, q.s, want(q.t, q.s, previewWish(q.p, pr)))
	defer release(q.t, q.s, l)
	if err := q.s.Leave(q.t.Context(), l); err != nil {
		q.t.Fatal(err)
	}
	e.State, e.Closed = preview.StateArchived, true
	if err := q.s.SaveEnvironment(q.t.Context(), l, e); err != nil {
		q.t.Fatal(err)
	}
}

// behind lists the pull requests whose previews wait for a pass, after all were up to date and fn ran.
func (q queue) behind(fn func()) []int {
	q.t.Helper()
	if _, err := q.s.Pool().Exec(q.t.Context(), `UPDATE environments SET observed = wanted, armed_by = NULL`); err != nil {
		q.t.Fatal(err)
	}
	fn()
	list, err := q.s.Environments(q.t.Context(), q.p.ID)
	if err != nil {
		q.t.Fatal(err)
	}
	var prs []int
	for _, e := range list {
		if e.Wanted > e.Observed {
			prs = append(prs, e.PR)
		}
	}
	return prs
}

func TestQueueIsFair(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	q := queue{t, s, storetest.Project(t, s, 1)}
	if got := q.admit(1); got != 0 {
		t.Fatalf("the first is number %d", got)
	}
	for i, pr := range []int{2, 3, 4} {
		if got := q.admit(pr); got != i+1 {
			t.Errorf("pull request %d is number %d, want %d", pr, got, i+1)
		}
	}
	if got := q.admit(1); got != 0 {
		t.Errorf("who has a place keeps it, and is not number %d", got)
	}
	woken := q.behind(func() { q.leave(1) })
	if diff := cmp.Diff([]int{1, 2, 3, 4}, woken); diff != "" { // 1 by its own event
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	// Whoever comes first, the oldest gets the place.
	for _, step := range [][2]int{{4, 3}, {3, 2}, {2, 0}, {3, 1}, {4, 2}} {
		if got := q.admit(step[0]); got != step[1] {
			t.Errorf("pull request %d is number %d, want %d", step[0], got, step[1])
		}
	}
	// One that gives up its place in the queue wakes those behind it, to be told their new number.
	if diff := cmp.Diff([]int{3, 4}, q.behind(func() { q.leave(3) })); diff != "" {
		t.Errorf("woken by one that left the queue (-want +got):\n%s", diff)
	}
	if got := q.admit(4); got != 1 {
		t.Errorf("pull request 4 is number %d, want 1", got)
	}
	// Another project has its own places.
	other := queue{t, s, storetest.Project(t, s, 2)}
	if got := other.admit(1); got != 0 {
		t.Errorf("in another project it is number %d", got)
	}
}

// However many passes ask at once, no more get a place than there are.
func TestAdmitAtOnce(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	const previews, limit = 12, 5
	var placed atomic.Int32
	var group sync.WaitGroup
	for pr := 1; pr <= previews; pr++ {
		l, _ := acquire(t, s, want(t, s, previewWish(p, pr)))
		group.Go(func() {
			switch position, err := s.Admit(t.Context(), l, limit); {
			case err != nil:
				t.Error(err)
			case position == 0:
				placed.Add(1)
			case position > previews-limit:
				t.Errorf("number %d of %d that wait", position, previews-limit)
			}
		})
	}
	group.Wait()
	if taken := scalar[int](t, s, `SELECT count(*) FROM environments WHERE admitted_at IS NOT NULL`); taken != limit || int(placed.Load()) != limit {
		t.Errorf("%d have a place, and %d were told so, of %d", taken, placed.Load(), limit)
	}
	if waiting := scalar[int](t, s, `SELECT count(*) FROM environments WHERE queued_at IS NOT NULL AND admitted_at IS NULL`); waiting != previews-limit {
		t.Errorf("%d wait of %d", waiting, previews-limit)
	}
}

func TestWantDue(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	next := map[int]time.Time{1: time.Now().Add(-time.Second), 2: time.Now().Add(time.Hour), 3: {}}
	for pr, at := range next {
		l, e := acquire(t, s, want(t, s, previewWish(p, pr)))
		e.NextPassAt = at
		if err := s.SaveEnvironment(t.Context(), l, e); err != nil {
			t.Fatal(err)
		}
		release(t, s, l)
	}
	q := queue{t, s, p}
	woken := q.behind(func() {
		if n, err := s.WantDue(t.Context()); err != nil || n != 1 {
			t.Errorf("%d due, %v", n, err)
		}
	})
	if diff := cmp.Diff([]int{1}, woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if n, err := s.WantDue(t.Context()); err != nil || n != 0 {
		t.Errorf("a time is due once; %d again, %v", n, err)
	}
	if jobs := scalar[int](t, s, `SELECT count(*) FROM environments e JOIN river_job j ON j.id = e.armed_by WHERE e.wanted > e.observed`); jobs != 1 {
		t.Errorf("%d jobs for what is due", jobs)
	}
	// Two sweeps at once wake each one once.
	const many = 40
	for pr := range many {
		want(t, s, previewWish(p, 100+pr))
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE environments SET next_pass_at = now() WHERE pr >= 100`); err != nil {
		t.Fatal(err)
	}
	total := make(chan int, 4)
	var group sync.WaitGroup
	for range cap(total) {
		group.Go(func() {
			n, err := s.WantDue(t.Context())
			if err != nil {
				t.Error(err)
			}
			total <- n
		})
	}
	group.Wait()
	close(total)
	sum := 0
	for n := range total {
		sum += n
	}
	if sum != many {
		t.Errorf("%d woken of %d, by sweeps beside each other", sum, many)
	}
}

// After a restart whatever should be up is looked at, and nothing else.
func TestWantServing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	states := []preview.State{preview.StateQueued, preview.StateProvisioning, preview.StateActive, preview.StateUpdating, preview.StateError, preview.StateArchived}
	for i, state := range states {
		l, e := acquire(t, s, want(t, s, previewWish(p, i+1)))
		e.State = state
		if err := s.SaveEnvironment(t.Context(), l, e); err != nil {
			t.Fatal(err)
		}
		release(t, s, l)
	}
	woken := queue{t, s, p}.behind(func() {
		if err := s.WantServing(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	var got []string
	for _, pr := range woken {
		got = append(got, string(states[pr-1]))
	}
	if diff := cmp.Diff("[provisioning active updating error]", fmt.Sprint(got)); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}
