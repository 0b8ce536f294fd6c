package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

const (
	// slowPoll is how often a failure that no retry cures, and a preview that waits for a place,
	// is looked at again.
	slowPoll = 10 * time.Minute
	// steadyPoll is how often what is up to date is looked at: nobody tells of a change at a
	// provider, of migrations in the parent, or of an event that got lost.
	steadyPoll = 30 * time.Minute
	// longestWait bounds what an outside system may ask for: it may be a proxy's mistake.
	longestWait = time.Hour
)

// record writes down how the pass ended, tells GitHub, and sets the time of the next pass. Its
// error is the store's only: a report that could not be published is tried again like any other
// transient failure.
func (p *pass) record(ctx context.Context, v desired.Verdict, err error) (report.Phase, error) {
	if errors.Is(err, errSuperseded) {
		return "", p.recordPass(ctx, "superseded")
	}
	before := p.env.State
	phase := p.settle(v, err)
	if err := p.audit(ctx, before, v); err != nil {
		return phase, err
	}
	if phase != report.PhaseQueued && p.settled(v) {
		if err := p.Store.Leave(ctx, p.lease); err != nil {
			return phase, storeError("leave", err)
		}
	}
	if p.env.State != p.saved { // what is there is known at once: what is said of it may have to wait for GitHub's limits
		if err := p.saveEnvironment(ctx); err != nil {
			return phase, err
		}
	}
	said := p.publish(ctx, phase, v)
	if said != nil {
		p.log().WarnContext(ctx, "publish report", slog.Any("error", said))
		if isStoreError(said) {
			return phase, said
		}
		if errors.Is(said, preview.ErrGone) { // the next pass finds out what is left to do
			said = preview.Transient(said)
		}
		p.sayLater(said)
	}
	switch {
	case transientOf(err) == nil && transientOf(said) == nil:
		p.env.Attempts = 0
	case uncalled(err) == "": // where nobody was called, nothing was tried
		p.env.Attempts++
	}
	return phase, span(ctx, "record", func(ctx context.Context) error {
		if err := p.saveEnvironment(ctx); err != nil {
			return err
		}
		return p.recordPass(ctx, string(phase))
	})
}

// audit notes that a preview came or went, by the system's hand: what a person asked for has an
// entry of its own.
func (p *pass) audit(ctx context.Context, before preview.State, v desired.Verdict) error {
	now := p.env.State
	if now == before || (now != preview.StateActive && now != preview.StateArchived) || (now == preview.StateArchived && len(p.steps) == 0) {
		return nil
	}
	return storeError("audit", p.Store.Audit(ctx, preview.AuditEntry{ProjectID: p.project.ID,
		Operation: "environment." + string(now), Subject: p.env.Name, Detail: map[string]string{"sha": p.facts.PullRequest.HeadSHA, "because": string(v.Outcome)}}))
}

// settled reports whether nothing of a preview is left and none is wanted.
func (p *pass) settled(v desired.Verdict) bool {
	return v.Outcome != desired.Wanted && p.env.State == preview.StateArchived
}

// settle turns the end of a pass into the environment's state and what people are told.
func (p *pass) settle(v desired.Verdict, err error) report.Phase {
	p.env.Problems, p.env.Message, p.env.NextPassAt = nil, v.Reason, time.Time{}
	if undecided(v) { // what stands is not known to be wrong
		defer func(state preview.State) { p.env.State = state }(p.env.State)
	} else {
		p.env.Closed = false
	}
	if err == nil {
		p.env.FailingSince = time.Time{}
		return p.settleDone(v)
	}
	p.env.State = preview.StateError
	if p.env.ExpiresAt.After(p.Now()) {
		p.lookAgain(p.env.ExpiresAt) // its time ends also while it fails
	}
	transient := transientOf(err)
	switch {
	case transient == nil:
		p.env.FailingSince = time.Time{}
	case p.env.FailingSince.IsZero():
		p.env.FailingSince = p.Now()
	}
	switch {
	case len(invalidErrors(err)) > 0:
		p.env.Problems, p.env.Message = append(problemsOf(err), p.beside(err)...), personal(err)
		if transient != nil {
			p.retryLater(transient)
		}
		return report.PhaseInvalid
	case approvalOf(err) != nil:
		p.env.Problems, p.env.Message = storableProblems(approvalOf(err).Problems), needsApproval
		if transient != nil {
			p.retryLater(transient)
		}
		return report.PhaseNeedsAction
	case transient != nil:
		p.env.Message = personal(transient)
		p.retryLater(transient)
		if p.Now().Sub(p.env.FailingSince) >= p.OutageDeadline {
			return report.PhaseOutage
		}
		p.env.State = preview.StateUpdating
		if p.env.GoodSHA == "" {
			p.env.State = preview.StateProvisioning
		}
		return report.PhaseUnavailable
	default:
		p.env.Message = personal(err)
		p.lookAgain(p.Now().Add(slowPoll))
		return report.PhaseFailed
	}
}

// beside are what should be known of the commit's migrations where something else of it fails.
func (p *pass) beside(err error) []preview.Problem {
	var list []preview.Problem
	if approval := approvalOf(err); approval != nil {
		list = storableProblems(approval.Problems)
	} else if p.migrated {
		out := p.outputs[preview.Key{Kind: preview.KindSchema}]
		list = storableProblems(slices.Concat(out.Warnings, out.Unapplied))
	}
	for i := range list {
		list[i].Warning = true
	}
	return list
}

