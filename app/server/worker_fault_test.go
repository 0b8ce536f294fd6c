//go:build linux

package server

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWorkerKilled kills a preview's Worker, as the kernel would when memory runs out. It serves again by
// itself, its data is there, its neighbour did not notice, and GitHub is told nothing.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	w, _ := newLocalWorld(t, sampleFiles(), `CREATE TABLE items (id int PRIMARY KEY, name text)`)
	pr, sha := w.open("feature/a")
	other, second := w.open("feature/b")
	w.wantCheck(sha, "success")
	w.wantCheck(second, "success")
	w.settle()
	name, beside := w.environment(pr).Name, w.environment(other).Name
	query(t, branchURL(t, name), `INSERT INTO items VALUES (1, 'kept')`)
	_, neighbour := workerProcess(t, beside)
	before, writes := w.state(), len(w.github.Writes())
	for range 3 {
		password, pid := workerProcess(t, name)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.until("another process serves", func() bool {
			status, body := w.ask(name)
			return status == http.StatusOK && body == "feature/a" && syscall.Kill(pid, 0) != nil
		})
		w.wantNoSecret(password)
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	if list := w.github.Writes()[writes:]; len(list) > 0 {
		t.Errorf("written to GitHub: %+v", list)
	}
	if got := query(t, branchURL(t, name), `SELECT name FROM items`); len(got) != 1 || got[0] != "kept" {
		t.Errorf("items %v", got)
	}
	if _, now := workerProcess(t, beside); now != neighbour {
		t.Error("the neighbour was started again")
	}
	for _, number := range []int{pr, other} {
		if err := w.github.ClosePR(testRepo, number, "octo-dev"); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	w.wantNothingLeft(name)
	w.wantNothingLeft(beside)
	w.valid()
}
