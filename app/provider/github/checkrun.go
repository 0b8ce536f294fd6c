package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// GitHub's limits of a check run.
const (
	maxCheckTitle       = 255
	maxCheckText        = 65_535
	annotationBatch     = 50
	maxAnnotations      = 200 // ours: four requests
	maxAnnotationText   = 4_000
	maxActions          = 3
	maxActionLabel      = 20
	maxActionText       = 40
	maxActionIdentifier = 20
)

// check brings the check run up to date. Another commit gets a run of its own; so do other
// annotations on the same commit, since GitHub adds to them and never takes one away.
func (w *publisher) check(ctx context.Context, c *report.Check) error {
	if c == nil {
		return nil
	}
	compared := *c
	compared.Text = ""
	want, err := digest(compared)
	if err != nil || (w.state.CheckSHA == c.HeadSHA && w.state.CheckDigest == want && !w.state.NewCheck) {
		return err
	}
	if !fullSHA.MatchString(c.HeadSHA) {
		return fmt.Errorf("check run of %s: not a full commit id: %q", w.project.FullName(), clip(c.HeadSHA, 40))
	}
	notes := annotations(c)
	carried, err := digest(notes)
	if err != nil {
		return err
	}
	if len(notes) == 0 {
		carried = ""
	}
	if err := w.placeCheck(ctx, c, len(notes), carried); err != nil {
		return err
	}
	if err := w.writeCheck(ctx, c, notes, carried); err != nil {
		return err
	}
	w.state.CheckDigest, w.state.CheckAnnotations = want, carried
	return nil
}

// placeCheck decides which run is written: the remembered one, one that an interrupted report
// left, or (id 0) a new one.
func (w *publisher) placeCheck(ctx context.Context, c *report.Check, notes int, carried string) error {
	if w.state.NewCheck { // whatever is there is what a person wants again
		w.forgetCheck(c.HeadSHA)
		w.state.CheckNotFound = 0
		return nil
	}
	if w.state.CheckRunID != 0 && w.state.CheckSHA == c.HeadSHA {
		if w.state.CheckAnnotations != "" && w.state.CheckAnnotations != carried {
			w.forgetCheck(c.HeadSHA)
		}
		return nil
	}
	w.forgetCheck(c.HeadSHA)
	if w.fresh {
		return nil
	}
	run, found, err := w.findCheck(ctx, c)
	if err != nil || !found {
		return err
	}
	switch count := run.GetOutput().GetAnnotationsCount(); count {
	case 0:
		w.state.CheckRunID = run.GetID()
	case notes:
		w.state.CheckRunID, w.state.CheckAnnotations = run.GetID(), carried
	}
	return nil
}

// forgetCheck lets the next check be a new run.
func (w *publisher) forgetCheck(sha string) {
	if w.state.CheckSHA != sha {
		w.state.CheckNotFound = 0
	}
	w.state.CheckRunID, w.state.CheckSHA, w.state.CheckDigest, w.state.CheckAnnotations = 0, sha, "", ""
}

// findCheck looks for the newest run of ours on the commit that carries the external id. Two pull
// requests of one branch have runs of the same name on one commit.
func (w *publisher) findCheck(ctx context.Context, c *report.Check) (*gh.CheckRun, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	options := &gh.ListCheckRunsOptions{CheckName: gh.String(c.Name), AppID: gh.Int64(w.app.id),
		Filter: gh.String("all"), ListOptions: gh.ListOptions{PerPage: 100}}
	var newest *gh.CheckRun
	for {
		list, response, err := w.client.Checks.ListCheckRunsForRef(ctx, w.project.Owner, w.project.Name, c.HeadSHA, options)
		if err != nil {
			return nil, false, classify(err, w.checkName("check runs", c))
		}
		for _, run := range list.CheckRuns {
			if run.GetName() == c.Name && run.GetExternalID() == c.ExternalID && run.GetApp().GetID() == w.app.id &&
				run.GetID() > newest.GetID() {
				newest = run
			}
		}
		if response.NextPage == 0 {
			return newest, newest != nil, nil
		}
		options.Page = response.NextPage
	}
}

// errNoRun says that the remembered run was not there and is forgotten: the check needs a new one.
var errNoRun = errors.New("GitHub has the check run no longer")

