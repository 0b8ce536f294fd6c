package reconcile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

var (
	now  = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ends = now.Add(20 * time.Hour)
	// errUncalled is what a provider makes of a call that was not made.
	errUncalled = fmt.Errorf("observe database: %w", preview.Transient(notCalled{}))
	fault       = preview.Invalid("the Worker does not compile", preview.Problem{Path: "src/index.ts", Line: 3, Message: "Unexpected }"})
	down        = preview.Transient(errors.New("connection refused"))
)

// notCalled is the error of an open circuit breaker.
type notCalled struct{}

func (notCalled) Error() string    { return "neon is not called until 12:00:30Z" }
func (notCalled) Uncalled() string { return "neon" }

// passOver is a pass over an environment, far enough to be settled.
func passOver(e preview.Environment) *pass {
	p := &pass{Reconciler: New(Config{Now: func() time.Time { return now }, OutageDeadline: 15 * time.Minute}), env: e}
	p.facts.PullRequest = preview.PullRequest{Number: 7, Open: true, HeadSHA: "new"}
	return p
}

func active() preview.Environment {
	return preview.Environment{Kind: preview.EnvironmentPreview, Name: "preview-abc-pr-7", PR: 7, State: preview.StateUpdating,
		GoodSHA: "old", HeadSHA: "new", ExpiresAt: ends}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	wanted := desired.Verdict{Outcome: desired.Wanted}
	tests := []struct {
		name    string
		reason  string // why it must be so
		env     func(*preview.Environment)
		verdict desired.Verdict
		err     error
		phase   report.Phase
		state   preview.State
		good    string
		next    time.Time
		failing time.Time
	}{
		{name: "done", reason: "nobody tells of a lost event", verdict: wanted,
			phase: report.PhaseReady, state: preview.StateActive, good: "new", next: now.Add(steadyPoll)},
		{name: "done shortly before its end", env: func(e *preview.Environment) { e.ExpiresAt = now.Add(time.Minute) }, verdict: wanted,
			phase: report.PhaseReady, state: preview.StateActive, good: "new", next: now.Add(time.Minute)},
		{name: "the user's fault", reason: "a failing preview ends in time too", verdict: wanted, err: fault,
			phase: report.PhaseInvalid, state: preview.StateError, good: "old", next: ends},
		{name: "the user's fault ends an outage", reason: "the next outage has a deadline of its own",
			env: func(e *preview.Environment) { e.FailingSince = now.Add(-time.Hour) }, verdict: wanted, err: fault,
			phase: report.PhaseInvalid, state: preview.StateError, good: "old", next: ends},
		{name: "outage", verdict: wanted, err: down,
			phase: report.PhaseUnavailable, state: preview.StateUpdating, good: "old", next: now.Add(time.Second), failing: now},
		{name: "outage of the first creation", env: func(e *preview.Environment) { e.GoodSHA = "" }, verdict: wanted, err: down,
			phase: report.PhaseUnavailable, state: preview.StateProvisioning, next: now.Add(time.Second), failing: now},
		{name: "outage beyond the deadline", reason: "it is shown, and tried again all the same",
			env: func(e *preview.Environment) { e.FailingSince, e.Attempts = now.Add(-15*time.Minute), 30 }, verdict: wanted, err: down,
			phase: report.PhaseOutage, state: preview.StateError, good: "old", next: now.Add(time.Minute), failing: now.Add(-15 * time.Minute)},
		{name: "a limit that names a time in years", verdict: wanted, err: &preview.TransientError{After: 1 << 62, Err: errors.New("slow down")},
			phase: report.PhaseUnavailable, state: preview.StateUpdating, good: "old", next: now.Add(time.Hour), failing: now},
		{name: "a limit that names its time", verdict: wanted, err: &preview.TransientError{After: 5 * time.Minute, Err: errors.New("slow down")},
			phase: report.PhaseUnavailable, state: preview.StateUpdating, good: "old", next: now.Add(5 * time.Minute), failing: now},
		{name: "fault and outage at once", reason: "the fault is what a person can mend", verdict: wanted, err: errors.Join(down, fault),
			phase: report.PhaseInvalid, state: preview.StateError, good: "old", next: now.Add(time.Second), failing: now},
		{name: "neither fault nor outage", verdict: wanted, err: preview.ErrConflict,
			phase: report.PhaseFailed, state: preview.StateError, good: "old", next: now.Add(slowPoll)},
		{name: "facts that can't be read", reason: "what stands is not known to be wrong",
			env: func(e *preview.Environment) { e.State, e.GoodSHA = preview.StateActive, "new" }, err: down,
			phase: report.PhaseUnavailable, state: preview.StateActive, good: "new", next: now.Add(time.Second), failing: now},
		{name: "facts that can't be read after its end", reason: "a time in the past would be due every second",
			env: func(e *preview.Environment) { e.ExpiresAt = now.Add(-time.Minute) }, err: down,
			phase: report.PhaseUnavailable, state: preview.StateUpdating, good: "old", next: now.Add(time.Second), failing: now},
		{name: "queued", reason: "a place may become free unseen", verdict: desired.Verdict{Outcome: desired.Queued},
			phase: report.PhaseQueued, state: preview.StateQueued, next: now.Add(slowPoll)},
		{name: "closed", verdict: desired.Verdict{Outcome: desired.Closed}, phase: report.PhaseClosed, state: preview.StateArchived},
		{name: "closed but not yet gone", verdict: desired.Verdict{Outcome: desired.Closed}, err: down,
			env:   func(e *preview.Environment) { e.ExpiresAt = time.Time{} },
			phase: report.PhaseUnavailable, state: preview.StateUpdating, good: "old", next: now.Add(time.Second), failing: now},
		{name: "expired", verdict: desired.Verdict{Outcome: desired.Expired}, phase: report.PhaseExpired, state: preview.StateArchived},
		{name: "core environment that is no longer named", reason: "what serves goes on serving",
			env: func(e *preview.Environment) {
				e.Kind, e.State, e.ExpiresAt = preview.EnvironmentDev, preview.StateActive, time.Time{}
			},
			verdict: desired.Verdict{Outcome: desired.Skipped}, phase: report.PhaseSkipped, state: preview.StateActive, good: "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := active()
			if tt.env != nil {
				tt.env(&e)
			}
			p := passOver(e)
			if phase := p.settle(tt.verdict, tt.err); phase != tt.phase {
				t.Errorf("phase %q, want %q: %s", phase, tt.phase, tt.reason)
			}
			type end struct {
				State         preview.State
				GoodSHA       string
				Next, Failing time.Time
			}
			want := end{tt.state, tt.good, tt.next, tt.failing}
			got := end{p.env.State, p.env.GoodSHA, p.env.NextPassAt, p.env.FailingSince}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
			}
		})
	}
}

