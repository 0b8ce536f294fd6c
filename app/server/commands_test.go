package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	say := func(user, text string) {
		t.Helper()
		if _, err := w.github.Comment(testRepo, pr, user, text); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	before := w.environment(pr).ExpiresAt
	say("octo-dev", "/flaresmith extend 24h")
	if got := w.environment(pr).ExpiresAt; got.Sub(before) != 24*time.Hour {
		t.Errorf("extended by %s, want 24h", got.Sub(before))
	}
	// The same comment again, under other delivery ids: the body is signed, the id is not.
	body := lastPayload(t, w, "issue_comment")
	replies := len(comments(t, w, pr))
	for range 3 {
		if status := w.deliver("issue_comment", body); status != 202 {
			t.Errorf("status %d", status)
		}
	}
	w.settle()
	if got := w.environment(pr).ExpiresAt; got.Sub(before) != 24*time.Hour {
		t.Errorf("replays extended to %s", got.Sub(before))
	}
	if got := len(comments(t, w, pr)); got != replies {
		t.Errorf("replays made %d comments out of %d", got, replies)
	}

	say("octo-guest", "/flaresmith destroy")
	say("octo-dev", "/flaresmith destroy")
	if w.cloud.total() == 0 {
		t.Fatal("destroyed by somebody who must not")
	}
	say("octo-lead", "/flaresmith destroy")
	if w.cloud.total() != 0 {
		t.Fatal("not destroyed")
	}
	w.push("feature/a", "while held")
	w.settle()
	if w.cloud.total() != 0 {
		t.Error("a push brought a destroyed preview back")
	}
	say("octo-dev", "/flaresmith preview")
	if w.cloud.total() == 0 {
		t.Error("preview did not bring it back")
	}
	database := func() int {
		n := 0
		for _, line := range w.cloud.writes {
			if strings.HasPrefix(line, "apply database") {
				n++
			}
		}
		return n
	}
	resets := database()
	say("octo-dev", "/flaresmith reset-db")
	if got := database(); got != resets+1 {
		t.Errorf("reset-db applied the database %d times", got-resets)
	}
	say("octo-dev", "> /flaresmith destroy\nquoted")
	say("octo-lead", "please do\n/flaresmith destroy")
	if w.cloud.total() == 0 {
		t.Error("a quoted or later line was obeyed")
	}

	// A command from before the last close is dropped.
	old := lastPayloadOf(t, w, "issue_comment", `"body":"/flaresmith reset-db"`)
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	var event map[string]any
	if err := json.Unmarshal(old, &event); err != nil {
		t.Fatal(err)
	}
	event["comment"].(map[string]any)["id"] = 999_999 // not known yet, as when its first delivery was lost
	late, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if status := w.deliver("issue_comment", late); status/100 != 2 {
		t.Errorf("a late command answered %d", status)
	}
	w.settle()
	var outcomes []string
	rows, err := w.server.store.Pool().Query(t.Context(), `SELECT verb || ' ' || outcome FROM commands ORDER BY created_at, key`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, line)
	}
	want := []string{"destroy done", "destroy refused", "destroy refused", "extend done", "preview done", "reset-db done", "reset-db dropped"}
	slices.Sort(outcomes) // two of one second have no order
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	w.valid()
}

func comments(t testing.TB, w *world, pr int) []github.Comment {
	t.Helper()
	list, err := w.github.Comments(testRepo, pr)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func lastPayload(t *testing.T, w *world, event string) []byte {
	t.Helper()
	return lastPayloadOf(t, w, event, "")
}

// lastPayloadOf is the newest delivery of an event whose body contains text.
func lastPayloadOf(t *testing.T, w *world, event, text string) []byte {
	t.Helper()
	var found github.Delivery
	for _, d := range w.github.Deliveries() {
		if d.Event == event && strings.Contains(string(d.Payload), text) && d.ID >= found.ID {
			found = d
		}
	}
	if found.ID == 0 {
		t.Fatalf("no %s delivery with %q", event, text)
	}
	return found.Payload
}

func TestButtonsAndReruns(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	check := w.wantCheck(sha, "success")
	w.settle()
	if err := w.github.Rerequest(testRepo, check.ID, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("a re-run makes a new check run", func() bool {
		again, ok := w.check(testRepo, sha)
		return ok && again.ID != check.ID && again.Conclusion == "success"
	})
	w.settle()
	again, _ := w.check(testRepo, sha)
	if len(again.Actions) == 0 || len(again.Actions) > 3 {
		t.Fatalf("actions: %+v", again.Actions)
	}
	for _, a := range again.Actions {
		if a.Identifier != string(preview.VerbDestroy) {
			continue
		}
		if err := w.github.PressButton(testRepo, again.ID, a.Identifier, "octo-dev"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if w.cloud.total() == 0 {
			t.Error("a button obeyed somebody whom the command refuses")
		}
		if err := w.github.PressButton(testRepo, again.ID, a.Identifier, "octo-lead"); err != nil {
			t.Fatal(err)
		}
		w.until("the button destroys", func() bool { return w.cloud.total() == 0 })
	}
	_ = pr
	w.settle()
	w.valid()
}
