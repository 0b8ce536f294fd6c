package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// missedNow are the GUIDs in the order in which they would be fetched.
func missedNow(t *testing.T, s *store.Store) []string {
	t.Helper()
	list, err := s.MissedDeliveries(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	guids := []string{}
	for _, m := range list {
		guids = append(guids, m.GUID)
	}
	return guids
}

func TestSweep(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	start, err := s.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(start.Since); start.Cursor != "" || !start.NextSince.Equal(start.Since) || age < 0 || age > time.Minute {
		t.Fatalf("a new server's sweep: %+v", start)
	}
	at := start.Since.Add(time.Hour)
	missed := func(guid string, id int64, minute int, urgent bool) store.Missed {
		return store.Missed{GUID: guid, Event: "push", AttemptID: id, At: at.Add(time.Duration(minute) * time.Minute), Urgent: urgent}
	}
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{delivery("arrived", 1, 7)}); err != nil {
		t.Fatal(err)
	}
	one := store.Sweep{Since: start.Since, Cursor: "one", NextSince: at}
	two := store.Sweep{Since: at, NextSince: at}
	steps := []struct {
		name     string
		from, to store.Sweep
		list     []store.Missed
		moved    bool
		want     []string // missed, in order
	}{
		{"first page", start, one, []store.Missed{missed("d", 9, 9, false), missed("close", 8, 8, true), missed("b", 6, 6, false), missed("arrived", 5, 5, false)},
			true, []string{"close", "b", "d"}},
		{"the same by another server", start, one, []store.Missed{missed("x", 1, 1, false)}, false, []string{"close", "b", "d"}},
		{"last page, with an older attempt", one, two, []store.Missed{missed("a", 2, 2, false), missed("d", 1, 1, false)}, true, []string{"close", "d", "a", "b"}},
	}
	for _, tt := range steps {
		moved, err := s.AdvanceSweep(t.Context(), tt.from, tt.to, tt.list)
		if err != nil || moved != tt.moved {
			t.Fatalf("%s: moved %t, %v", tt.name, moved, err)
		}
		if diff := cmp.Diff(tt.want, missedNow(t, s)); diff != "" {
			t.Errorf("%s: missed (-want +got):\n%s", tt.name, diff)
		}
	}
	end, err := s.Sweep(t.Context())
	if err != nil || !end.Since.Equal(at) || end.Cursor != "" {
		t.Errorf("at the end %+v, %v", end, err)
	}
	if id := scalar[int64](t, s, `SELECT attempt_id FROM missed_deliveries WHERE guid = 'd'`); id != 9 {
		t.Errorf("attempt %d of d, want the newest", id)
	}

	for range 10 {
		if err := s.FailMissed(t.Context(), "close"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ForgetMissed(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InsertDeliveries(t.Context(), []store.Delivery{delivery("d", 1, 7)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "close"}, missedNow(t, s)); diff != "" {
		t.Errorf("after one failed, one was forgotten and one arrived (-want +got):\n%s", diff)
	}
	unknown, err := s.UnknownDeliveries(t.Context(), []string{"arrived", "b", "never"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "never"}, unknown); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

func TestPruneDeliveries(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	var list []store.Delivery
	for _, guid := range []string{"a", "b", "c", "kept", "waiting"} {
		list = append(list, delivery(guid, 1, 7))
	}
	at := time.Now().Add(-60 * 24 * time.Hour).Truncate(time.Second)
	list[4].ReceivedAt = at
	if _, err := s.InsertDeliveries(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReceivedAt(t.Context(), "waiting"); err != nil || !got.Equal(at) {
		t.Errorf("received at %s, %v", got, err)
	}
	if got, err := s.ReceivedAt(t.Context(), "a"); err != nil || time.Since(got) > time.Minute {
		t.Errorf("received at %s, %v", got, err)
	}
	_, err := s.Pool().Exec(t.Context(), `
		UPDATE deliveries SET handled_at = now() - CASE guid WHEN 'kept' THEN interval '6 days' ELSE interval '8 days' END WHERE guid <> 'waiting'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1, 0} {
		if n, err := s.PruneDeliveries(t.Context(), 2); err != nil || n != want {
			t.Errorf("pruned %d, %v; want %d", n, err, want)
		}
	}
	left := scalar[[]string](t, s, `SELECT array_agg(guid ORDER BY guid) FROM deliveries`)
	if diff := cmp.Diff([]string{"kept", "waiting"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