// undecided reports whether the pass ended before it knew what is wanted.
func undecided(v desired.Verdict) bool { return v.Outcome == "" }

// settleDone is settle for a pass without an error.
func (p *pass) settleDone(v desired.Verdict) report.Phase {
	switch v.Outcome {
	case desired.Wanted:
		p.env.State, p.env.GoodSHA, p.env.Message = preview.StateActive, p.facts.PullRequest.HeadSHA, ""
		p.env.HeadSHA = p.facts.PullRequest.HeadSHA
		p.env.Rebuild, p.env.ResetDatabase = false, false
		p.env.NextPassAt = p.env.ExpiresAt
		p.lookAgain(p.Now().Add(steadyPoll))
		if p.remains {
			p.lookAgain(p.Now().Add(slowPoll))
		}
		return report.PhaseReady
	case desired.Queued:
		p.env.State, p.env.GoodSHA = preview.StateQueued, ""
		p.env.ExpiresAt = time.Time{} // its time begins when it does
		p.lookAgain(p.Now().Add(slowPoll))
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
		wait = max(wait, min(transient.After, longestWait))
	}
	p.lookAgain(p.Now().Add(wait))
}

// sayLater is for a report that could not be published. One that GitHub refuses is no reason to
// wake what is gone again and again.
func (p *pass) sayLater(err error) {
	switch {
	case transientOf(err) != nil:
		p.retryLater(err)
	case p.env.State != preview.StateArchived:
		p.lookAgain(p.Now().Add(slowPoll))
	}
}

// lookAgain sets the next pass, unless one is due before.
func (p *pass) lookAgain(at time.Time) {
	if p.env.NextPassAt.IsZero() || at.Before(p.env.NextPassAt) {
		p.env.NextPassAt = at
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
		problems = append(problems, storableProblems(invalid.Problems)...)
	}
	return problems
}

func storableProblems(list []preview.Problem) []preview.Problem {
	var out []preview.Problem
	for _, p := range list {
		p.Path, p.Message, p.Hint = storable(p.Path), storable(p.Message), storable(p.Hint)
		out = append(out, p)
	}
	return out
}

// storable is text that Postgres takes: what a problem quotes is hostile, and a pass whose end can't
// be written would be run for ever.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

// whatOf says what is wrong in the words of the InvalidErrors.
func whatOf(err error) string {
	var text string
	for _, invalid := range invalidErrors(err) {
		if strings.Contains(text, invalid.What) { // of one Worker and of another
			continue
		}
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

// needsApproval is the message of an environment whose pass ended in an ApprovalError.
const needsApproval = "A pending migration is destructive, and this commit is not approved. Nothing was migrated."

func approvalOf(err error) *preview.ApprovalError {
	var approval *preview.ApprovalError
	if errors.As(err, &approval) {
		return approval
	}
	return nil
}

// personal is an error as a person on GitHub may read it: its class and, for the user's own
// mistakes, what is wrong. The cause stays in the log, for it may quote an outside system.
func personal(err error) string {
	if diskFull(err) {
		return "The server has no disk space left. The operator has to make room; the server keeps trying."
	}
	if errors.Is(err, preview.ErrUnmasked) {
		return "The data of the parent is being masked; the preview follows when that is done."
	}
	if errors.Is(err, preview.ErrNoRoom) {
		return "An account of the operator's has no room for what this needs; the server goes on by itself when there is some."
	}
	switch preview.Classify(err) {
	case preview.ClassInvalid:
		return sentence(whatOf(err))
	case preview.ClassApproval:
		return needsApproval
	case preview.ClassTransient:
		if system := uncalled(err); system != "" {
			return systemName(system) + " fails too often, so that it is not called for a while; the server goes on by itself when it answers again."
		}
		return "An outside system does not answer as it should; the server keeps trying."
	case preview.ClassConflict:
		return "Something of the same name exists that Flaresmith did not make. The operator has to move it."
	case preview.ClassNotFound:
		return "Something that this step needs was not found."
	default:
		return "An unexpected error; the operator finds the cause in the server's log."
	}
}

// systemName is how people know an outside system.
func systemName(system string) string {
	names := map[string]string{"cloudflare": "Cloudflare", "github": "GitHub", "neon": "Neon", "postman": "Postman"}
	if name := names[system]; name != "" {
		return name
	}
	return "An outside system"
}

// sentence makes one of the words of an error.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return "It can't work as it is."
	}
	return storable(string(unicode.ToUpper(first)) + text[size:] + ".")
}

// tellOutcome tells metrics of every failure, and the log of those that are not the user's own.
func (p *pass) tellOutcome(ctx context.Context, err error) {
	if err == nil || errors.Is(err, errSuperseded) {
		return
	}
	code, severity := failure(err)
	p.Observer.Failed(code, severity)
	if problemsOf(err) == nil && approvalOf(err) == nil {
		p.log().WarnContext(ctx, "pass failed", slog.String("code", code),
			slog.Int64("durationMs", p.Now().Sub(p.started).Milliseconds()), slog.Any("error", err))
	}
}
