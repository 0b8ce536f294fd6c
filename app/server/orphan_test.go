package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
)

// orphans gives what is found, as "where name: what became of it".
func (w *world) orphans(database string, how SweepOptions) []string {
	w.t.Helper()
	lines, err := w.swept(database, how)
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

func (w *world) swept(database string, how SweepOptions) (lines []string, err error) {
	w.t.Helper()
	w.config["DATABASE_URL"] = database
	c, err := config.Load(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	err = Sweep(w.t.Context(), c, w.options, how, func(o Orphan) {
		what := "left"
		if o.Deleted {
			what = "deleted"
		}
		if o.Foreign {
			what += ", foreign"
		}
		if o.Err != nil {
			what += ": " + o.Err.Error()
		}
		lines = append(lines, o.Where+" "+o.Name+": "+what)
	})
	slices.Sort(lines)
	return lines, err
}

// inTable has the accounts of the variables in the operator's table, where the server of branches is nobody's.
func (w *cloudWorld) inTable(variables map[string]string) map[string]string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "tenants.yml")
	table := fmt.Sprintf("tenants: [{account: acme, neon: {api_key: %s, api_url: '%s', project_id: %s, branches: {main: main}}, cloudflare: {api_token: %s, api_url: '%s', account_id: %s}, "+
		"postman: {api_key: %s, api_url: '%s', workspace_id: %s}}]", neonKey, w.neon.URL(), w.neon.ProjectID(), cloudflareToken, w.cloudflare.URL(), w.cloudflare.AccountID(),
		postmanKey, w.postman.URL(), w.postman.Team())
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		w.t.Fatal(err)
	}
	variables = maps.Clone(variables)
	maps.DeleteFunc(variables, func(name, _ string) bool {
		return strings.HasPrefix(name, "NEON_") || strings.HasPrefix(name, "CLOUDFLARE_") || strings.HasPrefix(name, "POSTMAN_")
	})
	maps.Copy(variables, map[string]string{"FLARESMITH_TENANTS_FILE": file, "FLARESMITH_ALLOWED_ORGS": "", "FLARESMITH_BRANCH_DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"})
	return variables
}

// TestSweep: what a closed pull request left at clouds is found, and deleted only when asked to; what an open one has is none, and
// what another server may have made takes one more word.
func TestSweep(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorld(t, filesIn(t, shopMain), shopSQL(t))
	_, name := w.made()
	database := w.config["DATABASE_URL"]
	want := func(what string) []string {
		return []string{"cloudflare " + name + ": " + what, "neon " + name + ": " + what, "postman " + name + ": " + what}
	}
	check := func(when string, database string, how SweepOptions, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, w.orphans(database, how)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	all := SweepOptions{Delete: true, Foreign: true}
	check("open", database, all, nil)
	w.settle()
	w.stop()

	other := embeddedtest.Database(t)
	if err := store.Migrate(t.Context(), preview.Secret(other)); err != nil {
		t.Fatal(err)
	}
	check("another server's database", other, SweepOptions{Delete: true}, want("left, foreign"))

	// A restored backup of the time before, say.
	query(t, database, `DELETE FROM resources; UPDATE environments SET state = 'archived', closed = true`)
	check("looked at", database, SweepOptions{}, want("left"))
	variables := maps.Clone(w.config)
	w.config["CLOUDFLARE_DRIVER"] = "worker-previews"
	check("left by another driver", database, SweepOptions{}, want("left"))
	w.config = w.inTable(variables)
	check("accounts of the operator's table alone", database, SweepOptions{}, want("left"))
	w.config["FLARESMITH_ALLOWED_ORGS"], w.config["FLARESMITH_PARENTS"] = "acme", "main=shop" // at a server of branches that does not answer
	if lines, err := w.swept(database, SweepOptions{}); err == nil || !slices.Equal(lines, want("left")) {
		t.Errorf("beside a server of branches that does not answer: %v, %v", lines, err)
	}
	w.config = variables
	query(t, database, `UPDATE environments SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour'`)
	c, err := config.Load(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := Sweep(t.Context(), c, w.options, all, func(Orphan) {}); err == nil || !strings.Contains(err.Error(), preview.ErrLeased.Error()) {
		t.Errorf("while a pass has it: %v", err)
	}
	query(t, database, `UPDATE environments SET lease_token = NULL, lease_until = NULL`)
	check("deleted", database, SweepOptions{Delete: true}, want("deleted"))
	check("afterwards", database, all, nil)
}

// TestSweepHere: what is left at the server of branches is found and deleted, what other servers have there stays, and who may connect is
// not changed.
func TestSweepHere(t *testing.T) { // not beside others: a server that starts closes all databases to PUBLIC
	database, admin := embeddedtest.Database(t), embeddedtest.Postgres(t)
	if err := store.Migrate(t.Context(), preview.Secret(database)); err != nil {
		t.Fatal(err)
	}
	known, err := store.Open(t.Context(), preview.Secret(database), store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	project, err := known.EnsureProject(t.Context(), preview.Repository{InstallationID: 1, RepoID: 2, Owner: "acme", Name: "shop", DefaultBranch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	parent, err := url.Parse(embeddedtest.Database(t))
	if err != nil {
		t.Fatal("the parent's URL does not parse")
	}
	from := strings.TrimPrefix(parent.Path, "/")
	branches, err := postgres.New(t.Context(), postgres.Config{AdminURL: preview.Secret(admin), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(branches.Close)
	ours, theirs := "preview-swept-pr-1", "preview-notswept-pr-1"
	for name, owner := range map[string]string{ours: project.ID, theirs: uuid.NewString()} {
		r := preview.Resource{Kind: preview.KindDatabase, Name: name, Parent: from, Digest: "1", Mark: preview.Mark{Project: owner, Environment: uuid.NewString()}}
		if _, err := branches.Branches().Apply(t.Context(), r, preview.Inputs{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := branches.Branches().Delete(context.WithoutCancel(t.Context()), r); err != nil {
				t.Error(err)
			}
		})
	}
	c, err := config.Load(map[string]string{"DATABASE_URL": database, "FLARESMITH_BRANCH_DATABASE_URL": admin, "FLARESMITH_ALLOWED_ORGS": "acme", "FLARESMITH_PARENTS": "main=" + from,
		"MASTER_ENC_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})
	if err != nil {
		t.Fatal(err)
	}
	query(t, admin, `GRANT CONNECT ON DATABASE `+from+` TO PUBLIC`)
	for _, tt := range []struct {
		how  SweepOptions
		want map[string]bool // deleted
	}{
		{SweepOptions{}, map[string]bool{ours: false, theirs: false}},
		{SweepOptions{Delete: true}, map[string]bool{ours: true, theirs: false}},
		{SweepOptions{Delete: true}, map[string]bool{theirs: false}},
	} {
		got := map[string]bool{}
		if err := Sweep(t.Context(), c, Options{}, tt.how, func(o Orphan) {
			if o.Name == ours || o.Name == theirs { // beside those of tests that run meanwhile
				got[o.Name] = o.Deleted
			}
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.how, diff)
		}
	}
	if open := query(t, admin, `SELECT datname FROM pg_database WHERE datname = '`+from+`' AND has_database_privilege('public', oid, 'CONNECT')`); len(open) != 1 {
		t.Error("the server of branches was changed")
	}
}
