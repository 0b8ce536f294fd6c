package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

func check(s Status) *Check {
	status, conclusion := s.Phase.checkState()
	return &Check{
		Name:        "Flaresmith / " + kindTitle(s.Environment.Kind),
		HeadSHA:     s.headSHA(),
		ExternalID:  s.Environment.ID,
		Status:      status,
		Conclusion:  conclusion,
		Title:       title(s),
		Summary:     summary(s),
		Text:        steps(s.Steps),
		DetailsURL:  s.DetailsURL,
		Annotations: annotations(s),
		Actions:     actions(s.Phase),
	}
}

// checkState is GitHub's status and conclusion of a phase.
func (p Phase) checkState() (status, conclusion string) {
	switch p {
	case PhaseQueued:
		return "queued", ""
	case PhaseWorking, PhaseUnavailable:
		return "in_progress", ""
	case PhaseReady:
		return "completed", "success"
	case PhaseNeedsAction:
		return "completed", "action_required"
	case PhaseSkipped, PhaseHeld:
		return "completed", "skipped"
	case PhaseExpired, PhaseClosed:
		return "completed", "neutral"
	}
	return "completed", "failure"
}

// title is plain text of at most 80 characters.
func title(s Status) string {
	detail := ""
	switch s.Phase {
	case PhaseWorking:
		detail = strings.Join(s.Running, ", ")
	case PhaseInvalid:
		detail = s.Reason
		if failures := s.failures(); len(failures) > 0 {
			detail = failures[0].String()
		}
	case PhaseNeedsAction:
		detail = destructiveCount(len(s.failures()))
	case PhaseReady:
		if n := len(s.Outputs.Warnings); n > 0 {
			detail = destructiveCount(n)
		}
		if len(s.Outputs.BehindParent) > 0 {
			detail = "behind the parent"
		}
	case PhaseClosed, PhaseHeld, PhaseExpired:
	default:
		detail = s.Reason
	}
	text := s.headline()
	if detail = oneLine(detail); detail != "" {
		text += ": " + detail
	}
	return clip(text, maxTitle)
}

func summary(s Status) string {
	var b strings.Builder
	if s.Reason != "" {
		b.WriteString(Escape(clip(s.Reason, 500)) + "\n\n")
	}
	b.WriteString(parts(s))
	if until := s.until(); until != "" {
		fmt.Fprintf(&b, "It lives until **%s**.\n\n", until)
	}
	b.WriteString(stillServes(s))
	b.WriteString(problemList(s.problemHeading(), s.failures()))
	b.WriteString(problemList("Problems in the changed configuration, which is not in force before the merge", s.ConfigProblems))
	b.WriteString(problemList("Problems in the default branch's configuration: the last valid one stays in force until they are mended", s.PolicyProblems))
	b.WriteString(warningList(s))
	b.WriteString(changes(s))
	if next := s.next(); next != "" {
		b.WriteString("**Next:** " + next + "\n")
	}
	text, _ := clipLines(b.String(), maxSummary)
	return text
}

// parts is a table of what the environment is made of: what, state, where.
func parts(s Status) string {
	if s.Phase.absent() {
		return ""
	}
	o := s.Outputs
	var b strings.Builder
	b.WriteString("| What | State | Where |\n| --- | --- | --- |\n")
	row := func(what, state, where string) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", what, state, where)
	}
	row("Database", present(s, o.DatabaseName != ""), codeCell(clip(o.DatabaseName, 80)))
	row("Migrations", present(s, o.DatabaseName != ""), migrationsCell(o))
	if len(o.Workers) == 0 {
		row("Worker", present(s, o.URL != ""), address(o.URL))
	}
	for _, w := range o.Workers {
		row("Worker "+codeCell(w.Name), present(s, true), address(w.URL))
	}
	row("API collection", present(s, len(o.Files) > 0), filesCell(o.Files))
	b.WriteString("\n")
	return b.String()
}

