package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

const (
	listRoute    = "GET /app/hook/deliveries"
	payloadRoute = "GET /app/hook/deliveries/{delivery_id}"
)

// sweep is a sweeper on a real database and a stand-in GitHub whose deliveries reach nobody.
type sweep struct {
	*inbox.Sweeper
	t      *testing.T
	github *sim.Server
	store  *store.Store
	seen   *counts
	log    strings.Builder
	ago    atomic.Int64 // how far GitHub's clock is behind
}

func newSweep(t *testing.T) *sweep {
	t.Helper()
	s := &sweep{t: t, store: storetest.New(t), seen: &counts{seen: map[string]int{}}}
	server, err := sim.New(sim.Config{Dir: t.TempDir(), Validate: true,
		Clock: func() time.Time { return time.Now().Add(-time.Duration(s.ago.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	s.github = server
	listener := httptest.NewServer(server)
	server.SetURL(listener.URL)
	server.SetWebhook(sim.Webhook{URL: "http://127.0.0.1:1/", Secret: "x"})
	t.Cleanup(func() {
		for _, v := range server.Violations() {
			t.Errorf("not as GitHub describes it: %+v", v)
		}
		listener.Close()
		_ = server.Close()
	})
	app, err := github.New(github.Config{AppID: 1, PrivateKey: preview.Secret(server.AppKeyPEM()), APIURL: server.APIURL()})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now() // stands still, so that a turn has no end on a slow machine
	s.Sweeper = inbox.NewSweeper(inbox.SweepConfig{Store: s.store, GitHub: app, Scheduler: running(t, s.store), Now: func() time.Time { return start },
		Events: map[string]bool{"ping": false, "installation": true}, Observer: s.seen, Logger: slog.New(slog.NewTextHandler(&s.log, nil))})
	s.since(time.Hour)
	s.ago.Store(int64(time.Minute)) // old enough to be fetched
	return s
}

// since pretends that the server first started a while ago.
func (s *sweep) since(ago time.Duration) {
	s.t.Helper()
	if _, err := s.store.Pool().Exec(s.t.Context(), `UPDATE delivery_sweep SET since = now() - $1::interval, next_since = since`, ago); err != nil {
		s.t.Fatal(err)
	}
}

// lose makes deliveries that reach nobody, and returns their GUIDs, oldest first.
func (s *sweep) lose(n int) []string {
	s.t.Helper()
	for range n {
		s.github.Ping()
	}
	if err := s.github.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var guids []string
	for _, d := range s.github.Deliveries()[:n] {
		guids = append([]string{d.GUID}, guids...)
	}
	return guids
}

// turn takes a turn, and fails the test when its outcome is another.
func (s *sweep) turn(wantDone bool, wantErr preview.Class) {
	s.t.Helper()
	done, err := s.Sweep(s.t.Context())
	if (err != nil) != (wantErr != "") || err != nil && preview.Classify(err) != wantErr || done != wantDone {
		s.t.Fatalf("done %t, error %v; want %t and class %q", done, err, wantDone, wantErr)
	}
}

// stored are the GUIDs that the database has, in the order of their arrival.
func (s *sweep) stored() []string {
	s.t.Helper()
	var guids []string
	err := s.store.Pool().QueryRow(s.t.Context(), `SELECT coalesce(array_agg(guid ORDER BY seq), '{}') FROM deliveries`).Scan(&guids)
	if err != nil {
		s.t.Fatal(err)
	}
	return guids
}

func (s *sweep) wantStored(want []string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.stored()); diff != "" {
		s.t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// calls counts the requests to an operation since the last call.
func (s *sweep) calls(route string) int {
	n := 0
	for _, r := range s.github.Requests() {
		if r.Route == route {
			n++
		}
	}
	s.github.ResetRequests()
	return n
}

// Reading stops in the middle of the list, fetching stops in the middle of what is missing: all is stored, once,
// in order, and nothing is fetched twice.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	lost := s.lose(250)
	s.github.SetFaults(fault.Nth(2, 2, fault.OnRoute(listRoute, fault.Fault{Status: 502})))
	s.turn(false, preview.ClassTransient)
	s.wantStored([]string{}) // the oldest are not known yet
	if n := s.calls(payloadRoute); n != 0 {
		t.Errorf("%d payloads were fetched", n)
	}
	at, err := s.store.Sweep(t.Context())
	if err != nil || at.Cursor == "" || time.Since(at.Since) < 50*time.Minute {
		t.Errorf("after the first page %+v, %v", at, err)
	}

	late := s.lose(1) // the next reading's
	s.github.SetFaults(fault.Nth(100, 100, fault.OnRoute(payloadRoute, fault.Fault{Status: 502})))
	s.turn(false, preview.ClassTransient)
	s.wantStored(lost[:99])
	if n := s.calls(listRoute); n != 2 {
		t.Errorf("the list was read on in %d calls, want 2", n)
	}

	s.turn(true, "")
	s.wantStored(append(lost, late...))
	if n := s.calls(payloadRoute); n != 152 {
		t.Errorf("%d payloads were fetched, want the other 152", n)
	}
	if at, err = s.store.Sweep(t.Context()); err != nil || at.Cursor != "" || time.Since(at.Since) > 15*time.Minute {
		t.Errorf("at the end %+v, %v", at, err)
	}
	s.turn(true, "")
	if n := s.calls(payloadRoute); n != 0 {
		t.Errorf("%d payloads were fetched again", n)
	}
	if diff := cmp.Diff(map[string]int{"ping stored": 251}, s.seen.seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	if !strings.Contains(s.log.String(), "stored=99 lost=0") {
		t.Errorf("log: %s", s.log.String())
	}
}

// A stored delivery is as one that arrived: routed, readable, and of the time of its first attempt.
func TestSweepStores(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	if _, err := s.github.CreateRepo("acme", "shop", nil, sim.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	before := s.lose(1)[0]
	installation, err := s.github.Install("acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.github.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := s.github.Deliveries()[0]
	s.ago.Store(int64(30 * time.Second))
	for range 2 {
		if err := s.github.Redeliver(first.GUID); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.github.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.turn(true, "")
	s.wantStored([]string{first.GUID, before}) // what is urgent first
	if n := s.calls(payloadRoute); n != 2 {
		t.Errorf("%d payloads were fetched, want one of the three attempts, and the ping's", n)
	}
	at, err := s.store.ReceivedAt(t.Context(), first.GUID)
	if err != nil || !at.Equal(first.DeliveredAt) {
		t.Errorf("received at %s, %v; first attempted at %s", at, err, first.DeliveredAt)
	}
	page, err := s.store.PendingDeliveries(t.Context(), 0, 0)
	if err != nil || len(page.Deliveries) != 2 || page.Deliveries[0].InstallationID != installation || page.Deliveries[0].Event != "installation" {
		t.Errorf("pending %+v, %v", page, err)
	}
}

// What was never asked for is not fetched: other events, what is older than the server's first start or than
// GitHub remembers, what has arrived, and, for some seconds, what may be about to.
func TestSweepLeavesAlone(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	s.ago.Store(int64(73 * time.Hour))
	s.lose(1)
	s.ago.Store(int64(2 * time.Hour))
	s.lose(1) // before the first start
	s.ago.Store(int64(time.Minute))
	if _, err := s.github.CreateRepo("acme", "shop", nil, sim.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Events = map[string]bool{"ping": false}
	if _, err := s.github.Install("acme"); err != nil {
		t.Fatal(err)
	}
	arrived := s.lose(1)
	if _, err := s.store.InsertDeliveries(t.Context(), []store.Delivery{{GUID: arrived[0], Event: "ping", Payload: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	s.turn(true, "")
	s.wantStored(arrived)
	if n := s.calls(payloadRoute); n != 0 {
		t.Errorf("%d payloads were fetched", n)
	}

	s.ago.Store(0)
	young := s.lose(1)
	s.Now = func() time.Time { return young0(s).Add(4 * time.Second) }
	job := &river.Job[store.SweepArgs]{JobRow: &rivertype.JobRow{CreatedAt: time.Now()}}
	var snooze *river.JobSnoozeError
	if err := s.Work(t.Context(), job); !errors.As(err, &snooze) {
		t.Errorf("a job that left something alone: %v", err)
	}
	s.wantStored(arrived)
	job.CreatedAt = s.Now().Add(-inbox.SweepEvery)
	if err := s.Work(t.Context(), job); err != nil {
		t.Errorf("such a job that has a successor: %v", err)
	}
	s.Now = func() time.Time { return young0(s).Add(6 * time.Second) }
	s.turn(true, "")
	s.wantStored(append(arrived, young...))
}

// young0 is when the newest attempt was made.
func young0(s *sweep) time.Time { return s.github.Deliveries()[0].DeliveredAt }

// A delivery that GitHub lists and does not give holds the others up for some time only, and is given up in the end.
func TestSweepLoses(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	lost := s.lose(3)
	first, second := s.github.Deliveries()[2].ID, s.github.Deliveries()[1].ID
	s.github.SetFaults(func(r *http.Request) *fault.Fault {
		switch {
		case strings.HasSuffix(r.URL.Path, fmt.Sprint("/", first)):
			return &fault.Fault{Status: http.StatusInternalServerError}
		case strings.HasSuffix(r.URL.Path, fmt.Sprint("/", second)):
			return &fault.Fault{Status: http.StatusNotFound}
		}
		return nil
	})
	for range 10 {
		s.turn(false, preview.ClassTransient)
		s.wantStored([]string{})
	}
	s.turn(false, preview.ClassTransient) // of the first, after all others
	s.wantStored(lost[2:])
	later := time.Now().Add(73 * time.Hour)
	s.Now = func() time.Time { return later }
	s.turn(true, "")
	s.wantStored(lost[2:])
	if diff := cmp.Diff(map[string]int{"ping stored": 1, "ping lost": 2}, s.seen.seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	for _, guid := range lost[:2] {
		if !strings.Contains(s.log.String(), guid) {
			t.Errorf("the log does not name %s:\n%s", guid, s.log.String())
		}
	}
}

// A job that failed for a while only comes again soon. What says nothing about the delivery does not count as one
// of its tries.
func TestSweepFails(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	down := newGate()
	close(down.open)
	down.down = errors.New("no database")
	stopped := inbox.NewScheduler(newGate())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	stopped.Run(over)
	tests := []struct {
		name      string
		fault     fault.Fault
		scheduler *inbox.Scheduler // nil: one that works
		age       time.Duration    // of the job
		again     time.Duration    // 0: the error is returned
		tries     int
	}{
		{"GitHub fails", fault.Fault{Status: http.StatusBadGateway}, nil, 0, 20 * time.Second, 1},
		{"GitHub fails, and the next job is due", fault.Fault{Status: http.StatusBadGateway}, nil, inbox.SweepEvery - 10*time.Second, 0, 1},
		{"GitHub takes no calls", sim.RateLimited(http.StatusTooManyRequests, 2*time.Minute), nil, 0, 2 * time.Minute, 0},
		{"GitHub takes no calls until the next job is due", sim.RateLimited(http.StatusTooManyRequests, 10*time.Minute), nil, 0, 0, 0},
		{"no database", fault.Fault{}, running(t, down), 0, 20 * time.Second, 0},
		{"stopping", fault.Fault{}, stopped, 0, 20 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSweep(t)
			s.lose(1)
			if tt.scheduler != nil {
				s.Scheduler = tt.scheduler
			} else {
				s.github.SetFaults(fault.OnRoute(payloadRoute, tt.fault))
			}
			err := s.Work(t.Context(), &river.Job[store.SweepArgs]{JobRow: &rivertype.JobRow{CreatedAt: s.Now().Add(-tt.age)}})
			var snooze *river.JobSnoozeError
			var again time.Duration
			if errors.As(err, &snooze) {
				again = snooze.Duration.Round(10 * time.Second)
			}
			if err == nil || again != tt.again {
				t.Errorf("again after %s, error %v; want %s", again, err, tt.again)
			}
			var tries int
			if err := s.store.Pool().QueryRow(t.Context(), `SELECT tries FROM missed_deliveries`).Scan(&tries); err != nil || tries != tt.tries {
				t.Errorf("%d tries, %v; want %d", tries, err, tt.tries)
			}
		})
	}
}

// A turn that is over leaves the rest to the next.
func TestSweepTurns(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	lost := s.lose(110)
	now := time.Now()
	s.Now = func() time.Time {
		now = now.Add(time.Second)
		return now
	}
	turns, lists := 0, 0
	for done := false; !done; turns++ {
		lists += s.calls(listRoute)
		before := len(s.stored())
		var err error
		if done, err = s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(s.stored()); got > before+10 || turns > 50 {
			t.Fatalf("turn %d stored %d", turns, got-before)
		}
	}
	if turns < 11 {
		t.Errorf("%d turns", turns)
	}
	if lists += s.calls(listRoute); lists != 4 { // two pages before there is something to fetch, and after all is
		t.Errorf("the list was read in %d calls, want 4", lists)
	}
	s.wantStored(lost)
}

// What is left to fetch does not keep a reading from being taken when it is due, nor an interrupted one from
// going on.
func TestSweepReadsWhenDue(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	lost := s.lose(2)
	s.github.SetFaults(fault.OnRoute(payloadRoute, fault.Fault{Status: http.StatusBadGateway}))
	s.turn(false, preview.ClassTransient)
	s.turn(false, preview.ClassTransient)
	if n := s.calls(listRoute); n != 1 {
		t.Errorf("while there was something to fetch the list was read in %d calls, want 1", n)
	}
	start := s.Now()
	s.Now = func() time.Time { return start.Add(inbox.SweepEvery) }
	s.turn(false, preview.ClassTransient)
	if n := s.calls(listRoute); n != 1 {
		t.Errorf("once it was due the list was read in %d calls, want 1", n)
	}
	s.github.SetFaults()
	s.turn(true, "")
	s.wantStored(lost)
}

// A cursor that GitHub no longer takes is not asked for again and again.
func TestSweepStaleCursor(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newSweep(t)
	lost := s.lose(150)
	s.github.SetFaults(fault.Nth(2, 2, fault.OnRoute(listRoute, fault.Fault{Status: 500})))
	s.turn(false, preview.ClassTransient)
	if _, err := s.store.Pool().Exec(t.Context(), `UPDATE delivery_sweep SET cursor = 'stale'`); err != nil {
		t.Fatal(err)
	}
	s.turn(false, preview.ClassPermanent)
	s.turn(true, "")
	s.wantStored(lost)
}

// Two servers that sweep at the same time store everything once.
func TestSweepTwice(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	lost := s.lose(120)
	other := make(chan error, 1)
	go func() {
		_, err := s.Sweep(t.Context())
		other <- err
	}()
	_, err := s.Sweep(t.Context())
	if err := errors.Join(err, <-other); err != nil {
		t.Fatal(err)
	}
	s.turn(true, "")
	if got := s.stored(); len(got) != len(lost) {
		t.Errorf("%d stored, want %d", len(got), len(lost))
	}
}
