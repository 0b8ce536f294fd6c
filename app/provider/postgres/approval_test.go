package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestDestructiveMigrations: what is pending against the parent is named, and with the policy that
// asks for an approval nothing runs before there is one.
func TestDestructiveMigrations(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	branch(t, s, r)
	source := files("drizzle/1.sql", "CREATE TABLE more (id int);\nDROP TABLE more;", "drizzle/2.sql", "CREATE TABLE x (id int);\n\nALTER TABLE notes\n  DROP COLUMN body CASCADE;")
	want := []preview.Problem{{Path: "drizzle/2.sql", Line: 4,
		Message: "Drops the column body of the table notes: its values are lost, and code that still uses it fails.",
		Hint:    "First deploy code that no longer uses it; drop it in a later pull request, with a backup at hand."}}

	guarded := schemaOf(r, "1")
	guarded.RequireApproval = true
	before := snapshot(t, r)
	_, applied := s.Schema().Apply(t.Context(), guarded, preview.Inputs{Source: source})
	for name, err := range map[string]error{
		"apply": applied,
		"check": s.Schema().CheckApproval(t.Context(), guarded, preview.Inputs{Source: source}),
	} {
		var approval *preview.ApprovalError
		if !errors.As(err, &approval) || preview.Classify(err) != preview.ClassApproval {
			t.Fatalf("%s: %v, want an approval error", name, err)
		}
		if diff := cmp.Diff(want, approval.Problems); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, r)); diff != "" {
		t.Errorf("something was done without an approval: %s", diff)
	}

	guarded.Approved = true
	outputs, err := s.Schema().Apply(t.Context(), guarded, preview.Inputs{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	observed, err := s.Schema().Observe(t.Context(), guarded)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]preview.Problem{"apply": outputs.Warnings, "observe": observed.Outputs.Warnings} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("warnings of %s: %s", name, diff)
		}
	}

	// Another commit with the same migrations, which are applied: they are still pending for the parent.
	guarded.Digest, guarded.Approved = "2", false
	if _, err := s.Schema().Apply(t.Context(), guarded, preview.Inputs{Source: source}); preview.Classify(err) != preview.ClassApproval {
		t.Errorf("the next commit: %v, want an approval error", err)
	}
	harmless := files("drizzle/1.sql", "CREATE TABLE more (id int);")
	if err := s.Schema().CheckApproval(t.Context(), guarded, preview.Inputs{Source: harmless}); err != nil {
		t.Errorf("harmless migrations: %v", err)
	}
}

// TestMigrationsAreWarnedOf: what fails says what else is in the same migrations, and what is no migration is named.
func TestMigrationsAreWarnedOf(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	branch(t, s, r)
	source := files("drizzle/meta/_journal.json", `{"entries":[{"when":1,"tag":"0000_drop"}]}`, "drizzle/0000_drop.sql", "ALTER TABLE notes\n  DROP COLUMN body CASCADE;\nSELECT nothing;",
		"drizzle/0001_by_hand.sql", "SELECT 1", "drizzle/0000_drop.down.sql", "SELECT 1", "drizzle/notes.txt", "")
	unapplied := preview.Problem{Path: "drizzle/0001_by_hand.sql", Line: 1, Warning: true, Message: "is not applied: drizzle-kit's journal (meta/_journal.json) does not name it",
		Hint: "run drizzle-kit generate, with --custom for SQL of your own, and commit what it writes"}

	_, err := s.Schema().Apply(t.Context(), schemaOf(r, "1"), preview.Inputs{Source: source})
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 {
		t.Fatalf("%v, want three problems", err)
	}
	failed, drops, ignored := invalid.Problems[0], invalid.Problems[1], invalid.Problems[2]
	if failed.Warning || failed.Line != 3 || !drops.Warning || drops.Line != 2 || !strings.Contains(drops.Message, "column body") {
		t.Errorf("%+v %+v", failed, drops)
	}
	if diff := cmp.Diff(unapplied, ignored); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(err.Error(), "Drops") {
		t.Errorf("the error is also of what did not fail: %v", err)
	}

	source["drizzle/0000_drop.sql"] = files("x", "SELECT 1")["x"]
	outputs := mustMigrate(t, s, r, "2", source)
	if diff := cmp.Diff([]preview.Problem{unapplied}, outputs.Unapplied); diff != "" {
		t.Error(diff)
	}
}
