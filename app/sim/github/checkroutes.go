package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// The limits of a check run, in characters and pieces.
const (
	checkTextLimit        = 65535
	annotationsLimit      = 50
	actionsLimit          = 3
	actionLabelLimit      = 20
	actionDetailLimit     = 40
	actionIdentifierLimit = 20
)

// checkInput is the body of create and update; a nil field is left as it is.
type checkInput struct {
	Name        *string        `json:"name"`
	HeadSHA     string         `json:"head_sha"`
	DetailsURL  *string        `json:"details_url"`
	ExternalID  *string        `json:"external_id"`
	Status      *string        `json:"status"`
	Conclusion  *string        `json:"conclusion"`
	StartedAt   *time.Time     `json:"started_at"`
	CompletedAt *time.Time     `json:"completed_at"`
	Actions     *[]CheckAction `json:"actions"`
	Output      *struct {
		Title       *string      `json:"title"`
		Summary     *string      `json:"summary"`
		Text        *string      `json:"text"`
		Annotations []Annotation `json:"annotations"`
	} `json:"output"`
}

func tooLong(limit, have int) error {
	return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nOnly %d characters are allowed; %d were supplied.", limit, have))
}

// validate refuses what GitHub refuses.
func (in *checkInput) validate() error {
	if o := in.Output; o != nil {
		for _, text := range []*string{o.Summary, o.Text} {
			if text != nil && utf8.RuneCountInString(*text) > checkTextLimit {
				return tooLong(checkTextLimit, utf8.RuneCountInString(*text))
			}
		}
		if o.Summary == nil {
			return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"summary\" wasn't supplied.")
		}
		if len(o.Annotations) > annotationsLimit {
			return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nNo more than %d items are allowed; %d were supplied.", annotationsLimit, len(o.Annotations)))
		}
		for _, a := range o.Annotations {
			switch {
			case a.Path == "" || a.Message == "" || a.StartLine < 1 || a.EndLine < a.StartLine:
				return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nAn annotation needs path, message, start_line and end_line.")
			case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
				return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nannotation_level must be notice, warning or failure.")
			case a.StartLine != a.EndLine && (a.StartColumn != nil || a.EndColumn != nil):
				return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nColumns may only be given for an annotation of one line.")
			}
		}
	}
	if in.Actions != nil {
		if err := validateActions(*in.Actions); err != nil {
			return err
		}
	}
	if in.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}, *in.Status) {
		return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\n%s is not a member of [\"queued\", \"in_progress\", \"completed\"].", *in.Status))
	}
	if in.Conclusion != nil && !slices.Contains([]string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"}, *in.Conclusion) {
		return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\n%s is not a known conclusion.", *in.Conclusion))
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nMissing required field conclusion when status is completed.")
	}
	return nil
}

func validateActions(actions []CheckAction) error {
	if len(actions) > actionsLimit {
		return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nNo more than %d items are allowed; %d were supplied.", actionsLimit, len(actions)))
	}
	for _, a := range actions {
		for _, part := range []struct {
			text  string
			limit int
		}{{a.Label, actionLabelLimit}, {a.Description, actionDetailLimit}, {a.Identifier, actionIdentifierLimit}} {
			switch n := utf8.RuneCountInString(part.text); {
			case n > part.limit:
				return tooLong(part.limit, n)
			case n == 0:
				return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nAn action needs label, description and identifier.")
			}
		}
	}
	return nil
}

// apply writes what is given into run; annotations are appended, actions replaced.
func (in *checkInput) apply(run *CheckRun, now time.Time) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&run.Name, in.Name)
	set(&run.DetailsURL, in.DetailsURL)
	set(&run.ExternalID, in.ExternalID)
	if in.Status != nil {
		run.Status = *in.Status
		if run.Status != "completed" {
			run.Conclusion, run.CompletedAt = "", time.Time{}
		}
	}
	if in.Conclusion != nil {
		run.Status, run.Conclusion, run.CompletedAt = "completed", *in.Conclusion, now
	}
	if in.StartedAt != nil {
		run.StartedAt = *in.StartedAt
	}
	if in.CompletedAt != nil {
		run.CompletedAt = *in.CompletedAt
	}
	if o := in.Output; o != nil {
		set(&run.Title, o.Title)
		set(&run.Summary, o.Summary)
		set(&run.Text, o.Text)
		run.Annotations = append(run.Annotations, o.Annotations...)
	}
	if in.Actions != nil {
		run.Actions = *in.Actions
	}
}

