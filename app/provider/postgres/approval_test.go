package postgres_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// TestDestructiveMigrations: what is pending against the parent is named, and with the policy that
// asks for an approval nothing runs before there is one.
func TestDestructiveMigrations(t *testing.T) {
	t.Parallel()
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
