package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// deliveries is the store's part that a scheduler uses.
type deliveries interface {
	InsertDeliveries(ctx context.Context, list []store.Delivery) (stored int, err error)
}

// running is a scheduler that works until the test ends.
func running(tb testing.TB, s deliveries) *inbox.Scheduler {
	tb.Helper()
	scheduler := inbox.NewScheduler(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		scheduler.Run(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
	return scheduler
}

// gate is a store whose transactions wait until it is opened. It refuses deliveries named "bad".
type gate struct {
	open    chan struct{} // closed: opened
	entered chan struct{} // gets a value for each transaction that began
	down    error

	mu      sync.Mutex
	batches [][]string // committed delivery ids
}

func newGate() *gate { return &gate{open: make(chan struct{}), entered: make(chan struct{}, 1000)} }

func (g *gate) InsertDeliveries(ctx context.Context, list []store.Delivery) (int, error) {
	g.entered <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if g.down != nil {
		return 0, g.down
	}
	var ids []string
	for _, d := range list {
		if d.GUID == "bad" {
			return 0, fmt.Errorf("insert: %w", &pgconn.PgError{Code: "23514"})
		}
		ids = append(ids, d.GUID)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batches = append(g.batches, ids)
	return len(ids), nil
}

func dispatch(id string) githubapp.Dispatch {
	return githubapp.Dispatch{EventType: "push", DeliveryID: id, Payload: []byte(`{"repository":{"id":2}}`)}
}

// schedule starts one request for each id and returns where their answers will come.
func schedule(ctx context.Context, s *inbox.Scheduler, ids ...string) map[string]chan error {
	answers := map[string]chan error{}
	for _, id := range ids {
		answer := make(chan error, 1)
		answers[id] = answer
		go func() { answer <- s.Schedule(ctx, dispatch(id)) }()
	}
	return answers
}

// await returns an answer, or fails the test when none comes.
func await(t *testing.T, answer <-chan error) error {
	t.Helper()
	select {
	case err := <-answer:
		return err
	case <-time.After(time.Minute):
		t.Fatal("no answer")
		return nil
	}
}

// Deliveries that come while a transaction runs are committed together by the next ones, and a row
// that the database refuses fails alone.
func TestBatches(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := running(t, g)
	first := schedule(t.Context(), s, "first")
	<-g.entered
	ids := []string{"bad"}
	for i := range 40 {
		ids = append(ids, fmt.Sprint(i))
	}
	answers := schedule(t.Context(), s, ids...)
	close(g.open)
	if err := await(t, first["first"]); err != nil {
		t.Errorf("first: %v", err)
	}
	for id, answer := range answers {
		if err := await(t, answer); (err != nil) != (id == "bad") {
			t.Errorf("%s: %v", id, err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	got := slices.Sorted(slices.Values(slices.Concat(g.batches...)))
	if diff := cmp.Diff(slices.Sorted(slices.Values(append(ids[1:], "first"))), got); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
}

// A trouble of the whole database is not searched for in the rows.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.down = preview.Transient(errors.New("connection refused"))
	close(g.open)
	answers := schedule(t.Context(), running(t, g), "a", "b", "c", "d")
	for id, answer := range answers {
		if err := await(t, answer); !errors.Is(err, g.down) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if n := len(g.entered); n > len(answers) {
		t.Errorf("%d transactions for %d deliveries", n, len(answers))
	}
}

// A request that goes away does not take its batch along, nor the delivery.
func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := running(t, g)
	gone, leave := context.WithCancel(t.Context())
	left := schedule(gone, s, "left")
	<-g.entered
	leave()
	if err := await(t, left["left"]); !errors.Is(err, context.Canceled) {
		t.Errorf("the request that left got %v", err)
	}
	stayed := schedule(t.Context(), s, "stayed")
	close(g.open)
	if err := await(t, stayed["stayed"]); err != nil {
		t.Errorf("the request that stayed got %v", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if got := slices.Concat(g.batches...); !slices.Contains(got, "left") {
		t.Errorf("committed %v", got)
	}
}

// While the database stalls requests wait, until too many do: those hear it at once.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		s := running(t, g)
		h, err := inbox.NewHandler(s, inbox.Options{Secrets: []preview.Secret{newSecret}})
		if err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		defer leave()
		var full atomic.Bool
		var waiting sync.WaitGroup
		for i := 0; !full.Load(); i++ {
			if i > 100_000 {
				t.Fatal("the queue has no end")
			}
			waiting.Go(func() {
				if errors.Is(s.Schedule(gone, dispatch(fmt.Sprint(i))), githubapp.ErrCapacityExceeded) {
					full.Store(true)
				}
			})
			synctest.Wait()
		}
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, request(t, `{"repository":{"id":2}}`))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("refused after %s", took)
		}
		leave()
		close(g.open)
		waiting.Wait()
	})
}

// The end of Run waits for what is queued; what comes later is refused.
func TestStop(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := inbox.NewScheduler(g)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	answers := schedule(t.Context(), s, "being stored")
	<-g.entered
	queued := s.Queued() // none: the batcher took it
	later := schedule(t.Context(), s, "queued")
	for deadline := time.Now().Add(time.Minute); s.Queued() == queued; {
		if time.Now().After(deadline) {
			t.Fatal("not queued")
		}
	}
	stop()
	close(g.open)
	<-ended
	if err := errors.Join(await(t, answers["being stored"]), await(t, later["queued"])); err != nil {
		t.Error(err)
	}
	if err := s.Schedule(t.Context(), dispatch("late")); err == nil {
		t.Error("a delivery after the end was accepted")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if diff := cmp.Diff([][]string{{"being stored"}, {"queued"}}, g.batches); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
}

// On a real database, under load with doubled ids, a stop in the middle loses nothing that was
// acknowledged, and everything stored is counted for its pull request and armed once.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	s := inbox.NewScheduler(db)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	var mu sync.Mutex
	acked := map[string]bool{}
	var requests sync.WaitGroup
	const goroutines, half = 64, 1000
	for g := range goroutines {
		requests.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", g/2, i) // every id is sent twice, about at the same time
				err := s.Schedule(t.Context(), githubapp.Dispatch{EventType: "pull_request", DeliveryID: id,
					Payload: fmt.Appendf(nil, `{"pull_request":{"number":%d},"repository":{"id":%d}}`, 1+i%7, 1+g/2%5)})
				if err != nil {
					return
				}
				mu.Lock()
				acked[id] = true
				if len(acked) == half {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	requests.Wait()
	<-ended
	ids := make([]string, 0, len(acked))
	for id := range acked {
		ids = append(ids, id)
	}
	var stored, wrong int
	if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM deliveries WHERE guid = ANY($1)`, ids).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if stored != len(ids) || stored < half {
		t.Errorf("%d of %d acknowledged deliveries are stored", stored, len(ids))
	}
	err := db.Pool().QueryRow(t.Context(), `
		SELECT count(*) FROM (SELECT repo_id, pr, count(*) AS n FROM deliveries GROUP BY repo_id, pr) d
		FULL JOIN pr_work w USING (repo_id, pr) LEFT JOIN river_job j ON j.id = w.armed_by AND j.state = 'available'
		WHERE n IS DISTINCT FROM wanted OR j.id IS NULL OR (SELECT count(*) FROM river_job) <> (SELECT count(*) FROM pr_work)`).Scan(&wrong)
	if err != nil {
		t.Fatal(err)
	}
	if wrong != 0 {
		t.Errorf("%d pull requests are counted or armed wrongly", wrong)
	}
}
