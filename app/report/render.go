package report

import (
	"regexp"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/app/preview"
)

// CheckName is the name of a preview's check run: what a branch protection rule can require.
const CheckName = "Flaresmith / Preview"

// Limits of what GitHub takes, and of what a person reads.
const (
	maxTitle       = 80
	maxSummary     = 65_000 // bytes; GitHub takes 65,535 characters
	maxComment     = 65_000 // bytes; GitHub takes 65,536 characters
	maxDescription = 140
	maxSubject     = 120 // of a pull request's title or branch
	maxShown       = 20  // problems or names in a list
)

// Render words a status. A pull request's preview gets all three parts; a core environment,
// which has no pull request, gets no comment.
func Render(s Status) Rendering {
	rendering := Rendering{Check: check(s), Deployment: deployment(s), UpdateOnly: s.Phase.absent(), Interim: s.Phase == PhaseWorking}
	if !s.Environment.Kind.Core() {
		rendering.Comment = comment(s)
	}
	return rendering
}

// absent reports whether nothing serves in this phase, and nothing is being made.
func (p Phase) absent() bool {
	switch p {
	case PhaseSkipped, PhaseHeld, PhaseExpired, PhaseClosed:
		return true
	}
	return false
}

// failing reports whether the phase is one in which an earlier commit may still serve.
func (p Phase) failing() bool {
	return p == PhaseInvalid || p == PhaseNeedsAction || p == PhaseFailed || p == PhaseOutage || p == PhaseUnavailable
}

// headline is the state in a few words.
func (s Status) headline() string {
	switch s.Phase {
	case PhaseQueued:
		return "Waiting for its turn"
	case PhaseWorking:
		return "Working"
	case PhaseReady:
		return "Ready"
	case PhaseUnavailable:
		return "A provider does not answer, trying again"
	case PhaseOutage:
		return "A provider did not answer in time"
	case PhaseFailed:
		return "Failed"
	case PhaseInvalid:
		return "Needs a fix"
	case PhaseNeedsAction:
		return "Needs approval"
	case PhaseSkipped:
		return "No preview"
	case PhaseHeld:
		return "Destroyed by command"
	case PhaseExpired:
		return "Time is up"
	case PhaseClosed:
		return "Closed, everything is gone"
	}
	return "Unknown state"
}

// next is what a person can do now, as Markdown; empty: nothing.
func (s Status) next() string {
	if strings.Contains(s.Reason, "/flaresmith ") { // the reason has said it
		return ""
	}
	switch s.Phase {
	case PhaseQueued:
		return "It starts by itself when another preview ends. Closing a pull request or `/flaresmith destroy` frees a place."
	case PhaseUnavailable:
		return "Nothing to do: it goes on by itself when the provider answers."
	case PhaseOutage:
		return "When the provider is back, comment `/flaresmith rebuild` or push a commit."
	case PhaseFailed:
		return "The operator of this Flaresmith server finds the cause in its log. `/flaresmith rebuild` tries again."
	case PhaseInvalid:
		return "Fix the problem and push: the preview follows."
	case PhaseNeedsAction:
		return "Somebody with the role Maintainer comments `/flaresmith approve " + approvable(s.headSHA()) + "`."
	case PhaseHeld:
		return "Comment `/flaresmith preview` to bring it back."
	case PhaseExpired:
		return "Push a commit or comment `/flaresmith preview` to bring it back."
	}
	if s.Phase == PhaseReady && len(s.Outputs.BehindParent) > 0 {
		return "The parent has newer migrations. Comment `/flaresmith reset-db` for a fresh copy of it."
	}
	return ""
}

var commitSHA = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}$`) })

func approvable(sha string) string {
	if commitSHA().MatchString(sha) {
		return sha
	}
	return "<commit>"
}

func (s Status) headSHA() string {
	for _, sha := range []string{s.PullRequest.HeadSHA, s.Environment.HeadSHA, s.Environment.SHA} {
		if sha != "" {
			return sha
		}
	}
	return ""
}

// commitLink is a short commit as Markdown, linked to its place in the pull request.
func (s Status) commitLink(sha string) string {
	if !commitSHA().MatchString(sha) {
		return CodeSpan(clip(sha, 12))
	}
	address := ""
	if s.PullRequest.URL != "" {
		address = strings.TrimRight(s.PullRequest.URL, "/") + "/commits/" + sha
	}
	return link(CodeSpan(sha[:7]), address)
}

// addresses are where everything serves that does, in one sentence.
func (s Status) addresses() string {
	if len(s.Outputs.Workers) == 0 {
		return address(s.Outputs.URL)
	}
	list := make([]string, len(s.Outputs.Workers))
	for i, w := range s.Outputs.Workers {
		list[i] = address(w.URL) + " (" + CodeSpan(w.Name) + ")"
	}
	return strings.Join(list, ", ")
}

// serves is the address of what serves now, if anything does: of several Workers the first one's.
func (s Status) serves() (string, bool) {
	return s.Outputs.URL, s.Outputs.URL != "" && !s.Phase.absent()
}

// until is when the preview ends, as text. It names the moment and not the time that is left,
// which would change with every look.
func (s Status) until() string {
	if s.Environment.ExpiresAt.IsZero() || s.Phase.absent() {
		return ""
	}
	return s.Environment.ExpiresAt.UTC().Format("Monday, 2 January 2006, 15:04 UTC")
}

// kindTitle is the environment's kind as a title.
func kindTitle(kind preview.EnvironmentKind) string {
	switch kind {
	case preview.EnvironmentDev:
		return "Dev"
	case preview.EnvironmentStaging:
		return "Staging"
	case preview.EnvironmentProd:
		return "Production"
	}
	return "Preview"
}
