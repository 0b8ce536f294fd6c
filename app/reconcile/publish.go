package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// loadPublished reads what GitHub was told, and keeps the bytes for the exchange in savePublished.
func (p *pass) loadPublished(ctx context.Context) (report.Published, error) {
	text, err := p.Store.Published(ctx, p.env.ID)
	if err != nil {
		return report.Published{}, storeError("published report", err)
	}
	p.publishedText = text
	var published report.Published
	if err := json.Unmarshal(text, &published); err != nil {
		return report.Published{}, storeError("published report", err)
	}
	return published, nil
}

// publish renders the environment as it stands and writes what changed to GitHub.
func (p *pass) publish(ctx context.Context, phase report.Phase, v desired.Verdict) error {
	if p.silent(v) {
		return nil
	}
	return p.show(ctx, report.Status{Phase: phase, Reason: p.reason(v)})
}

// silent reports whether nothing must be said: the repository is out of reach or not configured,
// there was never anything to take back, or what was said last still holds.
func (p *pass) silent(v desired.Verdict) bool {
	switch {
	case p.gone:
		return true
	case undecided(v) && len(p.env.Problems) == 0:
		return true
	case p.env.Kind.Core() && v.Outcome != desired.Wanted: // it goes on as it is
		return true
	case v.Outcome == desired.Unconfigured, v.Outcome == desired.Closed:
		return p.published == report.Published{}
	}
	return false
}

func (p *pass) reason(v desired.Verdict) string {
	reason := p.env.Message
	if v.Hint != "" {
		reason += " " + v.Hint
	}
	return reason
}

// reportWorking says on GitHub what begins, beside the work itself, and says no more of it once until ends, for
// then there is news. The channel closes when said. A report that fails is no reason to stop: the last one
// of the pass counts.
func (p *pass) reportWorking(ctx, until context.Context, steps plan.Plan) <-chan struct{} {
	said := make(chan struct{})
	if p.gone || !p.facts.PullRequest.Open {
		close(said)
		return said
	}
	var running []string
	for _, s := range steps.Steps {
		running = append(running, s.Title())
	}
	status := p.status(report.Status{Phase: report.PhaseWorking, Running: running})
	go func() {
		defer close(said)
		for {
			err := telemetry.Guarded(func() error { return p.write(ctx, until, status) })
			if err == nil || until.Err() != nil {
				return
			}
			var limited *preview.TransientError
			if !errors.As(err, &limited) || limited.After == 0 {
				p.log().WarnContext(ctx, "report work", slog.Any("error", err))
				return
			}
			select {
			case <-time.After(limited.After):
			case <-until.Done():
				return
			}
		}
	}()
	return said
}

// show fills in what every report says and writes it.
func (p *pass) show(ctx context.Context, s report.Status) error {
	return p.write(ctx, ctx, p.status(s))
}

func (p *pass) status(s report.Status) report.Status {
	s.Project, s.Environment, s.PullRequest = p.project, p.env, p.facts.PullRequest
	s.Outputs, s.Problems, s.ConfigProblems, s.Now = preview.Combine(p.outputs), p.env.Problems, p.configProblems, p.Now()
	s.PolicyProblems = p.policyProblems
	if p.DetailsURL != nil {
		s.DetailsURL = p.DetailsURL(p.project)
	}
	for _, step := range p.steps {
		s.Steps = append(s.Steps, report.Step{Name: step.Name, Op: step.Op, OK: step.OK,
			Duration: time.Duration(step.DurationMS) * time.Millisecond, Error: step.Error})
	}
	return s
}

// write publishes a status until that context ends, and remembers what was written, even after a failure in
// the middle.
func (p *pass) write(ctx, until context.Context, s report.Status) error {
	rendering := report.Render(s)
	if p.env.Kind.Core() { // no pull request to check or to comment on
		rendering.Check, rendering.Comment = nil, ""
	}
	prev := p.published
	if err := p.beginReport(ctx); err != nil {
		return err
	}
	published := p.published
	err := span(until, "publish", func(ctx context.Context) (err error) {
		published, err = p.Reporter.Publish(ctx, p.project, p.facts.PullRequest, prev, rendering)
		return err
	}, attribute.String("phase", string(s.Phase)))
	if saveErr := p.savePublished(ctx, published); saveErr != nil {
		return saveErr
	}
	return err
}

// beginReport notes that the environment's first report begins: from then on there may be one that was interrupted, which is
// looked for.
func (p *pass) beginReport(ctx context.Context) error {
	published := p.published
	published.Begun = true
	return p.savePublished(ctx, published)
}

// savePublished remembers what was published and of which pull request, if that is news.
func (p *pass) savePublished(ctx context.Context, published report.Published) error {
	published = published.About(p.facts.PullRequest)
	if published == p.published {
		return nil
	}
	text, err := json.Marshal(published)
	if err != nil {
		return storeError("encode report", err)
	}
	if err := p.Store.SavePublished(ctx, p.lease, p.publishedText, text); err != nil {
		return storeError("save report", err)
	}
	p.published, p.publishedText = published, text
	return nil
}

// MergeGroup answers the required check on a merge group's commit, which has no preview of its own.
func (r *Reconciler) MergeGroup(ctx context.Context, projectID, sha string) error {
	project, err := r.Store.Project(ctx, projectID)
	if err != nil {
		return fmt.Errorf("merge group %.7s: %w", sha, err)
	}
	if project.Archived {
		return nil
	}
	_, found, err := r.GitHub.ConfigFile(ctx, project, project.DefaultBranch)
	if err == nil && found {
		err = r.Reporter.AnswerCheck(ctx, project, sha, report.MergeGroupCheck(sha))
	}
	if err != nil && !errors.Is(err, preview.ErrGone) { // nobody waits for an answer any more
		return fmt.Errorf("merge group %.7s: %w", sha, err)
	}
	return nil
}
