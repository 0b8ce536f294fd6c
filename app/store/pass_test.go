package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func TestPassHistoryIsBounded(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	id, other := want(t, s, previewWish(p, 7)), want(t, s, previewWish(p, 8))
	record := func(environment string, n int) preview.PassRecord {
		t.Helper()
		pass := preview.PassRecord{EnvironmentID: environment, Generation: int64(n), SHA: fmt.Sprint(n), Outcome: "ready",
			Steps:     []preview.StepRecord{{Name: "worker", Op: "update", OK: n%2 == 0, StartMS: 1, DurationMS: 2, Error: "why"}},
			StartedAt: second(n), Duration: 1500 * time.Millisecond}
		if err := s.RecordPass(t.Context(), pass); err != nil {
			t.Fatal(err)
		}
		return pass
	}
	record(other, 0)
	const kept = 50
	var wanted []preview.PassRecord
	for n := range kept + 5 {
		wanted = append([]preview.PassRecord{record(id, n)}, wanted...)
	}
	got, err := s.Passes(t.Context(), id, 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted[:kept], got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("passes, newest first (-want +got):\n%s", diff)
	}
	if got, err := s.Passes(t.Context(), id, 3); err != nil || len(got) != 3 || got[0].Generation != kept+4 {
		t.Errorf("the newest three: %v, %v", got, err)
	}
	if got, err := s.Passes(t.Context(), other, 100); err != nil || len(got) != 1 {
		t.Errorf("another environment's history: %v, %v", got, err)
	}
}

// A person who asks for a new check run while a pass is writing its report must get one.
func TestPublishedExchange(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	w := previewWish(storetest.Project(t, s, 1), 7)
	id := want(t, s, w)
	again := w
	again.NewCheck = true
	l, _ := acquire(t, s, id)
	read := func() string {
		t.Helper()
		text, err := s.Published(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	save := func(prev, next string) {
		t.Helper()
		if err := s.SavePublished(t.Context(), l, []byte(prev), []byte(next)); err != nil {
			t.Fatal(err)
		}
	}
	same := func(why, want string) {
		t.Helper()
		var a, b map[string]any
		if err := json.Unmarshal([]byte(want), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(read()), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	same("before the first report", `{}`)
	prev := read()
	save(prev, `{"checkRunId": 1}`)
	same("the first report", `{"checkRunId": 1}`)

	prev = read()
	want(t, s, again) // while the pass writes to GitHub
	save(prev, `{"checkRunId": 1, "commentId": 2}`)
	same("the wish survives the report", `{"checkRunId": 1, "commentId": 2, "newCheck": true}`)
	// The pass goes on from what it wrote; the wish survives that too.
	save(`{"checkRunId": 1, "commentId": 2}`, `{"checkRunId": 1, "commentId": 3}`)
	same("a second report of the same pass", `{"checkRunId": 1, "commentId": 3, "newCheck": true}`)

	// The next pass has read the wish and fulfils it.
	save(read(), `{"checkRunId": 9, "commentId": 3}`)
	same("the wish is fulfilled", `{"checkRunId": 9, "commentId": 3}`)
}