// present is the state of a part in one word.
func present(s Status, exists bool) string {
	switch {
	case exists && (s.Phase == PhaseWorking || s.Phase == PhaseQueued):
		return "there, updating"
	case exists && s.Phase.failing() && s.Environment.GoodSHA == "":
		return "not ready yet"
	case exists && s.Phase.failing():
		return "of the last good commit"
	case exists:
		return "ready"
	case s.Phase == PhaseReady:
		return "none"
	case s.Phase == PhaseWorking:
		return "being made"
	}
	return "not there"
}

// destructiveCount says how many warnings there are.
func destructiveCount(n int) string {
	if n == 1 {
		return "1 destructive statement"
	}
	return fmt.Sprintf("%d destructive statements", n)
}

func migrationsCell(o preview.Outputs) string {
	switch {
	case o.DatabaseName == "":
		return ""
	case len(o.Migrations) == 0:
		return "as the parent"
	case len(o.Migrations) == 1:
		return "1 beyond the parent"
	}
	return fmt.Sprintf("%d beyond the parent", len(o.Migrations))
}

func filesCell(files []string) string {
	shown := files[:min(len(files), 4)]
	cells := make([]string, len(shown))
	for i, file := range shown {
		cells[i] = codeCell(clip(file, 120))
	}
	text := strings.Join(cells, ", ")
	if more := len(files) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// address shows a URL, as a link if it may be one.
func address(url string) string {
	if linkable(url) {
		return "<" + url + ">"
	}
	return codeCell(clip(url, 200))
}

// steps is a table of what the last pass did; empty when it did nothing.
func steps(list []Step) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| Step | Did | Result | Took |\n| --- | --- | --- | --- |\n")
	for _, step := range list[:min(len(list), maxShown)] {
		result := "ok"
		if !step.OK {
			result = "failed"
			if step.Error != "" {
				result = "failed: " + Escape(clip(step.Error, 300))
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", Escape(clip(step.Name, 60)), Escape(clip(step.Op, 30)),
			result, step.Duration.Round(10*time.Millisecond))
	}
	return b.String()
}

// annotations puts problems at their lines. Those of a changed configuration are no failure, and
// say so.
func annotations(s Status) []preview.Problem {
	var list []preview.Problem
	for _, p := range s.Problems {
		if p.Path != "" {
			list = append(list, p)
		}
	}
	if s.Phase == PhaseReady {
		list = append(append(list, s.Outputs.Warnings...), s.Outputs.Unapplied...)
	}
	for _, p := range s.ConfigProblems {
		if p.Path != "" {
			p.Message = "After the merge: " + p.Message
			list = append(list, p)
		}
	}
	return list
}

// actions is what a person may press, at most three.
func actions(phase Phase) []Action {
	var (
		rebuild = Action{Label: "Rebuild", Description: "Recreate everything from the parent", Identifier: string(preview.VerbRebuild)}
		reset   = Action{Label: "Reset database", Description: "Give it a fresh copy of the parent", Identifier: string(preview.VerbResetDB)}
		destroy = Action{Label: "Destroy", Description: "Remove it until somebody wants it back", Identifier: string(preview.VerbDestroy)}
		approve = Action{Label: "Approve", Description: "Migrate this commit although it destroys", Identifier: string(preview.VerbApprove)}
		bring   = Action{Label: "Create preview", Description: "Bring this preview back", Identifier: string(preview.VerbPreview)}
	)
	switch phase {
	case PhaseReady, PhaseInvalid, PhaseFailed, PhaseOutage:
		return []Action{rebuild, reset, destroy}
	case PhaseNeedsAction:
		return []Action{approve, destroy}
	case PhaseQueued, PhaseWorking, PhaseUnavailable:
		return []Action{destroy}
	case PhaseHeld, PhaseExpired:
		return []Action{bring}
	}
	return nil
}

// MergeGroupCheck answers for a commit of a merge queue, so that a required check never blocks it.
func MergeGroupCheck(sha string) Check {
	return Check{
		Name: CheckName, HeadSHA: sha, ExternalID: "merge-group:" + sha,
		Status: "completed", Conclusion: "neutral",
		Title:   "Merge groups get no preview",
		Summary: "Previews are made for pull requests. A merge group passes this check without one.",
	}
}
