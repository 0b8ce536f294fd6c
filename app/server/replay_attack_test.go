package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// state is what the store holds that decides about anything, without clocks and counters.
func (w *world) state() []string {
	w.t.Helper()
	rows, err := w.server.store.Pool().Query(w.t.Context(), `
		SELECT concat_ws(' ', 'environment', name, kind, pr, branch, sha, state, held, rebuild, reset_database, expires_at, expired_sha, good_sha, head_sha, lifecycle_at) FROM environments
		UNION ALL SELECT concat_ws(' ', 'project', installation_id, repo_id, owner, name, default_branch, archived_at IS NOT NULL) FROM projects
		UNION ALL SELECT concat_ws(' ', 'installation', id, account, suspended_at IS NOT NULL, deleted_at IS NOT NULL) FROM installations
		UNION ALL SELECT concat_ws(' ', 'command', key, outcome, reply_id) FROM commands
		UNION ALL SELECT concat_ws(' ', 'branch', branch, sha, deleted) FROM branches
		UNION ALL SELECT concat_ws(' ', 'audit', operation, subject) FROM audit`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// nextSecond waits until GitHub's times, which are whole seconds, tell what follows from what was.
func (w *world) nextSecond() {
	now := time.Now().Unix()
	w.until("the next second", func() bool { return time.Now().Unix() > now })
}

// TestReplayChangesNothing plays a busy history and then delivers each body of it again under a
// fresh delivery id, which the signature does not cover: forward, backward, and each alone.
func TestReplayChangesNothing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one, sha := w.open("feature/one")
	w.wantCheck(sha, "success")
	two, sha := w.open("feature/two")
	w.wantCheck(sha, "success")
	for _, command := range []string{"status", "extend 24h", "rebuild", "nonsense", "help"} {
		_, err := w.github.Comment(testRepo, one, "octo-dev", "/flaresmith "+command)
		must(err)
	}
	_, err := w.github.Comment(testRepo, one, "octo-lead", "/flaresmith destroy")
	must(err)
	w.settle()
	_, err = w.github.Comment(testRepo, one, "octo-dev", "/flaresmith preview")
	must(err)
	_, err = w.github.Comment(testRepo, two, "octo-lead", "/flaresmith destroy")
	must(err)
	w.settle()
	must(w.github.ClosePR(testRepo, two, "octo-dev"))
	w.settle()
	must(w.github.Reopen(testRepo, two, "octo-dev"))
	w.settle()
	must(w.github.EditTitle(testRepo, two, "another", "octo-dev"))
	must(w.github.Label(testRepo, two, "ready", "octo-dev"))
	must(w.github.Unlabel(testRepo, two, "ready", "octo-dev"))
	must(w.github.SetDraft(testRepo, one, true, "octo-dev"))
	must(w.github.SetDraft(testRepo, one, false, "octo-dev"))
	if check, ok := w.check(testRepo, sha); ok {
		must(w.github.Rerequest(testRepo, check.ID, "octo-dev"))
	}
	w.push("feature/one", "newer")
	for _, change := range []func() error{
		func() error { return w.github.Archive(testRepo, true, "octo-lead") },
		func() error { return w.github.Archive(testRepo, false, "octo-lead") },
		func() error { return w.github.Suspend("acme", "octo-lead") },
		func() error { return w.github.Unsuspend("acme", "octo-lead") },
		func() error { return w.github.Rename(testRepo, "acme/store", "octo-lead") },
		func() error { return w.github.RenameAccount("acme", "acme-two") },
		func() error { return w.github.RenameAccount("acme-two", "acme") },
		func() error { return w.github.Rename("acme/store", testRepo, "octo-lead") },
	} {
		must(change())
		w.nextSecond()
	}
	w.settle()
	for _, branch := range []string{"feature/one", "feature/two"} { // the last reports may have links to the other names
		w.push(branch, "newest")
	}
	w.settle()

	before := w.state()
	writes := len(w.github.Writes())
	history := w.github.Deliveries()
	if len(history) < 40 {
		t.Fatalf("only %d deliveries to replay", len(history))
	}
	seen := map[string]bool{}
	replay := func(list []github.Delivery, each bool) {
		for _, d := range list {
			if status := w.deliver(d.Event, d.Payload); status >= 300 {
				t.Errorf("%s: answered %d", d.Event, status)
			}
			if !each {
				continue
			}
			w.settle()
			now := w.state()
			if diff := cmp.Diff(before, now); diff != "" && !seen[d.Event+d.Action] {
				seen[d.Event+d.Action] = true
				t.Errorf("replay of %s %s changes the state:\n%s", d.Event, d.Action, diff)
			}
			before = now
		}
		w.settle()
	}
	replay(history, true)
	backward := slices.Clone(history)
	slices.Reverse(backward)
	replay(backward, false)
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Errorf("replay backwards changes the state:\n%s", diff)
	}
	for _, write := range w.github.Writes()[writes:] {
		t.Errorf("a replay wrote to GitHub: %s %s %.2000s", write.Route, write.Path, write.Body)
	}
}

// TestForeignBodies posts what an attacker may have: no secret, another's secret, or the signed body
// of another installation whose names look like ours.
func TestForeignBodies(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/one")
	w.wantCheck(sha, "success")
	w.settle()
	before, name := w.state(), w.environment(pr).Name
	post := func(body, signature string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL()+"/api/github/hook", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"X-Github-Event": {"pull_request"}, "X-Github-Delivery": {"guid-" + signature + body[:min(9, len(body))]}, "Content-Type": {"application/json"}}
		if signature != "" {
			request.Header.Set("X-Hub-Signature-256", signature)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	body := fmt.Sprintf(`{"action":"closed","number":%d,"pull_request":{"number":%d},"repository":{"id":1},"installation":{"id":1}}`, pr, pr)
	for _, signature := range []string{"", "sha256=", "sha256=00", "sha1=" + strings.Repeat("0", 40), "sha256=" + strings.Repeat("0", 64)} {
		if status := post(body, signature); status < 400 || status >= 500 {
			t.Errorf("signature %q: answered %d", signature, status)
		}
	}
	var stored int
	if err := w.server.store.Pool().QueryRow(context.Background(), `SELECT count(*) FROM deliveries WHERE guid LIKE 'guid-%'`).Scan(&stored); err != nil || stored != 0 {
		t.Errorf("%d unsigned deliveries stored, %v", stored, err)
	}
	// Another installation that is signed well: same repository id and number, owners that begin like ours.
	project, err := w.server.store.Project(t.Context(), w.environment(pr).ProjectID)
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"acme", "acme-evil", "ACME", "acm"} {
		foreign := fmt.Sprintf(`{"action":"closed","number":%d,"pull_request":{"number":%d,"closed_at":"2030-01-01T00:00:00Z"},
			"repository":{"id":%d,"name":"shop","full_name":"%s/shop","owner":{"login":"%[4]s"}},"installation":{"id":%d}}`,
			pr, pr, project.RepoID, owner, project.InstallationID+1000)
		if status := w.deliver("pull_request", []byte(foreign)); status >= 300 {
			t.Errorf("answered %d", status)
		}
		w.settle()
	}
	var after []string
	for _, line := range w.state() {
		if slices.Contains(before, line) {
			after = append(after, line)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("another installation's event changed ours:\n%s", diff)
	}
	if got := w.cloud.names("database"); len(got) != 1 || got[0] != name {
		t.Errorf("databases %v, want only %s", got, name)
	}
}
