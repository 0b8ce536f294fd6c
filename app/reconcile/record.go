package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// slowPoll is how often a failure that no retry cures is looked at again.
const slowPoll = 10 * time.Minute

// record writes down how the pass ended, tells GitHub, and sets the time of the next pass. Its
// error is the store's only: a report that could not be published is tried again like any other
// transient failure.
func (p *pass) record(ctx context.Context, v desired.Verdict, err error) (report.Phase, error) {
	if errors.Is(err, errSuperseded) {
		return "", p.recordPass(ctx, "superseded")
	}
	before := p.env.State
	phase := p.settle(v, err)
	if err := p.audit(ctx, before); err != nil {
		return phase, err
	}
	if phase != report.PhaseQueued && p.settled(v) {
		if err := p.Store.Leave(ctx, p.lease); err != nil {
			return phase, storeError("leave", err)
		}
	}
	if err := p.publish(ctx, phase, v); err != nil {
		p.Logger.Warn("publish report", slog.String("environment", p.env.Name), slog.Any("error", err))
		if isStoreError(err) {
			return phase, err
		}
		p.retryLater(err)
	}
	if err := p.Store.SaveEnvironment(ctx, p.lease, p.env); err != nil {
		return phase, storeError("save environment", err)
	}
	return phase, p.recordPass(ctx, string(phase))
}

// audit notes that a preview came or went, by the system's hand: what a person asked for has an
// entry of its own.
func (p *pass) audit(ctx context.Context, before preview.State) error {
	now := p.env.State
	if now == before || (now != preview.StateActive && now != preview.StateArchived) || (now == preview.StateArchived && len(p.steps) == 0) {
		return nil
	}
	return storeError("audit", p.Store.Audit(ctx, preview.AuditEntry{ProjectID: p.project.ID,
		Operation: "environment." + string(now), Subject: p.env.Name, Detail: map[string]string{"sha": p.facts.PullRequest.HeadSHA}}))
}

// settled reports whether nothing of a preview is left and none is wanted.
func (p *pass) settled(v desired.Verdict) bool {
	return v.Outcome != desired.Wanted && p.env.State == preview.StateArchived
}

// settle turns the end of a pass into the environment's state and what people are told.
func (p *pass) settle(v desired.Verdict, err error) report.Phase {
	p.env.Problems, p.env.Message, p.env.NextPassAt = nil, v.Reason, time.Time{}
	if err == nil {
		p.env.FailingSince, p.env.Attempts = time.Time{}, 0
		return p.settleDone(v)
	}
	if p.env.FailingSince.IsZero() {
		p.env.FailingSince = p.Now()
	}
	p.env.State = preview.StateError
	problems := problemsOf(err)
	transient := transientOf(err)
	switch {
	case len(problems) > 0:
		p.env.Problems, p.env.Message = problems, personal(err)
		if transient != nil {
			p.retryLater(transient)
		}
		return report.PhaseInvalid
	case transient != nil:
		p.env.Message = personal(transient)
		p.retryLater(transient)
		if p.Now().Sub(p.env.FailingSince) < p.OutageDeadline {
			if p.env.GoodSHA == "" {
				p.env.State = preview.StateProvisioning
			} else {
				p.env.State = preview.StateUpdating
			}
			return report.PhaseUnavailable
		}
		return report.PhaseOutage
	default:
		p.env.Message = personal(err)
		p.env.NextPassAt = p.Now().Add(slowPoll)
		return report.PhaseFailed
	}
}

