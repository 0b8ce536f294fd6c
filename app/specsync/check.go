package specsync

import (
	"fmt"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// CheckName is the name of the check run about specs.
const CheckName = "Flaresmith / Spec"

// GitHub's words for how a check run ended.
const (
	success        = "success"
	failure        = "failure"
	actionRequired = "action_required"
	skipped        = "skipped"
)

const maxListed = 30 // of each kind in a summary

// applyAction is the button; its identifier is the slash command without the prefix.
func applyAction() report.Action {
	return report.Action{Label: "Apply", Description: "Commit what the specs ask for", Identifier: "spec apply"}
}

// checkOf words a result. The conclusion is success where all is as the specs say, action_required where applying
// makes it so, failure where a person has to change something first, and skipped where there is nothing to compare.
func checkOf(pr preview.PullRequest, r Result) report.Check {
	c := completed(pr)
	switch {
	case r.NoSpecs:
		c.Conclusion, c.Title = skipped, "There are no specs"
		c.Summary = "This commit has no folder `specs`, and nothing that was generated from one.\n"
		return c
	case len(r.Problems) > 0:
		c.Conclusion, c.Title = failure, count(len(r.Problems), "problem")+" in the specs"
		c.Annotations = r.Problems
		c.Summary = "Nothing can be generated from these specs.\n\n" + problemList(r.Problems)
		return c
	}
	switch r.Report.Summary.Status {
	case drift.Conflicts:
		c.Conclusion, c.Title = failure, r.Report.ConflictTitle()
	case drift.Drift:
		c.Conclusion, c.Title = actionRequired, count(len(r.Report.ChangedFiles), "file")+" not as the specs say"
		if !pr.Fork {
			c.Actions = []report.Action{applyAction()}
		}
	default:
		c.Conclusion, c.Title = success, fmt.Sprintf("All files are as the specs say (%d)", r.Report.Summary.TotalFiles)
	}
	c.Annotations, c.Summary = annotations(r), summary(pr, r.Report)
	return c
}

// skippedCheck is for a head that touches no specs, where an earlier one did.
func skippedCheck(pr preview.PullRequest) report.Check {
	c := completed(pr)
	c.Conclusion, c.Title = skipped, "No specs are touched"
	c.Summary = "This pull request changes neither specs nor what is said of them.\n"
	return c
}

func completed(pr preview.PullRequest) report.Check {
	return report.Check{Name: CheckName, HeadSHA: pr.HeadSHA, ExternalID: fmt.Sprintf("spec:%d", pr.Number), Status: "completed"}
}

// annotations point at the first line that drifted of each file that is there, and at what is in the way.
func annotations(r Result) []preview.Problem {
	var list []preview.Problem
	for _, c := range r.Report.Conflicts {
		list = append(list, preview.Problem{Path: c.Path, Line: max(c.Line, 1), Column: c.Column, Message: string(c.Reason) + ": " + c.Resolution})
	}
	for _, c := range r.Report.ChangedFiles {
		if c.ChangeType == drift.Created { // there is no line of it
			continue
		}
		list = append(list, preview.Problem{Path: c.Path, Line: r.lines[c.Path],
			Message: fmt.Sprintf("Not as the specs say: the file is to be %s (+%d −%d).", c.ChangeType, c.LinesAdded, c.LinesRemoved)})
	}
	return list
}

func summary(pr preview.PullRequest, r drift.Report) string {
	var b strings.Builder
	switch {
	case r.Summary.Status == drift.Clean:
		b.WriteString("What is generated is what the specs ask for.\n")
	case r.Summary.HasConflicts:
		b.WriteString("**What to do:** resolve the conflicts. Nothing is written before that, and files that were changed by hand are never overwritten.\n")
	case pr.Fork:
		b.WriteString("**What to do:** run `spec-apply` in the fork and push what it writes. Nothing is committed to forks from here.\n")
	default:
		b.WriteString("**What to do:** press *Apply*, or comment `/flaresmith spec apply`: what the specs ask for is committed to this branch.\n")
	}
	conflictSection(&b, r)
	section(&b, "Files", len(r.ChangedFiles), func(i int) string {
		c := r.ChangedFiles[i]
		return fmt.Sprintf("%s %s (+%d −%d)", report.CodeSpan(clip(c.Path)), c.ChangeType, c.LinesAdded, c.LinesRemoved)
	})
	section(&b, "Breaking", len(r.BreakingChanges), func(i int) string {
		c := r.BreakingChanges[i]
		return fmt.Sprintf("%s %s: %s", c.Kind, report.CodeSpan(clip(c.Name)), report.Escape(clip(c.Note)))
	})
	section(&b, "Notes", len(r.Notes), func(i int) string { return report.Escape(clip(r.Notes[i].String())) })
	return b.String()
}

func conflictSection(b *strings.Builder, r drift.Report) {
	section(b, "Conflicts", len(r.Conflicts), func(i int) string {
		c := r.Conflicts[i]
		place := c.Path
		if c.Line > 0 {
			place = fmt.Sprintf("%s:%d", c.Path, c.Line)
		}
		return fmt.Sprintf("%s %s: %s", report.CodeSpan(clip(place)), report.CodeSpan(string(c.Reason)), report.Escape(clip(c.Resolution)))
	})
}

func section(b *strings.Builder, title string, n int, line func(int) string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "\n**%s**\n\n", title)
	for i := range min(n, maxListed) {
		b.WriteString("- " + line(i) + "\n")
	}
	if n > maxListed {
		fmt.Fprintf(b, "- and %d more\n", n-maxListed)
	}
}

func problemList(problems []preview.Problem) string {
	var b strings.Builder
	section(&b, "Problems", len(problems), func(i int) string { return report.Escape(clip(problems[i].String() + " " + problems[i].Hint)) })
	return b.String()
}

// clip keeps one line of a summary short; all lines together fit what GitHub takes.
func clip(text string) string {
	const most = 300 // characters
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
