package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// materials are what finished steps hand to the ones that need them.
type materials struct {
	mu      sync.Mutex
	source  Source
	bundles map[preview.Key]*preview.Bundle
	outputs map[preview.Key]preview.Outputs
}

// act runs the plan's steps, each as soon as those it needs have succeeded. A failed step keeps
// those that need it from starting; the others go on to their end, so that nothing is left
// half-done only because something else failed. All errors are joined.
func (p *pass) act(ctx context.Context, steps plan.Plan) error {
	if err := p.intend(ctx, steps); err != nil {
		return err
	}
	m := &materials{bundles: map[preview.Key]*preview.Bundle{}, outputs: maps.Clone(p.outputs)}
	defer func() {
		if m.source != nil {
			_ = m.source.Close()
		}
	}()
	until, worked := context.WithCancel(ctx)
	reported := p.reportWorking(ctx, until, steps)
	defer func() {
		worked()
		<-reported
	}()

	done := map[string]chan struct{}{}
	for _, s := range steps.Steps {
		done[s.Name] = make(chan struct{})
	}
	var mu sync.Mutex
	failed := map[string]error{} // by step; a step that never started has errNotStarted
	var group sync.WaitGroup
	for _, s := range steps.Steps {
		group.Go(func() {
			defer close(done[s.Name])
			for _, need := range s.Needs {
				<-done[need]
			}
			mu.Lock()
			blocked := slices.ContainsFunc(s.Needs, func(need string) bool { return failed[need] != nil })
			mu.Unlock()
			err := errNotStarted
			if !blocked {
				err = p.runStep(ctx, s, m)
			}
			if err != nil {
				mu.Lock()
				failed[s.Name] = err
				mu.Unlock()
			}
		})
	}
	group.Wait()
	p.outputs = m.outputs
	p.sortSteps(steps)
	p.migrated = !slices.ContainsFunc(steps.Steps, func(s plan.Step) bool { return s.Resource.Kind == preview.KindSchema && failed[s.Name] != nil })
	return joinFailures(steps, failed)
}

// intend notes all that is about to be made or changed before any of it begins. What does not come to its end then is not up to date,
// whatever its provider says: a Worker that was to follow its database has credentials that are no longer good. Another end of what is
// known here makes it no less up to date. Nor is what could not be looked at where a Worker gets an address that it does not know.
func (p *pass) intend(ctx context.Context, steps plan.Plan) error {
	for _, s := range steps.Steps {
		r := s.Resource
		known := slices.ContainsFunc(p.ledger, func(e preview.LedgerEntry) bool { return e.Key() == r.Key() })
		if !s.Writes() || s.Op == plan.OpDelete || s.Op == plan.OpExtend && known {
			continue
		}
		if err := p.Store.RecordIntent(ctx, p.lease, r.Key(), r.Name, p.set.Places[r.Kind]); err != nil {
			return storeError("record intent", err)
		}
	}
	if !slices.ContainsFunc(steps.Steps, func(s plan.Step) bool { return s.Resource.Kind == preview.KindWorker && s.Op == plan.OpCreate }) {
		return nil
	}
	for _, e := range p.ledger {
		if e.Kind != preview.KindCollection || p.unseen[e.Key()] == nil {
			continue
		}
		if err := p.Store.RecordIntent(ctx, p.lease, e.Key(), e.Name, p.set.Places[e.Kind]); err != nil {
			return storeError("record intent", err)
		}
	}
	return nil
}

var errNotStarted = errors.New("not started")

