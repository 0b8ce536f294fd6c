package server

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestPersonLimit(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newPersonLimit(rate.Every(5*time.Second), 3)
	take := func(person int64, want time.Duration) {
		t.Helper()
		if wait := l.take(person, now); wait.Round(time.Millisecond) != want {
			t.Errorf("person %d waits %s, want %s", person, wait, want)
		}
	}
	for range 3 {
		take(1, 0)
	}
	take(1, 5*time.Second)
	take(1, 5*time.Second) // what is refused costs nothing
	take(2, 0)             // others have their own
	now = now.Add(2 * time.Second)
	take(1, 3*time.Second)
	now = now.Add(3 * time.Second)
	take(1, 0)
	take(1, 5*time.Second)

	// Those who have something to wait for are never forgotten, however many others come.
	for person := range int64(manyPeople) {
		take(100+person, 0)
	}
	now = now.Add(5 * time.Second)
	take(1, 0)
	for range 3 {
		take(5000, 0)
	}
	take(5000, 5*time.Second)
	take(1, 5*time.Second)
	if n := len(l.buckets); n > 3 {
		t.Errorf("%d buckets are kept", n)
	}
}
