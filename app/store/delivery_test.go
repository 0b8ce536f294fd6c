package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func delivery(guid string, repo int64, pr int) store.Delivery {
	return store.Delivery{GUID: guid, Event: "pull_request", InstallationID: 1, RepoID: repo, PR: pr, Payload: []byte("{}")}
}

// scalar runs a query that gives one value.
func scalar[T any](t *testing.T, s *store.Store, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := s.Pool().QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const liveDeliverJobs = `SELECT count(*) FROM river_job WHERE kind = 'deliver' AND state IN ('available','pending','retryable','running','scheduled')`

func TestInsertDeliveries(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	tests := []struct {
		name   string
		batch  []store.Delivery
		stored int
		jobs   int64 // live ones afterwards
	}{
		{"empty", nil, 0, 0},
		{"first", []store.Delivery{delivery("a", 1, 7)}, 1, 1},
		{"same guid again", []store.Delivery{delivery("a", 1, 7)}, 0, 1},
		{"same guid for another pull request", []store.Delivery{delivery("a", 1, 8)}, 0, 1},
		{"another for the armed pull request", []store.Delivery{delivery("b", 1, 7)}, 1, 1},
		{"batch with a double inside", []store.Delivery{delivery("c", 2, 7), delivery("d", 1, 7), delivery("c", 2, 7), delivery("e", 2, 0), delivery("a", 1, 7)}, 3, 3},
	}
	for _, tt := range tests { // one after the other: each starts from what the one before left
		stored, err := s.InsertDeliveries(t.Context(), tt.batch)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if stored != tt.stored {
			t.Errorf("%s: stored %d, want %d", tt.name, stored, tt.stored)
		}
		if jobs := scalar[int64](t, s, liveDeliverJobs); jobs != tt.jobs {
			t.Errorf("%s: %d live jobs, want %d", tt.name, jobs, tt.jobs)
		}
	}
	page, err := s.PendingDeliveries(t.Context(), 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	var guids []string
	for _, d := range page.Deliveries {
		guids = append(guids, d.GUID)
	}
	if diff := cmp.Diff([]string{"a", "b", "d"}, guids); diff != "" {
		t.Errorf("pending deliveries, in order (-want +got):\n%s", diff)
	}
	if page.Wanted != 3 || page.More {
		t.Errorf("wanted = %d, more = %t; want 3 and no more", page.Wanted, page.More)
	}
	if _, err := s.PendingDeliveries(t.Context(), 9, 9); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("error of an unknown pull request = %v", err)
	}
}

func TestPendingDeliveriesPage(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	large := delivery("large", 1, 1)
	large.Payload = make([]byte, 33<<20)
	small := delivery("small", 1, 1)
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{large, small}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"large", "small"} {
		page, err := s.PendingDeliveries(t.Context(), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Deliveries) != 1 || page.Deliveries[0].GUID != want || page.More != (want == "large") {
			t.Fatalf("page holds %d deliveries, more %t; want only %q", len(page.Deliveries), page.More, want)
		}
		if err := s.MarkHandled(t.Context(), 1, 1, []store.Handled{{GUID: want, Seq: page.Deliveries[0].Seq, Error: "why " + want}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := scalar[string](t, s, `SELECT error FROM deliveries WHERE guid = 'small'`); got != "why small" {
		t.Errorf("error = %q", got)
	}
}

// deliverWorker is the smallest worker that obeys the counter's rules.
type deliverWorker struct {
	river.WorkerDefaults[store.DeliverArgs]
	store  *store.Store
	before func() // called between the pass and its end, if set

	mu      sync.Mutex
	handled map[string]int
	busy    map[store.DeliverArgs]bool
	overlap bool
}

func (w *deliverWorker) Work(ctx context.Context, job *river.Job[store.DeliverArgs]) error {
	for {
		page, err := w.store.PendingDeliveries(ctx, job.Args.RepoID, job.Args.PR)
		if err != nil {
			return err
		}
		w.enter(job.Args, true)
		var done []store.Handled
		w.mu.Lock()
		for _, d := range page.Deliveries {
			w.handled[d.GUID]++
			done = append(done, store.Handled{GUID: d.GUID, Seq: d.Seq})
		}
		w.mu.Unlock()
		if page.More {
			err := w.store.MarkHandled(ctx, job.Args.RepoID, job.Args.PR, done)
			w.enter(job.Args, false)
			if err != nil {
				return err
			}
			continue
		}
		if w.before != nil {
			w.before()
		}
		w.enter(job.Args, false) // the next job may start as soon as this one is committed
		finished, err := w.store.FinishWork(ctx, job, page.Wanted, done)
		if err != nil || finished {
			return err
		}
	}
}

func (w *deliverWorker) enter(key store.DeliverArgs, in bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in && w.busy[key] {
		w.overlap = true
	}
	w.busy[key] = in
}

// startRiver works the inbox queue until the test ends.
func startRiver(t *testing.T, s *store.Store, workers *river.Workers) {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(s.Pool()), &river.Config{
		Logger:            slog.New(slog.DiscardHandler),
		Queues:            map[string]river.QueueConfig{store.QueueInbox: {MaxWorkers: 8}},
		Workers:           workers,
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			t.Errorf("stop river: %v", err)
		}
	})
}

// eventually polls until ok, or fails the test after a generous deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// No wake-up is lost and none is doubled: whatever the interleaving of many inserts with a worker
// that finishes all the time, every delivery is handled once and no row stays behind.
func TestNoLostWakeUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	w := &deliverWorker{store: s, handled: map[string]int{}, busy: map[store.DeliverArgs]bool{}}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	startRiver(t, s, workers)

	const goroutines, each, prs = 16, 200, 5
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1)) // #nosec G404 -- a test's interleaving
			for i := 0; i < each; {
				var batch []store.Delivery
				for n := 1 + random.IntN(1+random.IntN(64)); n > 0 && i < each; n-- {
					batch = append(batch, delivery(fmt.Sprintf("%d-%d", g, i), 1, 1+random.IntN(prs)))
					i++
				}
				if random.IntN(3) == 0 {
					batch = append(batch, batch[random.IntN(len(batch))]) // doubled in itself
				}
				if random.IntN(3) == 0 {
					batch = append(batch, delivery(fmt.Sprintf("%d-%d", random.IntN(goroutines), 0), 1, 1)) // maybe doubled
				}
				if _, err := s.InsertDeliveries(t.Context(), batch); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	eventually(t, "wanted = done everywhere", func() bool {
		return scalar[int64](t, s, `SELECT count(*) FROM pr_work WHERE wanted <> done OR armed_by IS NOT NULL`) == 0
	})
	if n := scalar[int64](t, s, `SELECT count(*) FROM deliveries WHERE handled_at IS NULL`); n != 0 {
		t.Errorf("%d deliveries are not handled", n)
	}
	if n := scalar[int64](t, s, liveDeliverJobs); n != 0 {
		t.Errorf("%d jobs live on", n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.overlap {
		t.Error("two jobs worked for one pull request at the same time")
	}
	if len(w.handled) < goroutines*each {
		t.Errorf("handled %d deliveries, want %d", len(w.handled), goroutines*each)
	}
	for guid, n := range w.handled {
		if n != 1 {
			t.Errorf("delivery %s was handled %d times", guid, n)
		}
	}
}

// The narrowest moment: a delivery that is stored after the last look and before the job's end.
func TestDeliveryBetweenPassAndEnd(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	w := &deliverWorker{store: s, handled: map[string]int{}, busy: map[store.DeliverArgs]bool{}}
	var late int
	w.before = func() { // one job works, so this runs in one goroutine
		if late++; late <= 3 {
			if _, err := s.InsertDeliveries(context.WithoutCancel(t.Context()), []store.Delivery{delivery(fmt.Sprint("late-", late), 1, 1)}); err != nil {
				t.Errorf("insert: %v", err)
			}
		}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	startRiver(t, s, workers)
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{delivery("first", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "four deliveries handled and nothing armed", func() bool {
		return scalar[int64](t, s, `SELECT count(*) FROM deliveries WHERE handled_at IS NOT NULL`) == 4 &&
			scalar[int64](t, s, `SELECT count(*) FROM pr_work WHERE wanted = 4 AND done = 4 AND armed_by IS NULL`) == 1
	})
	if jobs := scalar[int64](t, s, `SELECT count(*) FROM river_job`); jobs != 1 {
		t.Errorf("%d jobs did the work of one", jobs)
	}
}

func TestRearmStaleWork(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{delivery("a", 1, 1), delivery("b", 1, 2)}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.RearmStaleWork(t.Context()); err != nil || n != 0 {
		t.Fatalf("re-armed %d, %v, while both have live jobs", n, err)
	}
	kill := func(set string) {
		if _, err := s.Pool().Exec(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	kill(`UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE (args->>'pr')::int = 1`)
	kill(`DELETE FROM river_job WHERE (args->>'pr')::int = 2`)
	if n, err := s.RearmStaleWork(t.Context()); err != nil || n != 2 {
		t.Fatalf("re-armed %d, %v; want 2", n, err)
	}
	if n := scalar[int64](t, s, `SELECT count(*) FROM pr_work w JOIN river_job j ON j.id = w.armed_by WHERE j.state = 'available'`); n != 2 {
		t.Errorf("%d rows have a live job, want 2", n)
	}
	if n, err := s.RearmStaleWork(t.Context()); err != nil || n != 0 {
		t.Errorf("second sweep re-armed %d, %v", n, err)
	}
	kill(`UPDATE river_job SET state = 'running', attempted_at = now() - interval '5 seconds' WHERE state = 'available'`)
	if n, err := s.RearmStaleWork(t.Context()); err != nil || n != 0 {
		t.Errorf("re-armed %d, %v, while both are at work", n, err)
	}
	kill(`UPDATE river_job SET attempted_at = now() - interval '1 minute' WHERE state = 'running'`)
	if n, err := s.RearmStaleWork(t.Context()); err != nil || n != 2 {
		t.Errorf("re-armed %d, %v, after their server died; want 2", n, err)
	}
}

// A job that the sweep replaced must not answer for the new one.
func TestFinishWorkOfReplacedJob(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{delivery("a", 1, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE pr_work SET armed_by = -1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w := &deliverWorker{store: s, handled: map[string]int{}, busy: map[store.DeliverArgs]bool{}}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	startRiver(t, s, workers)
	eventually(t, "the replaced job is completed", func() bool {
		return scalar[int64](t, s, `SELECT count(*) FROM river_job WHERE state = 'completed'`) == 1
	})
	if done := scalar[int64](t, s, `SELECT done FROM pr_work`); done != 0 {
		t.Errorf("done = %d: it finished in the other job's name", done)
	}
	if armed := scalar[int64](t, s, `SELECT armed_by FROM pr_work`); armed != -1 {
		t.Errorf("armed_by = %d", armed)
	}
}