// joinFailures joins the errors of the steps that ran, in the plan's order.
func joinFailures(steps plan.Plan, failed map[string]error) error {
	var errs []error
	for _, s := range steps.Steps {
		if err := failed[s.Name]; err != nil && !errors.Is(err, errNotStarted) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// runStep runs one step within its time, behind the fence, and records how it went.
func (p *pass) runStep(ctx context.Context, s plan.Step, m *materials) error {
	if s.Writes() {
		if err := p.fence(ctx); err != nil {
			return err
		}
	}
	started := p.Now()
	sctx, cancel := context.WithTimeout(ctx, p.StepTimeout)
	defer cancel()
	what, worker, _ := strings.Cut(s.Name, " ")
	err := span(sctx, "step "+what, func(ctx context.Context) error {
		return telemetry.Guarded(func() error { return p.do(ctx, s, m) })
	}, attribute.String("op", string(s.Op)), attribute.String("worker", worker))
	if err != nil && sctx.Err() != nil && ctx.Err() == nil && preview.Classify(err) != preview.ClassInvalid {
		err = preview.Transient(fmt.Errorf("took longer than %s: %w", p.StepTimeout, err))
	}
	if diskFull(err) {
		err = preview.Transient(err)
	}
	record := preview.StepRecord{Name: s.Title(), Op: string(s.Op), OK: err == nil,
		StartMS: started.Sub(p.started).Milliseconds(), DurationMS: p.Now().Sub(started).Milliseconds()}
	p.Observer.Stepped(s, err == nil, p.Now().Sub(started))
	if err != nil {
		record.Error = personal(err)
		err = fmt.Errorf("%s %s: %w", s.Op, s.Name, err)
		p.log().InfoContext(ctx, "step failed", slog.Int64("durationMs", record.DurationMS), slog.Any("error", err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p.steps = append(p.steps, record)
	return err
}

// diskFull reports whether the server's own disk has no room: the operator makes some, and the same
// step works.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// fence keeps a pass from writing for a generation that is no longer wanted: a close always beats
// a late deploy.
func (p *pass) fence(ctx context.Context) error {
	wanted, err := p.Store.Renew(ctx, p.lease, p.LeaseTTL)
	switch {
	case err != nil:
		return storeError("renew lease", err)
	case wanted != p.env.Wanted:
		return errSuperseded
	}
	return nil
}

// do is the step itself.
func (p *pass) do(ctx context.Context, s plan.Step, m *materials) error {
	switch s.Op {
	case plan.OpFetch:
		return p.fetch(ctx, m)
	case plan.OpBundle:
		bundle, err := p.Builder.Bundle(ctx, m.source, s.Resource.Layout, s.Resource.Worker)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.bundles[s.Resource.Key()] = bundle
		return err
	case plan.OpReset:
		if err := p.checkApproval(ctx, s.Resource, m); err != nil {
			return err
		}
		return p.apply(ctx, s.Resource, m)
	case plan.OpDelete:
		return p.remove(ctx, s.Resource)
	default:
		return p.apply(ctx, s.Resource, m)
	}
}

// checkApproval refuses a reset after which the migrations would wait for an approval: what serves
// would be left without them.
func (p *pass) checkApproval(ctx context.Context, r preview.Resource, m *materials) error {
	checker, ok := p.set.Kinds[preview.KindSchema].(ApprovalChecker)
	if !ok || !r.RequireApproval || r.Approved {
		return nil
	}
	m.mu.Lock()
	in := preview.Inputs{Source: m.source}
	m.mu.Unlock()
	return checker.CheckApproval(ctx, r, in)
}

func (p *pass) fetch(ctx context.Context, m *materials) error {
	archive, err := p.GitHub.Archive(ctx, p.project, p.facts.PullRequest.HeadSHA)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	source, err := p.Builder.Unpack(ctx, archive)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.source = source
	}
	return err
}

func (p *pass) apply(ctx context.Context, r preview.Resource, m *materials) error {
	m.mu.Lock()
	in := preview.Inputs{Source: m.source, Bundle: m.bundles[r.Key()], Outputs: preview.Combine(m.outputs)}
	if in.Outputs.DatabaseURL != "" {
		in.Redact = []preview.Secret{in.Outputs.DatabaseURL}
	}
	m.mu.Unlock()
	in, err := p.identified(r, in)
	if err != nil {
		return err
	}
	provider := p.set.Kinds[r.Kind]
	out, err := provider.Apply(ctx, r, in)
	if err != nil {
		if counting, ok := provider.(Headroom); ok && errors.Is(err, preview.ErrNoRoom) {
			_, known := counting.Headroom(p.project.ID)
			m.mu.Lock()
			p.full = p.full || known
			m.mu.Unlock()
		}
		return ofWorker(r, err)
	}
	out = named(r, out)
	if err := p.Store.RecordApplied(ctx, p.lease, r.Key(), p.set.Places[r.Kind], r.Digest, out); err != nil {
		return storeError("record "+r.Key().String(), err)
	}
	if err := p.deployed(ctx, r, out); err != nil {
		return err
	}
	if r.Kind == preview.KindDatabase && r.Reset {
		// Done, whatever else fails: another try must not wipe what people enter meanwhile.
		p.env.ResetDatabase = false
		if err := p.saveEnvironment(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outputs[r.Key()] = out
	return nil
}

// deployed notes which version serves a long-lived environment, so that one can go back to it.
func (p *pass) deployed(ctx context.Context, r preview.Resource, out preview.Outputs) error {
	if out.Version == "" {
		return nil
	}
	return storeError("record the deployment of "+r.Key().String(), p.Store.RecordDeployment(ctx, p.lease,
		preview.Deployment{Worker: r.Worker, Place: p.set.Places[r.Kind], Version: out.Version, SHA: p.facts.PullRequest.HeadSHA}))
}

// ofWorker tells which of several Workers a problem is about that names no place.
func ofWorker(r preview.Resource, err error) error {
	w, ok := r.Layout.Worker(r.Worker)
	if !ok || r.Kind != preview.KindWorker || w.Name == "" {
		return err
	}
	for _, invalid := range invalidErrors(err) {
		for i := range invalid.Problems {
			if invalid.Problems[i].Path == "" {
				invalid.Problems[i].Path = w.WranglerConfig
			}
		}
	}
	return err
}

func (p *pass) remove(ctx context.Context, r preview.Resource) error {
	if err := p.set.Kinds[r.Kind].Delete(ctx, r); err != nil {
		return err
	}
	return storeError("forget "+r.Key().String(), p.Store.Forget(ctx, p.lease, r.Key(), p.set.Places[r.Kind]))
}

// sortSteps puts the records into the plan's order, whatever finished first.
func (p *pass) sortSteps(steps plan.Plan) {
	order := map[string]int{}
	for i, s := range steps.Steps {
		order[s.Title()] = i
	}
	slices.SortFunc(p.steps, func(a, b preview.StepRecord) int { return order[a.Name] - order[b.Name] })
}

// backoff is the wait before the next try after n transient failures in a row: 1 s doubling to 60 s.
func backoff(n int) time.Duration {
	return min(time.Second<<min(n, 6), time.Minute)
}