func (c *call) createCheckRun() (answer, error) {
	var in checkInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Name == nil || *in.Name == "" || in.HeadSHA == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"head_sha\", \"name\" weren't supplied.")
	}
	if err := in.validate(); err != nil {
		return answer{}, err
	}
	if !isSHA(in.HeadSHA) || c.s.git.resolve(c.r.Context(), c.repo.dir, in.HeadSHA) == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+in.HeadSHA)
	}
	suite := c.s.suite(c.repo, in.HeadSHA)
	run := &CheckRun{ID: c.s.next(), SuiteID: suite.id, HeadSHA: in.HeadSHA, Status: "queued", StartedAt: c.s.now()}
	in.apply(run, c.s.now())
	c.repo.checks = append(c.repo.checks, run)
	c.s.emitCheckRun("created", c.repo, run, c.bot(), object{})
	return answer{status: http.StatusCreated, body: c.s.checkRunJSON(c.repo, run)}, nil
}

func (c *call) pathCheckRun() (*CheckRun, error) {
	if run := c.repo.checkRun(c.id("check_run_id")); run != nil {
		return run, nil
	}
	return nil, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getCheckRun() (answer, error) {
	run, err := c.pathCheckRun()
	if err != nil {
		return answer{}, err
	}
	return answer{body: c.s.checkRunJSON(c.repo, run)}, nil
}

func (c *call) updateCheckRun() (answer, error) {
	run, err := c.pathCheckRun()
	if err != nil {
		return answer{}, err
	}
	var in checkInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.validate(); err != nil {
		return answer{}, err
	}
	was := run.Status
	in.apply(run, c.s.now())
	run.Updates++
	if was != "completed" && run.Status == "completed" {
		c.s.emitCheckRun("completed", c.repo, run, c.bot(), object{})
	}
	return answer{body: c.s.checkRunJSON(c.repo, run)}, nil
}

func (c *call) listAnnotations() (answer, error) {
	run, err := c.pathCheckRun()
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, a := range run.Annotations {
		list = append(list, object{
			"path": a.Path, "start_line": a.StartLine, "end_line": a.EndLine, "start_column": a.StartColumn, "end_column": a.EndColumn,
			"annotation_level": a.Level, "message": a.Message, "title": emptyNil(a.Title), "raw_details": emptyNil(a.RawDetails),
			"blob_href": c.at.api + "/git/blobs/" + run.HeadSHA,
		})
	}
	return c.page(list)
}

// listCheckRuns gives, unless all are asked for, the latest of each name, as GitHub does.
func (c *call) listCheckRuns() (answer, error) {
	q := c.r.URL.Query()
	sha := c.s.git.resolve(c.r.Context(), c.repo.dir, c.r.PathValue("ref"))
	if sha == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("ref"))
	}
	seen := map[string]bool{}
	list := []object{}
	for _, run := range slices.Backward(c.repo.checks) {
		appID := q.Get("app_id")
		switch {
		case run.HeadSHA != sha, q.Get("check_name") != "" && run.Name != q.Get("check_name"), q.Get("status") != "" && run.Status != q.Get("status"):
		case appID != "" && appID != fmt.Sprint(c.s.cfg.AppID):
		case seen[run.Name] && q.Get("filter") != "all":
		default:
			seen[run.Name] = true
			list = append(list, c.s.checkRunJSON(c.repo, run))
		}
	}
	return c.pageIn("check_runs", list)
}

func (c *call) getCheckSuite() (answer, error) {
	for _, suite := range c.repo.suites {
		if suite.id == c.id("check_suite_id") {
			return answer{body: c.s.suiteJSON(c.repo, suite)}, nil
		}
	}
	return answer{}, fail(http.StatusNotFound, "Not Found")
}

func (c *call) listCheckSuites() (answer, error) {
	sha := c.s.git.resolve(c.r.Context(), c.repo.dir, c.r.PathValue("ref"))
	list := []object{}
	for _, suite := range c.repo.suites {
		if suite.sha == sha {
			list = append(list, c.s.suiteJSON(c.repo, suite))
		}
	}
	return c.pageIn("check_suites", list)
}

// headCommitJSON is the short form of a commit in suites and merge groups.
func (s *Server) headCommitJSON(r *repository, sha string) any {
	c, ok := s.git.commit(context.Background(), r.dir, sha)
	if !ok {
		return nil
	}
	return object{
		"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": c.committerDate,
		"author": object{"name": c.authorName, "email": c.authorEmail}, "committer": object{"name": c.committerName, "email": c.committerEmail},
	}
}
