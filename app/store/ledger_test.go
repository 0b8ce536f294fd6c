package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// The ledger knows of a resource before it is made, keeps what the last finished Apply left, and
// never a secret.
func TestLedger(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	id := want(t, s, previewWish(p, 7))
	l, e := acquire(t, s, id)
	ctx := t.Context()
	ledger := func() []preview.LedgerEntry {
		t.Helper()
		entries, err := s.Ledger(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := ledger(); len(got) != 0 {
		t.Errorf("a new environment has %v", got)
	}
	do(s.RecordIntent(ctx, l, preview.Key{Kind: preview.KindWorker}, e.Name, "cloudflare/a1"))
	do(s.RecordIntent(ctx, l, preview.Key{Kind: preview.KindDatabase}, e.Name, ""))
	do(s.RecordApplied(ctx, l, preview.Key{Kind: preview.KindDatabase}, "", "d1", preview.Outputs{
		DatabaseURL: "postgres://role:hunter2@db/x", DatabaseName: e.Name, Migrations: []string{"0000_a"}}))
	known := []preview.LedgerEntry{
		{Kind: preview.KindDatabase, Name: e.Name, Digest: "d1", Outputs: preview.Outputs{DatabaseName: e.Name, Migrations: []string{"0000_a"}}},
		{Kind: preview.KindWorker, Name: e.Name, Place: "cloudflare/a1"},
	}
	if diff := cmp.Diff(known, ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if text := scalar[string](t, s, `SELECT string_agg(resources::text, ' ') FROM resources`); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is in the ledger: %s", text)
	}

	// Another intent for the same kind keeps what the last Apply left to tell, until the next one, and not that it is finished.
	do(s.RecordIntent(ctx, l, preview.Key{Kind: preview.KindDatabase}, e.Name, ""))
	known[0].Digest = ""
	if diff := cmp.Diff(known, ledger()); diff != "" {
		t.Errorf("after an intent (-want +got):\n%s", diff)
	}
	do(s.RecordApplied(ctx, l, preview.Key{Kind: preview.KindDatabase}, "", "d2", preview.Outputs{DatabaseName: e.Name}))
	known[0].Digest, known[0].Outputs = "d2", preview.Outputs{DatabaseName: e.Name}
	if diff := cmp.Diff(known, ledger()); diff != "" {
		t.Errorf("after another Apply (-want +got):\n%s", diff)
	}

	// A second Worker is an entry of its own.
	admin := preview.Key{Kind: preview.KindWorker, Worker: "admin"}
	do(s.RecordIntent(ctx, l, admin, e.Name+"-admin", ""))
	do(s.RecordApplied(ctx, l, admin, "", "d3", preview.Outputs{URL: "http://admin/", WorkerName: "admin"}))
	second := preview.LedgerEntry{Kind: admin.Kind, Worker: admin.Worker, Name: e.Name + "-admin", Digest: "d3",
		Outputs: preview.Outputs{URL: "http://admin/", WorkerName: "admin"}}
	if diff := cmp.Diff(append(slices.Clone(known), second), ledger()); diff != "" {
		t.Errorf("with a second Worker (-want +got):\n%s", diff)
	}
	do(s.Forget(ctx, l, admin, ""))
	if diff := cmp.Diff(known, ledger()); diff != "" {
		t.Errorf("without it (-want +got):\n%s", diff)
	}

	do(s.Forget(ctx, l, preview.Key{Kind: preview.KindDatabase}, ""))
	do(s.Forget(ctx, l, preview.Key{Kind: preview.KindDatabase}, "")) // what is not there is no error
	if diff := cmp.Diff(known[1:], ledger()); diff != "" {
		t.Errorf("after forgetting (-want +got):\n%s", diff)
	}
	other, _ := acquire(t, s, want(t, s, previewWish(p, 8)))
	do(s.Forget(ctx, other, preview.Key{Kind: preview.KindWorker}, ""))
	if got := ledger(); len(got) != 1 {
		t.Error("another environment's lease forgot our Worker")
	}
}

// A thing may be at two places for a while; what is told of it is of the one that was finished last.
func TestLedgerOfTwoPlaces(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	id := want(t, s, previewWish(storetest.Project(t, s, 1), 7))
	l, e := acquire(t, s, id)
	ctx, key := t.Context(), preview.Key{Kind: preview.KindWorker}
	places := func() (list []string) {
		t.Helper()
		entries, err := s.Ledger(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			list = append(list, entry.Place)
		}
		return list
	}
	shown := func() string {
		t.Helper()
		outputs, err := s.OutputsOf(ctx, []string{id})
		if err != nil {
			t.Fatal(err)
		}
		return outputs[id].URL
	}
	must(t, s.RecordIntent(ctx, l, key, e.Name, "workerd"))
	must(t, s.RecordApplied(ctx, l, key, "workerd", "d", preview.Outputs{URL: "http://here/"}))
	must(t, s.RecordIntent(ctx, l, key, e.Name, "cloudflare/a1"))
	if diff := cmp.Diff([]string{"workerd", "cloudflare/a1"}, places()); diff != "" || shown() != "http://here/" {
		t.Errorf("on the way %s (-want +got):\n%s", shown(), diff)
	}
	must(t, s.RecordApplied(ctx, l, key, "cloudflare/a1", "d", preview.Outputs{URL: "https://there/"}))
	if diff := cmp.Diff([]string{"cloudflare/a1", "workerd"}, places()); diff != "" || shown() != "https://there/" {
		t.Errorf("there %s (-want +got):\n%s", shown(), diff)
	}
	all, err := s.Places(ctx)
	if diff := cmp.Diff([]string{"cloudflare/a1", "workerd"}, all); diff != "" || err != nil {
		t.Errorf("places, %v (-want +got):\n%s", err, diff)
	}
	must(t, s.Forget(ctx, l, key, "workerd"))
	if diff := cmp.Diff([]string{"cloudflare/a1"}, places()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

// Versions are listed by when they served last, each once, and only the holder of the lease writes them.
func TestDeployments(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	id := want(t, s, previewWish(storetest.Project(t, s, 1), 7))
	l, _ := acquire(t, s, id)
	version := func(id, sha string) preview.Deployment {
		return preview.Deployment{Place: "cloudflare/a1", Version: id, SHA: sha}
	}
	for _, d := range []preview.Deployment{version("v1", "a"), version("v2", "b"), version("v3", "c"), version("v1", "a")} {
		must(t, s.RecordDeployment(t.Context(), l, d))
	}
	lost := l
	lost.Token = uuid.NewString()
	if err := s.RecordDeployment(t.Context(), lost, version("v4", "d")); !errors.Is(err, preview.ErrLeaseLost) {
		t.Errorf("without the lease: %v", err)
	}
	for each, want := range map[int][]preview.Deployment{2: {version("v1", "a"), version("v3", "c")}, 9: {version("v1", "a"), version("v3", "c"), version("v2", "b")}} {
		got, err := s.Deployments(t.Context(), []string{id}, each)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[id], cmpopts.IgnoreFields(preview.Deployment{}, "DeployedAt")); diff != "" {
			t.Errorf("%d (-want +got):\n%s", each, diff)
		}
	}
}
