package report

import (
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Phase is what a report says of the preview, in one word; it decides the check's status and conclusion.
type Phase string

// The phases. The comment names GitHub's check status or conclusion.
const (
	PhaseQueued      Phase = "queued"       // queued: waiting for its turn
	PhaseWorking     Phase = "working"      // in_progress
	PhaseReady       Phase = "ready"        // success
	PhaseUnavailable Phase = "unavailable"  // in_progress: a provider is down, we keep trying
	PhaseOutage      Phase = "outage"       // failure: a provider was down until the deadline
	PhaseFailed      Phase = "failed"       // failure: an error that no new try cures; the operator has to look
	PhaseInvalid     Phase = "invalid"      // failure: the user's fault, see Problems
	PhaseNeedsAction Phase = "needs_action" // action_required
	PhaseSkipped     Phase = "skipped"      // skipped: not eligible, Reason says why
	PhaseHeld        Phase = "held"         // skipped: destroyed by a person until preview or rebuild
	PhaseExpired     Phase = "expired"      // neutral: the TTL ended
	PhaseClosed      Phase = "closed"       // neutral: the pull request closed and everything is gone
)

// Status is everything that a report is made of. Render decides nothing but wording.
type Status struct {
	Phase       Phase
	Reason      string // for a person, one sentence; may contain hostile text
	Project     preview.Project
	Environment preview.Environment
	PullRequest preview.PullRequest
	Outputs     preview.Outputs // of the preview that serves now
	Steps       []Step          // of the last pass
	Problems    []preview.Problem
	// ConfigProblems are those of a change to .github/flaresmith.yml in this pull request: annotated, not failing.
	ConfigProblems []preview.Problem
	// PolicyProblems are those of the file on the default branch, while the last valid one is in force.
	PolicyProblems []preview.Problem
	// StepNames of what is running now, for the title while working.
	Running []string
	Now     time.Time
	// DetailsURL is where a person sees more; empty: none.
	DetailsURL string
}

// Step is one finished step of a pass.
type Step struct {
	Name     string // e.g. "database", "bundle"
	Op       string // e.g. "create", "update", "fetch"
	OK       bool
	Duration time.Duration
	Error    string // already redacted
}

// Rendering is what GitHub should show. A nil part is left as it is.
type Rendering struct {
	Check      *Check
	Comment    string // Markdown with the hidden marker; empty: leave as it is
	Deployment *Deployment
	// UpdateOnly says that nothing serves: comment and deployment are written only where an
	// earlier report left one, so that a pull request that never had a preview gets a check alone.
	UpdateOnly bool
	// Interim says that there will be news soon: where GitHub's limits are short, it is told in part or not at all.
	Interim bool
}

// Check is a check run on one commit.
type Check struct {
	Name        string
	HeadSHA     string
	ExternalID  string
	Status      string // queued, in_progress, completed
	Conclusion  string // set when completed
	Title       string
	Summary     string
	Text        string // the steps of the last pass; sent with the rest, and never a reason to send
	DetailsURL  string
	Annotations []preview.Problem
	Actions     []Action
}

// Action is a button of a check run; its identifier is a preview.Verb.
type Action struct {
	Label       string // at most 20 characters
	Description string // at most 40
	Identifier  string // at most 20
}

// Deployment is a GitHub Deployment of the preview and its newest status.
type Deployment struct {
	Environment string // the preview's name, or the kind of a core environment
	SHA         string
	State       string // in_progress, success, failure, inactive
	URL         string
	Description string // at most 140 characters
}

// Published is what is remembered of a report: where it was written, and digests of what was
// written, so that an unchanged part costs no call.
type Published struct {
	// Begun says that a report may have been written, wholly or in part, that the rest does not tell of.
	Begun bool `json:"begun,omitempty"`

	CheckRunID       int64  `json:"checkRunId,omitempty"`
	CheckSHA         string `json:"checkSha,omitempty"`
	CheckDigest      string `json:"checkDigest,omitempty"`
	NewCheck         bool   `json:"newCheck,omitempty"`         // a person asked to run it again: the next check is a new run
	CheckAnnotations string `json:"checkAnnotations,omitempty"` // digest of the annotations that the run carries
	CheckNotFound    int    `json:"checkNotFound,omitempty"`    // updates since the last one taken that GitHub answered with 404 though it lists the run
	CommentID        int64  `json:"commentId,omitempty"`
	CommentDigest    string `json:"commentDigest,omitempty"`
	DeploymentID     int64  `json:"deploymentId,omitempty"`
	DeploymentSHA    string `json:"deploymentSha,omitempty"`
	DeploymentDigest string `json:"deploymentDigest,omitempty"`
	ServingID        int64  `json:"servingId,omitempty"` // the deployment that last succeeded, while a newer one has not

	Title  string `json:"title,omitempty"` // of the pull request: plain text on one line, shortened
	Branch string `json:"branch,omitempty"`
}

// About returns p with what is remembered of the pull request itself. One that is not known changes nothing.
func (p Published) About(pr preview.PullRequest) Published {
	if pr.Number != 0 {
		p.Title, p.Branch = clip(oneLine(pr.Title), maxSubject), clip(oneLine(pr.HeadRef), maxSubject)
	}
	return p
}
