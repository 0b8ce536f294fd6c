//go:build linux

package main

import (
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/scan"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// killedToken is in GitHub's form with a right checksum.
func killedToken() string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random := "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xYz"
	sum, check := crc32.ChecksumIEEE([]byte(random)), [6]byte{}
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	return "ghp" + "_" + random + string(check[:])
}

// A server that is killed in the middle of a search for secrets leaves no check, and the next one goes on with it.
func TestKillWhileScanning(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: who is killed is a process of its own, and tells nobody of races")
	}
	w := newKillWorld(t)
	commit := func(files map[string]string, message string) string {
		t.Helper()
		sha, err := w.github.CommitAs("octo-dev", killRepo, "main", files, message)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	scans := func(sha string) []github.CheckRun {
		t.Helper()
		runs, err := w.github.CheckRuns(killRepo, sha)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != scan.CheckName })
	}
	commit(map[string]string{".github/flaresmith.yml": "secrets: app\n"}, "the server scans")
	blob := fault.OnRoute("GET /repos/{owner}/{repo}/git/blobs/{file_sha}", fault.Fault{Delay: time.Hour})
	asked := make(chan struct{}, 8)
	w.github.SetFaults(func(r *http.Request) *fault.Fault {
		f := blob(r)
		if f != nil {
			asked <- struct{}{}
		}
		return f
	})
	value := killedToken()
	sha := commit(map[string]string{"a.txt": "a\n", "key.txt": "key " + value + "\n"}, "a key")
	select {
	case <-asked:
	case <-time.After(killPatience):
		t.Fatalf("nothing is scanned:\n%s", w.log)
	}
	w.kill()
	if runs := scans(sha); len(runs) > 0 {
		t.Fatalf("checks of a search that was killed: %+v", runs)
	}
	w.github.SetFaults()
	// What died with its server is taken up after some minutes, by whichever server leads then; they are over at once here.
	w.exec(w.storeURL, `UPDATE river_job SET attempted_at = attempted_at - interval '1 hour' WHERE state = 'running'; DELETE FROM river_leader`)
	w.start()
	w.until("the search goes on", func() bool {
		return slices.ContainsFunc(scans(sha), func(r github.CheckRun) bool { return r.Conclusion == "failure" })
	})
	runs := scans(sha)
	if len(runs) != 1 || len(runs[0].Annotations) != 1 || runs[0].Annotations[0].Path != "key.txt" {
		t.Errorf("%d checks: %+v", len(runs), runs)
	}
	if strings.Contains(w.log.String(), value[4:12]) {
		t.Error("the log holds a piece of the value")
	}
}
