package workflow

import (
	"context"
	"path"
	"slices"
	"strings"
	"unicode"

	gh "github.com/google/go-github/v62/github"
)

// GitHub's limits of a check run, and ours.
const (
	annotationBatch   = 50
	maxAnnotations    = 1000 // twenty requests
	maxCheckTitle     = 250
	maxAnnotationText = 4000
)

// checkRun makes a completed check run with the report and gives its address. Annotations beyond a request's
// limit are added by further ones.
func (s *Step) checkRun(ctx context.Context, r Report) (string, error) {
	client, err := s.client()
	if err != nil {
		return "", err
	}
	owner, name := s.context.Repo()
	batches := slices.Collect(slices.Chunk(checkAnnotations(r), annotationBatch))
	if len(batches) == 0 {
		batches = [][]*gh.CheckRunAnnotation{nil}
	}
	conclusion := "failure"
	if r.Passed {
		conclusion = "success"
	}
	output := &gh.CheckRunOutput{Title: gh.String(clip(plain(r.Title), maxCheckTitle)), Summary: gh.String(s.summary(r, maxCheckOutput)), Annotations: batches[0]}
	run, _, err := client.Checks.CreateCheckRun(ctx, owner, name, gh.CreateCheckRunOptions{
		Name: r.Check, HeadSHA: s.Event.Head, Status: gh.String("completed"), Conclusion: &conclusion, Output: output})
	if err != nil {
		return "", err
	}
	for _, batch := range batches[1:] {
		output.Annotations = batch
		if _, _, err := client.Checks.UpdateCheckRun(ctx, owner, name, run.GetID(), gh.UpdateCheckRunOptions{Name: r.Check, Output: output}); err != nil {
			return run.GetHTMLURL(), err
		}
	}
	return run.GetHTMLURL(), nil
}

// checkAnnotations puts annotations in the API's form. One bad path would make GitHub refuse all of them,
// so what is at none or at a strange one is in the summary only.
func checkAnnotations(r Report) []*gh.CheckRunAnnotation {
	var list []*gh.CheckRunAnnotation
	for _, a := range r.Annotations[:min(len(r.Annotations), maxAnnotations)] {
		if a.Path == "" || path.IsAbs(a.Path) || path.Clean(a.Path) != a.Path || strings.HasPrefix(a.Path, "..") || len(a.Path) > 1000 ||
			strings.ContainsFunc(a.Path, unicode.IsControl) {
			continue
		}
		line := max(a.Line, 1)
		note := &gh.CheckRunAnnotation{Path: gh.String(a.Path), StartLine: gh.Int(line), EndLine: gh.Int(max(line, a.EndLine)),
			AnnotationLevel: gh.String(map[Level]string{Error: "failure", Warning: "warning", Notice: "notice"}[a.Level]),
			Title:           gh.String(clip(plain(a.Title), maxCheckTitle)), Message: gh.String(clip(a.Message, maxAnnotationText))}
		if a.Column > 0 && a.EndLine <= line { // GitHub takes columns within one line only
			note.StartColumn, note.EndColumn = gh.Int(a.Column), gh.Int(max(a.Column, a.EndColumn))
		}
		list = append(list, note)
	}
	return list
}

// noCheckRun says why there is none, and what would change that.
func (s *Step) noCheckRun(err error) string {
	switch {
	case refused(err) && s.Event.Restricted != "":
		return "There is no check run: " + s.Event.Restricted + ", and the token of such a run may only read. Annotations and this summary have everything."
	case refused(err):
		return "There is no check run: the token may not write one. Give the job `checks: write` to have it, or set check-run: off to be told no more."
	}
	return "There is no complete check run: " + tellable(err) + "."
}
