package specsync

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// judged is a report of these changes and conflicts, with the status that they make.
func judged(changes []drift.Change, conflicts ...drift.Conflict) drift.Report {
	r := drift.Report{ChangedFiles: changes, Conflicts: conflicts}
	r.Mismatch(nil)
	return r
}

func TestCheckOf(t *testing.T) {
	t.Parallel()
	modified := drift.Change{Path: "src/db/schema.ts", ChangeType: drift.Modified, LinesAdded: 2, LinesRemoved: 1}
	created := drift.Change{Path: "src/new.ts", ChangeType: drift.Created, LinesAdded: 9}
	byHand := drift.Conflict{Path: "src/mine.ts", Reason: drift.ManualDivergence, Resolution: "Move it away."}
	mismatch := drift.Conflict{Path: "specs/001-shop/spec.md", Reason: drift.SchemaMismatch, Resolution: "Say one thing.", Line: 7, Column: 3}
	tests := []struct {
		name        string
		pr          preview.PullRequest
		result      Result
		conclusion  string
		title       string
		actions     int
		annotations []preview.Problem
		says        string
	}{
		{name: "no specs", result: Result{NoSpecs: true}, conclusion: "skipped", title: "There are no specs", says: "no folder `specs`"},
		{name: "invalid specs", result: Result{Problems: []preview.Problem{{Path: "specs/a.yaml", Line: 3, Message: "There is no type *x*.", Hint: "Name one."}}},
			conclusion: "failure", title: "1 problem in the specs", annotations: []preview.Problem{{Path: "specs/a.yaml", Line: 3, Message: "There is no type *x*.", Hint: "Name one."}},
			says: `There is no type \*x\*. Name one.`},
		{name: "drift", result: Result{Report: judged([]drift.Change{modified, created}), lines: map[string]int{modified.Path: 12}},
			conclusion: "action_required", title: "2 files not as the specs say", actions: 1,
			annotations: []preview.Problem{{Path: modified.Path, Line: 12, Message: "Not as the specs say: the file is to be modified (+2 −1)."}}, says: "press *Apply*"},
		{name: "drift in a fork", pr: preview.PullRequest{Fork: true}, result: Result{Report: judged([]drift.Change{created})},
			conclusion: "action_required", title: "1 file not as the specs say", says: "in the fork"},
		{name: "a file in the way", result: Result{Report: judged([]drift.Change{modified}, byHand), lines: map[string]int{modified.Path: 2}},
			conclusion: "failure", title: "1 file in the way of what the specs say", says: "resolve the conflicts",
			annotations: []preview.Problem{{Path: byHand.Path, Line: 1, Message: "MANUAL_DIVERGENCE: Move it away."}, // before what only drifted
				{Path: modified.Path, Line: 2, Message: "Not as the specs say: the file is to be modified (+2 −1)."}}},
		{name: "specs that contradict themselves", result: Result{Report: judged(nil, mismatch)},
			conclusion: "failure", title: "The specs contradict themselves in 1 place", says: "`specs/001-shop/spec.md:7`",
			annotations: []preview.Problem{{Path: mismatch.Path, Line: 7, Column: 3, Message: "SCHEMA_MISMATCH: Say one thing."}}},
		{name: "both", result: Result{Report: judged(nil, byHand, mismatch, mismatch)}, conclusion: "failure",
			title:       "1 file in the way of what the specs say, and the specs contradict themselves in 2 places",
			annotations: annotations(Result{Report: judged(nil, byHand, mismatch, mismatch)}), says: "**Conflicts**"},
		{name: "all as it should be", result: Result{Report: drift.Report{Summary: drift.Summary{Status: drift.Clean, TotalFiles: 14}}},
			conclusion: "success", title: "All files are as the specs say (14)", says: "what the specs ask for"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.pr.Number, tt.pr.HeadSHA = 7, "abc"
			got := checkOf(tt.pr, tt.result)
			want := report.Check{Name: CheckName, HeadSHA: "abc", ExternalID: "spec:7", Status: "completed", Conclusion: tt.conclusion, Title: tt.title, Annotations: tt.annotations}
			if !strings.Contains(got.Summary, tt.says) {
				t.Errorf("the summary does not say %q: %s", tt.says, got.Summary)
			}
			if len(got.Actions) != tt.actions {
				t.Errorf("buttons: %+v", got.Actions)
			}
			got.Summary, got.Actions = "", nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("check (-want +got):\n%s", diff)
			}
		})
	}
}

// What GitHub would cut is cut where a person can tell, and what is left out is counted.
func TestSummaryIsBounded(t *testing.T) {
	t.Parallel()
	var r drift.Report
	for i := range 1000 {
		r.ChangedFiles = append(r.ChangedFiles, drift.Change{Path: fmt.Sprintf("src/%03d/%s", i, strings.Repeat("long", 200)), ChangeType: drift.Created})
		r.Conflicts = append(r.Conflicts, drift.Conflict{Path: strings.Repeat("ü", 2000), Reason: drift.ManualDivergence, Resolution: strings.Repeat("x", 2000)})
		r.BreakingChanges = append(r.BreakingChanges, drift.BreakingChange{Kind: "column", Name: strings.Repeat("n", 2000), Note: strings.Repeat("y", 2000)})
	}
	r.Mismatch(nil)
	text := summary(preview.PullRequest{}, r)
	if n := utf8.RuneCountInString(text); n > 65_535 {
		t.Errorf("%d characters", n)
	}
	if n := strings.Count(text, "- and 970 more\n"); n != 3 {
		t.Errorf("what is left out is counted %d times, want 3", n)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	r := drift.Report{}
	if diff := cmp.Diff("Apply the specs\n\nThe specs changed, and what is made of them with them.\n\nAsked for by octo-dev.\n", message(r, "octo-dev")); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	for i := range 25 {
		r.BreakingChanges = append(r.BreakingChanges, drift.BreakingChange{Kind: "column", Name: fmt.Sprintf("product.c%d", i)})
	}
	text := message(r, "octo-dev")
	if n := strings.Count(text, "Breaking: column product.c"); n != 20 || !strings.Contains(text, "\nand 5 more breaking changes\n") {
		t.Errorf("%d breaking changes: %s", n, text)
	}
	if strings.Contains(text, "@") {
		t.Errorf("somebody is mentioned: %s", text)
	}
}
