package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/flaresmith/flaresmith/action/workflow"
	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// What spec-apply does with the files it wrote.
const (
	writeFiles  = "files"
	writeCommit = "commit"
	writePull   = "pull-request"
)

// specBranch is what the branch of a pull request begins with; the branch that it goes into follows.
const specBranch = "flaresmith/spec-apply-"

// maxNotes is how many of a kind a summary shows.
const maxNotes = 20

func stepSpecCheck(ctx context.Context, step *workflow.Step) (workflow.Report, int, error) {
	o := specApply{dir: step.Input("dir", "."), targets: step.List("targets"), check: true}
	if err := specInputs(step, o.dir); err != nil {
		return workflow.Report{}, exitFailed, err
	}
	report, err := o.run(ctx)
	if err != nil {
		return specProblems(o.dir, err)
	}
	outputs, err := specOutputs(step, report)
	if err != nil {
		return workflow.Report{}, exitFailed, err
	}
	r := workflow.Report{Status: string(report.Summary.Status), Annotations: specAnnotations(o.dir, report), Outputs: outputs, Notes: specNotes(report)}
	switch report.Summary.Status {
	case drift.Conflicts:
		r.Title = report.ConflictTitle()
		return r, exitConflicts, nil
	case drift.Drift:
		r.Title = fmt.Sprintf("%s not as the specs say", plural(len(report.ChangedFiles), "file"))
		r.Advice = "**What to do:** run `spec-apply` and commit what it writes."
		return r, exitFound, nil
	}
	r.Passed, r.Title = true, fmt.Sprintf("All files are as the specs say (%d)", report.Summary.TotalFiles)
	return r, exitOK, nil
}

func stepSpecApply(ctx context.Context, step *workflow.Step) (workflow.Report, int, error) {
	o := specApply{dir: step.Input("dir", "."), targets: step.List("targets"), unattended: true}
	to := step.Choice("write", writeFiles, writeFiles, writeCommit, writePull)
	if err := specInputs(step, o.dir); err != nil {
		return workflow.Report{}, exitFailed, err
	}
	if to != writeFiles {
		if err := step.MayCommit(ctx, o.dir, to == writePull); err != nil {
			return workflow.Report{}, exitFailed, err
		}
	}
	report, err := o.run(ctx)
	if err != nil {
		return specProblems(o.dir, err)
	}
	outputs, err := specOutputs(step, report)
	if err != nil {
		return workflow.Report{}, exitFailed, err
	}
	r := workflow.Report{Outputs: outputs, Notes: specNotes(report)}
	switch {
	case report.Summary.HasConflicts:
		r.Status, r.Annotations = string(drift.Conflicts), specAnnotations(o.dir, report)
		r.Title = report.ConflictTitle() + "; nothing was written"
		return r, exitConflicts, nil
	case len(report.ChangedFiles) == 0:
		r.Status, r.Passed, r.Title = string(drift.Clean), true, "All files are as the specs say"
		return r, exitOK, nil
	}
	r.Status, r.Passed = "applied", true
	r.Title = plural(len(report.ChangedFiles), "file") + " written"
	for _, c := range report.ChangedFiles[:min(len(report.ChangedFiles), maxNotes)] {
		r.Notes = append(r.Notes, fmt.Sprintf("%s %s (+%d −%d)", c.Path, c.ChangeType, c.LinesAdded, c.LinesRemoved))
	}
	if more := len(report.ChangedFiles) - maxNotes; more > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("and %d more files in the report's file", more))
	}
	if to == writeFiles {
		return r, exitOK, nil
	}
	commit := workflow.Commit{Dir: o.dir, Message: "Apply the specs", Paths: changedPaths(report)}
	if to == writePull {
		commit.Branch, commit.Body = specBranch+step.Base(), "The specs changed, and what is made of them with them."+breakingText(report)
	}
	done, err := step.Commit(ctx, commit)
	if err != nil {
		return r, exitFailed, err
	}
	r.Outputs["pull-request-url"], r.Outputs["commit"] = done.PullURL, done.ID
	r.Title += " and committed"
	if done.PullURL != "" {
		r.Advice = "<" + done.PullURL + ">"
	}
	return r, exitOK, nil
}

