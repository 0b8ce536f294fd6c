package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// A place that becomes free wakes whoever waits, also one whose row still says what it was before it
// came back: a pass has asked for a place and has not yet saved its end.
func TestLeaveWakesReopened(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	q := queue{t, s, storetest.Project(t, s, 1)}
	q.leave(2) // closed long ago
	if got := q.admit(1); got != 0 {
		t.Fatalf("the first is number %d", got)
	}
	if got := q.admit(2); got != 1 { // reopened
		t.Fatalf("the second is number %d", got)
	}
	if diff := cmp.Diff([]int{1, 2}, q.behind(func() { q.leave(1) })); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}

// Those that ask at once are told different numbers.
func TestQueueNumbersDiffer(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	const previews = 12
	positions := make(chan int, previews)
	for pr := 1; pr <= previews; pr++ {
		l, _ := acquire(t, s, want(t, s, previewWish(p, pr)))
		go func(l preview.Lease) {
			position, err := s.Admit(t.Context(), l, 1)
			if err != nil {
				t.Error(err)
			}
			positions <- position
		}(l)
	}
	seen := map[int]bool{}
	for range previews {
		position := <-positions
		if seen[position] {
			t.Errorf("two are number %d", position)
		}
		seen[position] = true
	}
}
