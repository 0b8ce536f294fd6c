package server

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

const approvalPolicy = "preview: {migrations: {destructive: require-approval}}\n"

func approvalFiles() fstest.MapFS {
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(approvalPolicy)}
	return files
}

// say comments and waits until it is answered.
func (w *world) say(pr int, user, text string) {
	w.t.Helper()
	if _, err := w.github.Comment(testRepo, pr, user, text); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

// noted are the annotations of a check: "level path:line".
func noted(check github.CheckRun) []string {
	var list []string
	for _, a := range check.Annotations {
		list = append(list, fmt.Sprintf("%s %s:%d", a.Level, a.Path, a.StartLine))
	}
	return list
}

func hasButton(check github.CheckRun, verb preview.Verb) bool {
	for _, a := range check.Actions {
		if a.Identifier == string(verb) {
			return true
		}
	}
	return false
}

// TestApproval walks a pull request with a destructive migration through the policy that asks for
// an approval, on every wrong way first.
func TestApproval(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, approvalFiles(), nil)
	pr, good := w.open("feature/a")
	w.wantCheck(good, "success")
	w.settle()
	name := w.environment(pr).Name
	w.cloud.mu.Lock()
	w.cloud.destructive = []preview.Problem{{Path: "drizzle/0001_drop.sql", Line: 3, Message: "Drops the table items.", Hint: "Do it later."}}
	w.cloud.mu.Unlock()

	bad := w.push("feature/a", "two")
	check := w.wantCheck(bad, "action_required")
	w.settle()
	if !strings.Contains(check.Summary, "/flaresmith approve "+bad) || !strings.Contains(check.Summary, "drizzle/0001_drop.sql:3") || !hasButton(check, preview.VerbApprove) {
		t.Errorf("the check names neither line, command nor button: %+v", check)
	}
	if len(check.Annotations) != 1 || check.Annotations[0].StartLine != 3 || check.Annotations[0].Level != "warning" {
		t.Errorf("annotations %+v", check.Annotations)
	}
	attempts := 0
	refused := func(why, user, argument string) {
		t.Helper()
		attempts++
		w.say(pr, user, "/flaresmith approve "+argument)
		if got := w.environment(pr); got.ApprovedSHA != "" || w.cloud.sha(name) != good {
			t.Errorf("%s: approved %q, serves %.7s", why, got.ApprovedSHA, w.cloud.sha(name))
		}
		all := comments(t, w, pr)
		if last := all[len(all)-1].Body; !strings.Contains(last, "Not done") {
			t.Errorf("%s: the answer is %q", why, last)
		}
	}
	refused("a contributor", "octo-dev", bad)
	refused("a guest", "octo-guest", bad)
	refused("a short commit", "octo-lead", bad[:12])
	refused("no commit", "octo-lead", "")
	refused("an older commit", "octo-lead", good)
	refused("another commit", "octo-lead", strings.Repeat("0", 40))

	// A button stands for the commit of its own check, also when a newer one has come.
	newer := w.push("feature/a", "three")
	w.wantCheck(newer, "action_required")
	w.settle()
	press := func(sha, user string) {
		t.Helper()
		attempts++
		run, _ := w.check(testRepo, sha)
		if err := w.github.PressButton(testRepo, run.ID, string(preview.VerbApprove), user); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	press(bad, "octo-lead")
	press(newer, "octo-dev")
	if got := w.environment(pr); got.ApprovedSHA != "" || w.cloud.sha(name) != good {
		t.Errorf("a wrong button approved %q; %.7s serves", got.ApprovedSHA, w.cloud.sha(name))
	}
	refused("the commit before", "octo-lead", bad)

	attempts++
	w.say(pr, "octo-lead", "/flaresmith approve "+newer)
	w.wantCheck(newer, "success")
	if got := w.environment(pr); got.ApprovedSHA != newer || w.cloud.sha(name) != newer {
		t.Errorf("approved %q, serves %.7s", got.ApprovedSHA, w.cloud.sha(name))
	}

	// The next commit needs its own.
	last := w.push("feature/a", "four")
	w.wantCheck(last, "action_required")
	w.settle()
	if w.cloud.sha(name) != newer || w.environment(pr).ApprovedSHA != "" {
		t.Error("an approval reached the next commit")
	}
	press(last, "octo-lead")
	w.wantCheck(last, "success")
	var audited int
	if err := w.server.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE operation = 'command.approve'`).Scan(&audited); err != nil {
		t.Fatal(err)
	}
	if audited != attempts {
		t.Errorf("%d approvals are in the audit, want %d", audited, attempts)
	}
	w.settle()
	w.valid()
}

// TestDestructiveWarns is the default: named, and no more.
func TestDestructiveWarns(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	w.cloud.mu.Lock()
	w.cloud.destructive = []preview.Problem{{Path: "drizzle/0001_drop.sql", Line: 3, Message: "Drops the table items.", Hint: "Do it later."}}
	w.cloud.mu.Unlock()
	pr, sha := w.open("feature/a")
	check := w.wantCheck(sha, "success")
	w.settle()
	if len(check.Annotations) != 1 || check.Annotations[0].Level != "warning" || !strings.Contains(check.Title, "destructive") || hasButton(check, preview.VerbApprove) {
		t.Errorf("check %+v", check)
	}
	if body := comments(t, w, pr)[0].Body; !strings.Contains(body, "drizzle/0001_drop.sql:3") {
		t.Errorf("the comment does not name the line:\n%s", body)
	}
	w.say(pr, "octo-lead", "/flaresmith approve "+sha)
	all := comments(t, w, pr)
	if last := all[len(all)-1].Body; !strings.Contains(last, "Nothing waits for an approval") {
		t.Errorf("the answer is %q", last)
	}

	// A check that fails for another reason names them, too, where the migrations were looked at.
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/b", map[string]string{"src/index.js": "export default {"}, "broken")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.github.OpenPR(testRepo, "Broken", "feature/b", "", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	check = w.wantCheck(sha, "failure")
	w.settle()
	if diff := cmp.Diff([]string{"failure src/index.js:1", "warning drizzle/0001_drop.sql:3"}, noted(check)); diff != "" || !strings.Contains(check.Summary, "Drops the table items") {
		t.Errorf("annotations (-want +got):\n%s\nof %s", diff, check.Summary)
	}
	w.valid()
}

// TestLocalApproval is the same on a real database: what waits for an approval touches nothing, and
// neither does a reset meanwhile.
func TestLocalApproval(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w, _ := newLocalWorld(t, approvalFiles(), `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')`)
	commit := func(text string, changes map[string]string) string {
		t.Helper()
		all := map[string]string{"src/index.js": fmt.Sprintf("export default { fetch() { return new Response(%q); } };\n", text)}
		maps.Copy(all, changes)
		sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/db", all, text)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	tags := [2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);--> statement-breakpoint\nALTER TABLE tags ADD COLUMN label text NOT NULL;\n"}
	drop := [2]string{"drop", "-- no longer used\nALTER TABLE items\n  DROP COLUMN name;\n"}
	sha := commit("v1", drizzle(tags))
	pr, err := w.github.OpenPR(testRepo, "Tags", "feature/db", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
	branch := branchURL(t, name)
	query(t, branch, `INSERT INTO tags VALUES (1, 'of the preview')`)
	untouched := func(when string) {
		t.Helper()
		got := query(t, branch, `SELECT label FROM tags UNION ALL SELECT name FROM items ORDER BY 1`)
		if diff := cmp.Diff([]string{"of the preview", "one"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if _, body := w.ask(name); body != "v1" {
			t.Errorf("%s it serves %q", when, body)
		}
	}
	files := drizzle(tags, drop)
	files["drizzle/0002_by_hand.sql"] = "SELECT 1;\n"
	sha = commit("v2", files)
	check := w.wantCheck(sha, "action_required")
	w.settle()
	if diff := cmp.Diff([]string{"warning drizzle/0001_drop.sql:3", "warning drizzle/0002_by_hand.sql:1"}, noted(check)); diff != "" || !strings.Contains(check.Title, "1 destructive statement") {
		t.Errorf("%s: annotations (-want +got):\n%s", check.Title, diff)
	}
	untouched("before the approval")
	w.say(pr, "octo-dev", "/flaresmith reset-db")
	untouched("after a reset that waits as well")
	w.wantCheck(sha, "action_required")

	w.say(pr, "octo-lead", "/flaresmith approve "+sha)
	check = w.wantCheck(sha, "success")
	if diff := cmp.Diff([]string{"warning drizzle/0001_drop.sql:3", "warning drizzle/0002_by_hand.sql:1"}, noted(check)); diff != "" ||
		!strings.Contains(check.Summary, "drizzle-kit's journal") {
		t.Errorf("annotations after the approval (-want +got):\n%s\nof %s", diff, check.Summary)
	}
	if got := query(t, branch, `SELECT attname::text FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 AND NOT attisdropped`); strings.Join(got, " ") != "id" {
		t.Errorf("columns of items: %v", got)
	}
	if _, body := w.ask(name); body != "v2" {
		t.Errorf("it serves %q", body)
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingLeft(name)
	w.valid()
}