// settleDone is settle for a pass without an error.
func (p *pass) settleDone(v desired.Verdict) report.Phase {
	switch v.Outcome {
	case desired.Wanted:
		p.env.Closed = false
		p.env.State, p.env.GoodSHA, p.env.Message = preview.StateActive, p.facts.PullRequest.HeadSHA, ""
		p.env.HeadSHA = p.facts.PullRequest.HeadSHA
		p.env.Rebuild, p.env.ResetDatabase = false, false
		p.env.NextPassAt = p.env.ExpiresAt
		return report.PhaseReady
	case desired.Queued:
		p.env.State, p.env.GoodSHA = preview.StateQueued, ""
		return report.PhaseQueued
	}
	if p.env.Kind.Core() { // whatever the verdict: what serves goes on serving
		return report.PhaseSkipped
	}
	p.env.State, p.env.GoodSHA = preview.StateArchived, ""
	p.env.Closed = v.Outcome == desired.Closed && !p.gone
	p.env.Rebuild, p.env.ResetDatabase = false, false
	switch v.Outcome {
	case desired.Closed:
		p.env.Held = false // a reopened pull request starts afresh
		return report.PhaseClosed
	case desired.Held:
		return report.PhaseHeld
	case desired.Expired:
		return report.PhaseExpired
	case desired.Invalid:
		p.env.Problems = p.facts.ConfigProblems
		return report.PhaseInvalid
	default:
		return report.PhaseSkipped
	}
}

// retryLater sets the next pass by backoff, but not before the time the error asks for.
func (p *pass) retryLater(err error) {
	wait := backoff(p.env.Attempts)
	var transient *preview.TransientError
	if errors.As(err, &transient) {
		wait = max(wait, transient.After)
	}
	p.env.Attempts++
	next := p.Now().Add(wait)
	if p.env.NextPassAt.IsZero() || next.Before(p.env.NextPassAt) {
		p.env.NextPassAt = next
	}
}

func (p *pass) recordPass(ctx context.Context, outcome string) error {
	if len(p.steps) == 0 {
		return nil // nothing was done: no history
	}
	return storeError("record pass", p.Store.RecordPass(ctx, preview.PassRecord{
		EnvironmentID: p.env.ID, Generation: p.env.Wanted, SHA: p.facts.PullRequest.HeadSHA, Outcome: outcome,
		Steps: p.steps, StartedAt: p.started, Duration: p.Now().Sub(p.started),
	}))
}

// problemsOf collects the problems of every InvalidError in err's tree, in order.
func problemsOf(err error) []preview.Problem {
	var problems []preview.Problem
	for _, invalid := range invalidErrors(err) {
		problems = append(problems, invalid.Problems...)
	}
	return problems
}

// whatOf says what is wrong in the words of the InvalidErrors.
func whatOf(err error) string {
	var text string
	for _, invalid := range invalidErrors(err) {
		if text != "" {
			text += "; "
		}
		text += invalid.What
	}
	return text
}

func invalidErrors(err error) []*preview.InvalidError {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself, to find every one and not the first
	case nil:
		return nil
	case *preview.InvalidError:
		return []*preview.InvalidError{e}
	case interface{ Unwrap() []error }:
		var all []*preview.InvalidError
		for _, child := range e.Unwrap() {
			all = append(all, invalidErrors(child)...)
		}
		return all
	case interface{ Unwrap() error }:
		return invalidErrors(e.Unwrap())
	}
	return nil
}

func transientOf(err error) error {
	var transient *preview.TransientError
	if errors.As(err, &transient) {
		return transient
	}
	return nil
}

// personal is an error as a person on GitHub may read it: its class and, for the user's own
// mistakes, what is wrong. The cause stays in the log, for it may quote an outside system.
func personal(err error) string {
	switch preview.Classify(err) {
	case preview.ClassInvalid:
		what := whatOf(err)
		return strings.ToUpper(what[:1]) + what[1:] + "."
	case preview.ClassTransient:
		return "An outside system does not answer as it should; the server keeps trying."
	case preview.ClassConflict:
		return "Something of the same name exists that Flaresmith did not make. The operator has to move it."
	case preview.ClassNotFound:
		return "Something that this step needs was not found."
	default:
		return "An unexpected error; the operator finds the cause in the server's log."
	}
}

func (p *pass) logOutcome(err error) {
	if err != nil && problemsOf(err) == nil {
		p.Logger.Warn("pass failed", slog.String("environment", p.env.Name), slog.Any("error", err))
	}
}
