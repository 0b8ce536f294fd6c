package handlers_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
	"github.com/flaresmith/flaresmith/handlers"
)

// The package of GitHub's own example payloads, pinned.
const (
	examplesName      = "@octokit/webhooks-examples"
	examplesVersion   = "7.6.1"
	examplesIntegrity = "sha512-De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ=="
	examplesCount     = 329
)

const secret = "webhook-secret-of-the-tests"

// example is one payload of the package.
type example struct {
	event   string
	payload []byte
}

// examples fetches the payloads. Without a registry the test is skipped, except in CI.
func examples(t *testing.T) []example {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	client, err := npm.NewClient(npm.Config{CacheDir: filepath.Join(cache, "flaresmith", "npm")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	path, err := client.Fetch(ctx, examplesName, examplesVersion, examplesIntegrity, nil)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("the example payloads can't be fetched: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	data := fileInTarball(t, path, "package/api.github.com/index.json")
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	var list []example
	for _, e := range events {
		for _, payload := range e.Examples {
			list = append(list, example{e.Name, payload})
		}
	}
	return list
}

func fileInTarball(t *testing.T, path, name string) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("%s is not in the tarball", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == name {
			data, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

// app is the path from a request to the handlers, all of it real.
type app struct {
	t     *testing.T
	store *store.Store
	hook  *inbox.Handler
}

// newApp works deliveries with the handlers of an App of that id until the test ends.
func newApp(t *testing.T, appID int64) *app {
	t.Helper()
	s := storetest.New(t)
	scheduler := inbox.NewScheduler(s)
	var batches sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	batches.Go(func() { scheduler.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		batches.Wait()
	})
	quiet := slog.New(slog.DiscardHandler)
	hook, err := inbox.NewHandler(scheduler, inbox.Options{Secrets: []preview.Secret{secret}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	worker, err := inbox.NewWorker(s, handlers.All(s, appID), nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	client, err := river.NewClient(riverpgxv5.New(s.Pool()), &river.Config{
		Logger:            quiet,
		Queues:            map[string]river.QueueConfig{store.QueueInbox: {MaxWorkers: 8}},
		Workers:           workers,
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			t.Errorf("stop river: %v", err)
		}
	})
	return &app{t: t, store: s, hook: hook}
}

// post sends one signed delivery and returns the status of the answer.
func (a *app) post(guid, event string, payload []byte) int {
	a.t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	r := httptest.NewRequestWithContext(a.t.Context(), http.MethodPost, "/api/github/hook", bytes.NewReader(payload))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	a.hook.ServeHTTP(w, r)
	return w.Code
}

// settled waits until every delivery is handled.
func (a *app) settled() {
	a.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for scalar[int](a, `SELECT count(*) FROM pr_work WHERE wanted <> done`) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			a.t.Fatalf("deliveries are not handled; errors of the jobs: %s",
				scalar[string](a, `SELECT coalesce(string_agg(errors[1]::text, ' | '), 'none') FROM river_job WHERE errors IS NOT NULL`))
		}
	}
}

func scalar[T any](a *app, sql string, args ...any) T {
	a.t.Helper()
	var v T
	if err := a.store.Pool().QueryRow(a.t.Context(), sql, args...).Scan(&v); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// installed gives a payload an installation, so that the examples recorded from plain repository
// webhooks reach the store too.
func installed(t *testing.T, payload []byte) []byte {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		t.Fatal(err)
	}
	if _, has := fields["installation"]; has {
		return payload
	}
	fields["installation"] = json.RawMessage(`{"id": 4711}`)
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every example payload of GitHub, as it is and as if the App were installed, is answered 2xx, and
// its handler neither panics nor fails.
func TestExamples(t *testing.T) {
	t.Parallel()
	list := examples(t)
	if len(list) != examplesCount {
		t.Fatalf("%d example payloads, want %d", len(list), examplesCount)
	}
	a := newApp(t, 29310)
	for i, e := range list {
		for name, payload := range map[string][]byte{"plain": e.payload, "installed": installed(t, e.payload)} {
			if status := a.post(fmt.Sprintf("%s-%d", name, i), e.event, payload); status/100 != 2 {
				t.Errorf("%s %s %d is answered %d", name, e.event, i, status)
			}
		}
	}
	a.settled()
	if n := scalar[int](a, `SELECT count(*) FROM deliveries WHERE handled_at IS NULL`); n != 0 {
		t.Errorf("%d deliveries are not handled", n)
	}
	if n := scalar[int](a, `SELECT count(*) FROM deliveries`); n != 2*examplesCount {
		t.Errorf("%d deliveries are stored, want %d", n, 2*examplesCount)
	}
	if failed := scalar[string](a, `SELECT coalesce(string_agg(guid || ' ' || event || ': ' || error, E'\n'), '') FROM deliveries WHERE error <> ''`); failed != "" {
		t.Errorf("handlers gave up:\n%s", failed)
	}
	// The examples must have reached every table, or this test proves nothing.
	for _, table := range []string{"installations", "projects", "branches", "environments"} {
		if scalar[int](a, `SELECT count(*) FROM `+table) == 0 {
			t.Errorf("no example wrote to %s", table)
		}
	}
	if n := scalar[int](a, `SELECT count(*) FROM river_job WHERE kind = 'merge_group'`); n == 0 {
		t.Error("no example wanted a merge group's check")
	}
}

// The events that we listen to are about the check run that we write.
func TestCheckNameIsTheReports(t *testing.T) {
	t.Parallel()
	if handlers.CheckName != report.CheckName {
		t.Errorf("handlers listen to %q, the report writes %q", handlers.CheckName, report.CheckName)
	}
}

// A body that is sent again under a fresh delivery id passes the signature, and must change nothing
// that a person asked for.
func TestReplayOfCommands(t *testing.T) {
	t.Parallel()
	a := newApp(t, 99)
	repository := `"installation":{"id":1},"repository":{"id":2,"name":"sample","full_name":"octo-org/sample","owner":{"login":"octo-org"}},"sender":{"login":"octo-dev","id":5,"type":"User"}`
	check := `"check_run":{"id":70,"name":"Flaresmith / Preview","app":{"id":99},"external_id":"","completed_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":7}]}`
	bodies := map[string]string{
		"issue_comment": `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"id":31,"body":"/flaresmith destroy","created_at":"2026-01-01T10:00:00Z","user":{"login":"octo-dev","id":5,"type":"User"}},` + repository + `}`,
		"check_run":     `{"action":"requested_action","requested_action":{"identifier":"rebuild"},` + check + `,` + repository + `}`,
		"check_run ":    `{"action":"rerequested",` + check + `,` + repository + `}`,
		"check_suite":   `{"action":"rerequested","check_suite":{"id":71,"app":{"id":99},"updated_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":7}]},` + repository + `}`,
	}
	send := func(round string) {
		for event, body := range bodies {
			if status := a.post(round+event, strings.TrimSpace(event), []byte(body)); status != http.StatusAccepted {
				t.Fatalf("%s: %d", event, status)
			}
		}
		a.settled()
	}
	const state = `SELECT coalesce((SELECT string_agg(c::text, E'\n' ORDER BY key) FROM commands c), '') || E'\n' ||
		(SELECT string_agg(e::text, E'\n') FROM environments e)`
	send("first ")
	before := scalar[string](a, state)
	if n := scalar[int](a, `SELECT count(*) FROM commands`); n != len(bodies)+1 { // the suite's is one for each check
		t.Fatalf("%d commands recorded, want %d", n, len(bodies)+1)
	}
	if wanted := scalar[int](a, `SELECT wanted FROM environments`); wanted != len(bodies) {
		t.Fatalf("wanted generation %d, want %d", wanted, len(bodies))
	}
	send("second ")
	if after := scalar[string](a, state); after != before {
		t.Errorf("a replay changed something:\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if n := scalar[int](a, `SELECT count(*) FROM deliveries WHERE error <> ''`); n != 0 {
		t.Errorf("%d deliveries failed", n)
	}
}
