package replicas_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/replicas"
	"github.com/flaresmith/flaresmith/app/store"
)

const account = "neon 1a2b3c4d"

// database has the tables, and gives a pool a replica.
func database(t *testing.T) func() *pgxpool.Pool {
	t.Helper()
	url := embeddedtest.Database(t)
	if err := store.Migrate(t.Context(), preview.Secret(url)); err != nil {
		t.Fatal(err)
	}
	return func() *pgxpool.Pool {
		pool, err := pgxpool.New(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
}

// TestBudget has two replicas spend of one budget at the same moment: together they get its burst at once, and the
// rest as it comes back.
func TestBudget(t *testing.T) {
	t.Parallel()
	pool := database(t)
	share := []outbound.Share{{Budget: "requests", Units: 1, Burst: 10, PerSecond: 20}}
	began := time.Now()
	var mu sync.Mutex
	var late []time.Duration // how long after the beginning each unit is there
	var group sync.WaitGroup
	for range 2 {
		calls := replicas.New(pool())
		for range 15 {
			group.Go(func() {
				spent, err := calls.Spend(t.Context(), account, share)
				if err != nil || !spent.OpenUntil.IsZero() {
					t.Error(err, spent)
				}
				mu.Lock()
				defer mu.Unlock()
				late = append(late, spent.At.Sub(began))
			})
		}
	}
	group.Wait()
	took := time.Since(began)
	var now int
	var last time.Duration
	for _, d := range late {
		if d <= took {
			now++
		}
		last = max(last, d)
	}
	// Thirty units of which ten are there and twenty come back in a second.
	if most := 10 + int(took.Seconds()*20) + 1; now < 10 || now > most {
		t.Errorf("%d units at once, want 10 to %d", now, most)
	}
	if last < 950*time.Millisecond || last > 1100*time.Millisecond+took {
		t.Errorf("the last unit is there after %s, want about 1s", last)
	}
}

// TestBudgetReturned gives back what was not used.
func TestBudgetReturned(t *testing.T) {
	t.Parallel()
	calls := replicas.New(database(t)())
	share := []outbound.Share{{Budget: "points", Units: 5, Burst: 5, PerSecond: 0.01}, {Budget: "content", Units: 1, Burst: 9, PerSecond: 0.01}}
	for range 3 {
		spent, err := calls.Spend(t.Context(), account, share)
		if err != nil || time.Until(spent.At) > 0 {
			t.Fatal(err, spent)
		}
		if spent, err = calls.Spend(t.Context(), account, share); err != nil || time.Until(spent.At) < time.Minute || spent.Budget != "points" {
			t.Fatal(err, spent)
		}
		for range 2 {
			if err := calls.Return(t.Context(), account, share); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestState is what a replica shows of an account that only others called.
func TestState(t *testing.T) {
	t.Parallel()
	pool := database(t)
	a, b := replicas.New(pool()), replicas.New(pool())
	state := func() outbound.SharedState {
		t.Helper()
		state, err := b.State(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	if s := state(); len(s.Left) != 0 || !s.OpenUntil.IsZero() {
		t.Errorf("of nothing: %+v", s)
	}
	if _, err := a.Spend(t.Context(), account, []outbound.Share{{Budget: "requests", Units: 7, Burst: 10, PerSecond: 0.001}}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.Left["requests"] < 3 || s.Left["requests"] > 3.1 || !s.OpenUntil.IsZero() {
		t.Errorf("after it was spent of: %+v", s)
	}
	until, err := a.Failed(t.Context(), account, outbound.Breaker{Failures: 1, Window: time.Minute, OpenFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if s := state(); s.OpenUntil.Sub(until).Abs() > time.Minute || time.Until(s.OpenUntil) < 30*time.Minute {
		t.Errorf("left alone: %+v, want until %s", s, until)
	}
}

// TestBreaker has two replicas find out together that an account is broken, and one of them that it works again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	pool := database(t)
	sql := pool()
	a, b := replicas.New(sql), replicas.New(pool())
	breaker := outbound.Breaker{Failures: 10, Window: time.Hour, OpenFor: time.Hour}
	over := func() { // the time for which it is left alone
		t.Helper()
		if _, err := sql.Exec(t.Context(), `UPDATE outside_breakers SET open_until = clock_timestamp()`); err != nil {
			t.Fatal(err)
		}
	}
	fail := func(c *replicas.Calls) time.Time {
		t.Helper()
		until, err := c.Failed(t.Context(), account, breaker)
		if err != nil {
			t.Fatal(err)
		}
		return until
	}
	try := func(c *replicas.Calls, want outbound.Turn) {
		t.Helper()
		if turn, err := c.Try(t.Context(), account, time.Hour); err != nil || turn != want {
			t.Fatalf("turn %d, %v, want %d", turn, err, want)
		}
	}
	for i := range 9 {
		if until := fail([]*replicas.Calls{a, b}[i%2]); !until.IsZero() {
			t.Fatalf("left alone after %d failures", i+1)
		}
	}
	try(a, outbound.TurnClosed)
	if fail(b).IsZero() {
		t.Fatal("ten failures of two replicas change nothing")
	}
	spent, err := a.Spend(t.Context(), account, []outbound.Share{{Budget: "requests", Units: 1, Burst: 1, PerSecond: 0.001}})
	if err != nil || time.Until(spent.OpenUntil) <= 0 {
		t.Fatal(err, spent)
	}
	try(a, outbound.TurnOpen)
	over()
	if spent, err = a.Spend(t.Context(), account, []outbound.Share{{Budget: "requests", Units: 1, Burst: 1, PerSecond: 0.001}}); err != nil || time.Until(spent.At) > 0 {
		t.Fatalf("something was taken while the account was left alone: %v %v", err, spent)
	}
	try(a, outbound.TurnOurs)
	try(b, outbound.TurnOthers)
	if fail(a).IsZero() {
		t.Fatal("the call that tried failed, and the account is called")
	}
	try(b, outbound.TurnOpen)
	over()
	try(b, outbound.TurnOurs)
	if err := b.Tried(t.Context(), account, false); err != nil { // it proved nothing
		t.Fatal(err)
	}
	try(a, outbound.TurnOurs)
	if err := a.Tried(t.Context(), account, true); err != nil {
		t.Fatal(err)
	}
	try(b, outbound.TurnClosed)
	if until := fail(a); !until.IsZero() {
		t.Fatal("failures of before count still")
	}
}

// TestTwoReplicas calls a server that fails and recovers over two transports, as two processes do.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	pool := database(t)
	// Twelve calls have to end while the account is left alone: where they take longer, it is tried with more time.
	openFor := 5 * time.Second
	for !leaveAlone(t, pool, openFor) {
		openFor *= 4
	}
}

// leaveAlone reports whether the calls that are refused were made in time.
func leaveAlone(t *testing.T, pool func() *pgxpool.Pool, openFor time.Duration) bool {
	t.Helper()
	var broken atomic.Bool
	var calls, failures atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if broken.Load() {
			failures.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	policy := outbound.Policy{Provider: "neon", Timeout: time.Minute, ShareTimeout: time.Minute, Retry: outbound.Retry{Attempts: 1}, Breaker: outbound.Breaker{Failures: 10, Window: time.Minute, OpenFor: openFor},
		Budgets: []outbound.Budget{{Name: "requests", Limit: 1000, Window: time.Minute, Burst: 400}}}
	var clients []*http.Client
	for range 2 {
		clients = append(clients, &http.Client{Transport: outbound.New(policy, nil, outbound.Options{Shared: replicas.New(pool())}).For(fmt.Sprint("x ", openFor))})
	}
	get := func(c *http.Client) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := get(clients[0]); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	broken.Store(true)
	var refused [2]bool
	for i := range 12 { // each replica alone would let ten through
		var open *outbound.OpenError
		refused[i%2] = errors.As(get(clients[i%2]), &open)
	}
	if time.Since(began) > openFor {
		return false
	}
	if refused != [2]bool{true, true} {
		t.Errorf("who leaves the account alone: %v", refused)
	}
	if n := failures.Load(); n != 10 {
		t.Errorf("%d calls failed until the account was left alone, want 10", n)
	}
	time.Sleep(openFor + 200*time.Millisecond)
	broken.Store(false)
	before := calls.Load()
	var group sync.WaitGroup
	for _, c := range clients {
		for range 5 {
			group.Go(func() {
				if err := get(c); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if n := calls.Load() - before; n != 10 {
		t.Errorf("%d calls after it works again, want 10", n)
	}
	return true
}

// TestWithoutDatabase has each replica go by what it knows itself.
func TestWithoutDatabase(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	p := database(t)()
	client := &http.Client{Transport: outbound.New(outbound.Policy{Provider: "neon", Budgets: []outbound.Budget{{Name: "requests", Limit: 1000, Window: time.Minute, Burst: 400}}},
		nil, outbound.Options{Shared: replicas.New(p)}).For("x")}
	p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 20 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
}