// writeCheck creates or updates the run; one that GitHub does not find is made anew, with all its annotations.
func (w *publisher) writeCheck(ctx context.Context, c *report.Check, notes []*gh.CheckRunAnnotation, carried string) error {
	w.state.CheckDigest = ""
	err := w.sendCheck(ctx, c, notes, carried)
	if errors.Is(err, errNoRun) {
		err = w.sendCheck(ctx, c, notes, carried)
	}
	return err
}

// sendCheck sends annotations that the run does not carry yet in as many requests as they need. While some are missing
// the state says so, and the next report starts a new run. A run that stands for one that could not be updated
// gets as many as fit in the request that creates it: more would take updates.
func (w *publisher) sendCheck(ctx context.Context, c *report.Check, notes []*gh.CheckRunAnnotation, carried string) error {
	if w.state.CheckAnnotations == carried {
		notes = nil
	}
	batches := slices.Collect(slices.Chunk(notes, annotationBatch))
	if len(batches) == 0 {
		batches = [][]*gh.CheckRunAnnotation{nil}
	}
	if w.state.CheckNotFound >= replacedAt && w.state.CheckRunID == 0 {
		batches = batches[:1]
	}
	for i, batch := range batches {
		if err := w.sendBatch(ctx, c, batch); err != nil {
			return err
		}
		if i+1 < len(batches) {
			w.state.CheckAnnotations = "incomplete"
		}
	}
	return nil
}

func (w *publisher) sendBatch(ctx context.Context, c *report.Check, notes []*gh.CheckRunAnnotation) error {
	if w.state.CheckRunID == 0 {
		return w.createCheck(ctx, c, notes)
	}
	err := w.updateCheck(ctx, c, notes)
	switch {
	case err == nil:
		w.state.CheckNotFound = 0
		return nil
	case errors.Is(err, preview.ErrNotFound):
		return w.dropCheck(ctx, c)
	}
	return err
}

// replacedAt is how many updates in a row must be answered with 404 until a run that GitHub lists is replaced.
const replacedAt = 2

// dropCheck forgets a run that GitHub does not find. One that it lists all the same is tried once more, since the new
// one, which counts because it is newer, would have an unfinished one beside it. So that a GitHub that finds none
// at all does not get more and more of them, such a run is replaced once for a commit, until an update is taken.
func (w *publisher) dropCheck(ctx context.Context, c *report.Check) error {
	run, found, err := w.findCheck(ctx, c)
	if err != nil {
		return err
	}
	listed := found && run.GetID() == w.state.CheckRunID
	if listed {
		w.state.CheckNotFound = min(w.state.CheckNotFound+1, replacedAt+1)
		if w.state.CheckNotFound != replacedAt {
			return preview.Transient(fmt.Errorf("%s: GitHub lists it and does not find it", w.checkName("check run", c)))
		}
	}
	w.forgetCheck(c.HeadSHA)
	return errNoRun
}

