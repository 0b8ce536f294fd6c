package github

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// CheckRun is a check run as it stands.
type CheckRun struct {
	ID          int64
	SuiteID     int64
	HeadSHA     string
	Name        string
	ExternalID  string
	DetailsURL  string
	Status      string // queued, in_progress, completed
	Conclusion  string // empty until completed
	StartedAt   time.Time
	CompletedAt time.Time // zero until completed
	Title       string
	Summary     string
	Text        string
	Annotations []Annotation
	Actions     []CheckAction
	Updates     int // how often it was written after its creation
}

// Annotation marks a place in a file.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn *int   `json:"start_column"`
	EndColumn   *int   `json:"end_column"`
	Level       string `json:"annotation_level"` // notice, warning, failure
	Message     string `json:"message"`
	Title       string `json:"title"`
	RawDetails  string `json:"raw_details"`
}

// CheckAction is a button of a check run.
type CheckAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

type checkSuite struct {
	id      int64
	sha     string
	branch  string // empty for a head in a fork
	before  string
	created time.Time
	updated time.Time
}

// CheckRuns lists the check runs of a commit, oldest first; an empty sha means all of the repository.
func (s *Server) CheckRuns(repo, sha string) ([]CheckRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return nil, err
	}
	var list []CheckRun
	for _, run := range r.checks {
		if sha == "" || run.HeadSHA == sha {
			one := *run
			one.Annotations, one.Actions = slices.Clone(run.Annotations), slices.Clone(run.Actions)
			list = append(list, one)
		}
	}
	return list, nil
}

// PressButton presses the button with that identifier of a check run, as a person.
func (s *Server) PressButton(repo string, checkRun int64, identifier, user string) error {
	return s.onCheckRun(repo, checkRun, func(r *repository, run *CheckRun) error {
		if !slices.ContainsFunc(run.Actions, func(a CheckAction) bool { return a.Identifier == identifier }) {
			return fmt.Errorf("action %q: %w", identifier, ErrNotFound)
		}
		s.emitCheckRun("requested_action", r, run, s.user(user), object{"requested_action": object{"identifier": identifier}})
		return nil
	})
}

// Rerequest asks for a check run again, as a person.
func (s *Server) Rerequest(repo string, checkRun int64, user string) error {
	return s.onCheckRun(repo, checkRun, func(r *repository, run *CheckRun) error {
		s.emitCheckRun("rerequested", r, run, s.user(user), object{})
		return nil
	})
}

// RerequestSuite asks for all checks of a commit again, as a person.
func (s *Server) RerequestSuite(repo, sha, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	for _, suite := range r.suites {
		if suite.sha == sha {
			s.emitSuite("rerequested", r, suite, s.user(user))
			return nil
		}
	}
	return fmt.Errorf("check suite of %s: %w", sha, ErrNotFound)
}

func (s *Server) onCheckRun(repo string, id int64, f func(*repository, *CheckRun) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	run := r.checkRun(id)
	if run == nil {
		return fmt.Errorf("check run %d: %w", id, ErrNotFound)
	}
	if !s.now().Before(run.StartedAt.Add(365 * 24 * time.Hour)) {
		return errors.New("check run is too old")
	}
	return f(r, run)
}

func (r *repository) checkRun(id int64) *CheckRun {
	for _, run := range r.checks {
		if run.ID == id {
			return run
		}
	}
	return nil
}

// suite finds or makes the App's check suite of a commit.
func (s *Server) suite(r *repository, sha string) *checkSuite {
	for _, suite := range r.suites {
		if suite.sha == sha {
			return suite
		}
	}
	suite := &checkSuite{id: s.next(), sha: sha, created: s.now(), updated: s.now()}
	for _, p := range r.pulls {
		if p.headSHA == sha && p.headRepo == r {
			suite.branch = p.headRef
		}
	}
	r.suites = append(r.suites, suite)
	return suite
}

// requestSuite is what GitHub does on its own for every push.
func (s *Server) requestSuite(r *repository, sha, branch, before string, by *User) {
	suite := s.suite(r, sha)
	suite.branch, suite.before = branch, before
	s.emitSuite("requested", r, suite, by)
}

func (s *Server) emitSuite(action string, r *repository, suite *checkSuite, by *User) {
	s.emitRepo("check_suite", action, r, by, object{"check_suite": s.suiteJSON(r, suite)})
}

func (s *Server) emitCheckRun(action string, r *repository, run *CheckRun, by *User, fields object) {
	o := s.checkRunJSON(r, run)
	o["check_suite"] = s.suiteJSON(r, s.suite(r, run.HeadSHA))
	fields["check_run"] = o
	s.emitRepo("check_run", action, r, by, fields)
}

func (s *Server) checkRunJSON(r *repository, run *CheckRun) object {
	self := s.apiURL("/repos/%s/check-runs/%d", r.fullName(), run.ID)
	page := fmt.Sprintf("%s/%s/runs/%d", s.base, r.fullName(), run.ID)
	details := run.DetailsURL
	if details == "" {
		details = page
	}
	return object{
		"id": run.ID, "node_id": nodeID("CR", run.ID), "head_sha": run.HeadSHA, "external_id": run.ExternalID, "url": self, "html_url": page,
		"details_url": details, "status": run.Status, "conclusion": emptyNil(run.Conclusion), "started_at": stamp(run.StartedAt),
		"completed_at": stamp(run.CompletedAt), "name": run.Name, "check_suite": object{"id": run.SuiteID}, "app": s.appJSON(),
		"pull_requests": s.minimalPullsJSON(r, run.HeadSHA),
		"output": object{
			"title": emptyNil(run.Title), "summary": emptyNil(run.Summary), "text": emptyNil(run.Text),
			"annotations_count": len(run.Annotations), "annotations_url": self + "/annotations",
		},
	}
}

func (s *Server) suiteJSON(r *repository, suite *checkSuite) object {
	status, conclusion, count := "queued", "", 0
	for _, run := range r.checks {
		if run.HeadSHA == suite.sha {
			status, conclusion = run.Status, run.Conclusion
			count++
		}
	}
	self := s.apiURL("/repos/%s/check-suites/%d", r.fullName(), suite.id)
	return object{
		"id": suite.id, "node_id": nodeID("CS", suite.id), "head_branch": emptyNil(suite.branch), "head_sha": suite.sha, "status": status,
		"conclusion": emptyNil(conclusion), "url": self, "before": emptyNil(suite.before), "after": suite.sha,
		"pull_requests": s.minimalPullsJSON(r, suite.sha), "app": s.appJSON(), "created_at": stamp(suite.created), "updated_at": stamp(suite.updated),
		"latest_check_runs_count": count, "check_runs_url": self + "/check-runs", "rerequestable": true, "runs_rerequestable": true,
		"head_commit": s.headCommitJSON(r, suite.sha), "repository": s.repoJSON(r),
	}
}
