package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

// orphans gives what is found, as "where name: what became of it".
func (w *world) orphans(database string, how SweepOptions) []string {
	w.t.Helper()
	w.config["DATABASE_URL"] = database
	c, err := config.Load(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
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
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// TestSweep: what a closed pull request left at clouds is found, and deleted only when asked to; what an open one has is none, and
// what another server may have made takes one more word.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newCloudWorld(t, filesIn(t, "../demo/sample"), shopSQL(t))
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