// TestSettleNamesWarnings: what else is known of the migrations is not lost where something fails.
func TestSettleNamesWarnings(t *testing.T) {
	t.Parallel()
	drops := preview.Problem{Path: "drizzle/1.sql", Line: 3, Message: "Drops\x00 the table."}
	unlisted := preview.Problem{Path: "drizzle/2.sql", Line: 1, Message: "is not applied", Warning: true}
	warned := drops
	warned.Message, warned.Warning = "Drops\ufffd the table.", true
	broken := preview.Problem{Path: "src/index.ts", Line: 1, Message: "unexpected"}
	fails := preview.Invalid("the Worker does not compile", broken)
	tests := []struct {
		name     string
		migrated bool
		err      error
		want     []preview.Problem
	}{
		{"of the same commit", true, fails, []preview.Problem{broken, warned, unlisted}},
		{"of an older commit", false, fails, []preview.Problem{broken}},
		{"an approval beside it", false, errors.Join(fails, &preview.ApprovalError{Problems: []preview.Problem{drops, unlisted}}), []preview.Problem{broken, warned, unlisted}},
	}
	for _, tt := range tests {
		p := passOver(active())
		p.migrated = tt.migrated
		p.outputs = map[preview.Key]preview.Outputs{{Kind: preview.KindSchema}: {Warnings: []preview.Problem{drops}, Unapplied: []preview.Problem{unlisted}}}
		if phase := p.settle(desired.Verdict{Outcome: desired.Wanted}, tt.err); phase != report.PhaseInvalid {
			t.Errorf("%s: phase %s", tt.name, phase)
		}
		if diff := cmp.Diff(tt.want, p.env.Problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A preview that waits for a place has not begun to live: its time must not run out in the queue.
func TestSettleQueued(t *testing.T) {
	t.Parallel()
	e := active()
	e.Closed = true // reopened while every place is taken
	p := passOver(e)
	p.settle(desired.Verdict{Outcome: desired.Queued}, nil)
	if !p.env.ExpiresAt.IsZero() {
		t.Errorf("it ends at %s without having begun", p.env.ExpiresAt)
	}
	if p.env.Closed {
		t.Error("it counts as closed, so nothing but its own events wakes it")
	}
}

// TestSilent: nothing is said where nothing is known, and nothing that is not so.
func TestSilent(t *testing.T) {
	t.Parallel()
	said := report.Published{CheckRunID: 1}
	tests := []struct {
		name      string
		kind      preview.EnvironmentKind
		published report.Published
		gone      bool
		problems  []preview.Problem
		outcome   desired.Outcome
		want      bool
	}{
		{name: "ready", kind: preview.EnvironmentPreview, outcome: desired.Wanted},
		{name: "not eligible", kind: preview.EnvironmentPreview, outcome: desired.Skipped},
		{name: "no configuration", kind: preview.EnvironmentPreview, outcome: desired.Unconfigured, want: true},
		{name: "configuration taken away", kind: preview.EnvironmentPreview, outcome: desired.Unconfigured, published: said},
		{name: "closed without a preview", kind: preview.EnvironmentPreview, outcome: desired.Closed, want: true},
		{name: "out of reach", kind: preview.EnvironmentPreview, outcome: desired.Closed, published: said, gone: true, want: true},
		{name: "facts that can't be read", kind: preview.EnvironmentPreview, published: said, want: true},
		{name: "facts that are the user's fault", kind: preview.EnvironmentPreview, problems: []preview.Problem{{Message: "x"}}},
		{name: "core environment", kind: preview.EnvironmentDev, outcome: desired.Wanted},
		{name: "core environment whose branch is deleted", kind: preview.EnvironmentDev, outcome: desired.Skipped, published: said, want: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := passOver(preview.Environment{Kind: tt.kind, Problems: tt.problems})
			p.gone, p.published = tt.gone, tt.published
			if got := p.silent(desired.Verdict{Outcome: tt.outcome}); got != tt.want {
				t.Errorf("silent %v, want %v", got, tt.want)
			}
		})
	}
}

func TestProblemsOf(t *testing.T) {
	t.Parallel()
	one, two := preview.Problem{Path: "a.ts", Line: 1, Message: "one"}, preview.Problem{Path: "b.sql", Line: 2, Message: "two"}
	tests := []struct {
		name     string
		err      error
		want     []preview.Problem
		personal string
	}{
		{"none", errors.New("secret text of an outside system"), nil, "An unexpected error; the operator finds the cause in the server's log."},
		{"wrapped", fmt.Errorf("bundle: %w", preview.Invalid("the Worker does not compile", one)), []preview.Problem{one}, "The Worker does not compile."},
		{"two steps at once, and an outage", errors.Join(preview.Invalid("the Worker does not compile", one), down,
			fmt.Errorf("update schema: %w", preview.Invalid("a migration does not apply", two))), []preview.Problem{one, two},
			"The Worker does not compile; a migration does not apply."},
		{"not in English", preview.Invalid("état inconnu", one), []preview.Problem{one}, "État inconnu."},
		{"without a word", preview.Invalid("", one), []preview.Problem{one}, "It can't work as it is."},
		{"outage", fmt.Errorf("create worker: %w", down), nil, "An outside system does not answer as it should; the server keeps trying."},
		{"a system that is not called", errUncalled, nil,
			"Neon fails too often, so that it is not called for a while; the server goes on by itself when it answers again."},
		{"a parent that is being masked", preview.Transient(preview.ErrUnmasked), nil, "The data of the parent is being masked; the preview follows when that is done."},
		{"no room", preview.Transient(fmt.Errorf("%w: limit", preview.ErrNoRoom)), nil,
			"An account of the operator's has no room for what this needs; the server goes on by itself when there is some."},
		{"something in the way", preview.ErrConflict, nil, "Something of the same name exists that Flaresmith did not make. The operator has to move it."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, problemsOf(tt.err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if got := personal(tt.err); got != tt.personal {
				t.Errorf("for a person: %q, want %q", got, tt.personal)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{"INTEGRATION_UNAVAILABLE warn": down, "INTEGRATION_NEON_UNAVAILABLE warn": errUncalled,
		"ENV_PREVIEW_INVALID info": fault, "INTERNAL_ERROR error": errors.New("x")} {
		if code, severity := failure(err); code+" "+severity != want {
			t.Errorf("%v: %s %s, want %s", err, code, severity, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 6: time.Minute, 7: time.Minute, 1000: time.Minute} {
		if got := backoff(attempts); got != want {
			t.Errorf("after %d attempts: %s, want %s", attempts, got, want)
		}
	}
}

// What a pull request holds can reach a problem's text; a row that can't be written is a pass without end.
func TestProblemsAreStorable(t *testing.T) {
	t.Parallel()
	hostile := preview.Problem{Path: "a\x00b.ts", Line: 1, Message: "no \xff such \x00 thing", Hint: "\x00"}
	want := []preview.Problem{{Path: "a�b.ts", Line: 1, Message: "no � such � thing", Hint: "�"}}
	err := preview.Invalid("binding \x00 is unknown", hostile)
	if diff := cmp.Diff(want, problemsOf(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if got := personal(err); got != "Binding � is unknown." {
		t.Errorf("for a person: %q", got)
	}
}