func specInputs(step *workflow.Step, dir string) error {
	if !filepath.IsLocal(dir) {
		return errors.Join(step.CheckInputs(), fmt.Errorf("input dir: %q: want a folder of the checkout", dir))
	}
	return step.CheckInputs()
}

// specProblems is the report of specs that are wrong.
func specProblems(dir string, err error) (workflow.Report, int, error) {
	var problems spec.Problems
	if !errors.As(err, &problems) {
		return workflow.Report{}, exitFailed, err
	}
	r := workflow.Report{Status: "invalid", Title: plural(len(problems), "problem") + " in the specs"}
	for _, p := range problems {
		r.Annotations = append(r.Annotations, workflow.Annotation{Level: workflow.Error, Title: "Spec", Message: p.Message,
			Path: inRepository(dir, p.File), Line: p.Line, Column: p.Column, EndLine: p.Line, EndColumn: p.Column})
	}
	return r, exitFailed, nil
}

// specAnnotations points at the first line of each file that apply would change, and at what is in the way.
func specAnnotations(dir string, report drift.Report) []workflow.Annotation {
	var list []workflow.Annotation
	for _, c := range report.Conflicts {
		list = append(list, workflow.Annotation{Level: workflow.Error, Title: string(c.Reason), Message: c.Resolution, Path: inRepository(dir, c.Path),
			Line: max(c.Line, 1), Column: c.Column, EndLine: max(c.Line, 1), EndColumn: c.Column})
	}
	for _, c := range report.ChangedFiles {
		line := 1
		if before, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(c.Path))); err == nil && c.ChangeType == drift.Modified {
			line = firstDifference(before, c.After())
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			line = 0
		}
		list = append(list, workflow.Annotation{Level: workflow.Error, Title: "Not as the specs say", Path: inRepository(dir, c.Path), Line: line, EndLine: line,
			Absent: c.ChangeType == drift.Created, Message: fmt.Sprintf("%s is to be %s (+%d −%d).", c.Path, c.ChangeType, c.LinesAdded, c.LinesRemoved)})
	}
	return list
}

// firstDifference is the number of the first line in which two texts differ.
func firstDifference(a, b []byte) int {
	line := 1
	for len(a) > 0 && len(b) > 0 {
		first, restA, _ := bytes.Cut(a, []byte("\n"))
		second, restB, _ := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(first, second) {
			return line
		}
		a, b = restA, restB
		line++
	}
	return line
}

// inRepository is a path below the folder as the repository has it.
func inRepository(dir, name string) string { return path.Join(filepath.ToSlash(dir), name) }

func changedPaths(report drift.Report) []string {
	var list []string
	for _, c := range report.ChangedFiles {
		list = append(list, c.Path)
	}
	return append(list, drift.ManifestPath)
}

func breaking(b drift.BreakingChange) string { return fmt.Sprintf("%s %s: %s", b.Kind, b.Name, b.Note) }

// breakingText lists what breaks people who rely on it, as Markdown; empty: nothing.
func breakingText(report drift.Report) string {
	if len(report.BreakingChanges) == 0 {
		return ""
	}
	text := "\n\n**Breaking:**\n"
	for _, b := range report.BreakingChanges[:min(len(report.BreakingChanges), maxNotes)] {
		text += "\n- " + workflow.Escape(breaking(b))
	}
	return text + "\n"
}

func specNotes(report drift.Report) []string {
	var list []string
	for _, b := range report.BreakingChanges[:min(len(report.BreakingChanges), maxNotes)] {
		list = append(list, "Breaking: "+breaking(b))
	}
	if more := len(report.BreakingChanges) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more breaking changes in the report's file", more))
	}
	return append(list, otherNotes(report)...)
}

func otherNotes(report drift.Report) []string {
	var list []string
	for _, n := range report.Notes[:min(len(report.Notes), maxNotes)] {
		list = append(list, n.String())
	}
	if more := len(report.Notes) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more notes in the report's file", more))
	}
	return list
}

// specOutputs writes the report's file and gives the outputs.
func specOutputs(step *workflow.Step, report drift.Report) (map[string]string, error) {
	dir, err := os.MkdirTemp(step.TempDir(), "flaresmith-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the report: %w", err)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "spec-apply.json")
	if err := os.WriteFile(name, append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	paths := changedPaths(report)
	return map[string]string{"report-path": name, "changed-files": workflow.JSONList(paths[:len(paths)-1])}, nil
}