// updateCheck sends the actions even when there are none: go-github would leave them out, and the
// buttons of an earlier state would stay.
func (w *publisher) updateCheck(ctx context.Context, c *report.Check, notes []*gh.CheckRunAnnotation) error {
	ctx, cancel, err := forWrite(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	body := struct {
		gh.UpdateCheckRunOptions
		Actions []*gh.CheckRunAction `json:"actions"`
	}{
		gh.UpdateCheckRunOptions{Name: c.Name, ExternalID: optional(c.ExternalID), DetailsURL: optional(c.DetailsURL),
			Status: gh.String(c.Status), Conclusion: optional(c.Conclusion), Output: output(c, notes)},
		actions(c),
	}
	what := w.checkName("check run", c)
	request, err := w.client.NewRequest(http.MethodPatch, fmt.Sprintf("repos/%s/%s/check-runs/%d",
		url.PathEscape(w.project.Owner), url.PathEscape(w.project.Name), w.state.CheckRunID), body)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err = w.client.Do(ctx, request, nil)
	return classify(err, what)
}

func (w *publisher) createCheck(ctx context.Context, c *report.Check, notes []*gh.CheckRunAnnotation) error {
	ctx, cancel, err := forWrite(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	run, _, err := w.client.Checks.CreateCheckRun(ctx, w.project.Owner, w.project.Name, gh.CreateCheckRunOptions{
		Name: c.Name, HeadSHA: c.HeadSHA, ExternalID: optional(c.ExternalID), DetailsURL: optional(c.DetailsURL),
		Status: gh.String(c.Status), Conclusion: optional(c.Conclusion), Output: output(c, notes), Actions: actions(c)})
	if err != nil {
		return classify(err, w.checkName("check run", c))
	}
	w.state.CheckRunID, w.state.CheckSHA, w.state.NewCheck = run.GetID(), c.HeadSHA, false
	return nil
}

func (w *publisher) checkName(what string, c *report.Check) string {
	return fmt.Sprintf("%s %q of %s at %.7s", what, c.Name, w.project.FullName(), c.HeadSHA)
}

// AnswerCheck makes sure that the commit has this completed check run. It is for commits that
// have no report of their own, such as a merge group's.
func (a *App) AnswerCheck(ctx context.Context, p preview.Project, sha string, check report.Check) error {
	check.HeadSHA = sha
	if !fullSHA.MatchString(sha) {
		return fmt.Errorf("check run of %s: not a full commit id: %q", p.FullName(), clip(sha, 40))
	}
	w := a.publisher(p, report.Published{})
	run, found, err := w.findCheck(ctx, &check)
	if err != nil || (found && run.GetStatus() == check.Status && run.GetConclusion() == check.Conclusion) {
		return err
	}
	if found { // nobody remembers how often it was not found, so that it is replaced the first time
		w.state.CheckRunID, w.state.CheckSHA, w.state.CheckNotFound = run.GetID(), sha, replacedAt-1
	}
	return w.writeCheck(ctx, &check, nil, "")
}

// output counts in the summary what is beyond the most annotations that are sent; the first are the weightiest.
func output(c *report.Check, notes []*gh.CheckRunAnnotation) *gh.CheckRunOutput {
	left := ""
	if n := len(c.Annotations); n > maxAnnotations {
		left = fmt.Sprintf("\n%d of %d places are annotated, the weightiest.\n", maxAnnotations, n)
	}
	return &gh.CheckRunOutput{Title: gh.String(clip(c.Title, maxCheckTitle)), Summary: gh.String(clip(c.Summary, maxCheckText-len(left)) + left),
		Text: optional(clip(c.Text, maxCheckText)), Annotations: notes}
}

// annotations puts problems in GitHub's form. One without a local path would make GitHub refuse
// the whole request, so it is left out; the summary has it.
func annotations(c *report.Check) []*gh.CheckRunAnnotation {
	var list []*gh.CheckRunAnnotation
	for _, p := range c.Annotations[:min(len(c.Annotations), maxAnnotations)] {
		if p.Path == "" || strings.HasPrefix(p.Path, "/") || path.Clean(p.Path) != p.Path || strings.HasPrefix(p.Path, "..") ||
			len(p.Path) > 1000 || strings.ContainsFunc(p.Path, unicode.IsControl) {
			continue
		}
		line, level := max(p.Line, 1), "warning"
		if c.Conclusion == "failure" && !p.Warning {
			level = "failure"
		}
		note := &gh.CheckRunAnnotation{Path: gh.String(clip(p.Path, 1000)), StartLine: gh.Int(line), EndLine: gh.Int(line),
			AnnotationLevel: gh.String(level), Message: gh.String(annotationText(p))}
		if p.Line > 0 && p.Column > 0 {
			note.StartColumn, note.EndColumn = gh.Int(p.Column), gh.Int(p.Column)
		}
		list = append(list, note)
	}
	return list
}

func annotationText(p preview.Problem) string {
	text := strings.TrimSpace(p.Message + "\n" + p.Hint)
	if text == "" {
		text = "There is a problem here."
	}
	return clip(text, maxAnnotationText)
}

func actions(c *report.Check) []*gh.CheckRunAction {
	list := []*gh.CheckRunAction{}
	for _, action := range c.Actions[:min(len(c.Actions), maxActions)] {
		list = append(list, &gh.CheckRunAction{Label: clip(action.Label, maxActionLabel),
			Description: clip(action.Description, maxActionText), Identifier: clip(action.Identifier, maxActionIdentifier)})
	}
	return list
}

// optional is a pointer to text, nil when there is none.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
