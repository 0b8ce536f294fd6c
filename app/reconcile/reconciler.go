package reconcile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// Config is what a Reconciler is made of.
type Config struct {
	Store        Store
	GitHub       GitHub
	Conversation Conversation
	Reporter     Reporter
	Builder      Builder
	Providers    Providers
	// DetailsURL is where people see more of a project. It stands in public; nil: nowhere.
	DetailsURL func(p preview.Project) string
	// Changes is told which files an open pull request changes, at every pass; may be nil.
	Changes func(ctx context.Context, p preview.Project, pr preview.PullRequest, changed []string) error

	LeaseTTL       time.Duration // a pass that is silent for longer loses its lease
	StepTimeout    time.Duration // bound on one step
	OutageDeadline time.Duration // a provider down for longer turns the check red
	Now            func() time.Time
	Observer       Observer
	Logger         *slog.Logger
}

// Reconciler runs passes. It is safe for concurrent use; the lease keeps passes of one
// environment apart.
type Reconciler struct {
	Config
	// identity signs the questions to Workers who they are. Each deployment is told the public key by the process that asks it.
	identity ed25519.PrivateKey
}

// New makes a Reconciler.
func New(c Config) *Reconciler {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	return &Reconciler{Config: c, identity: ed25519.NewKeyFromSeed(seed)}
}

// Result tells the caller of a pass what it worked on.
type Result struct {
	Seen  int64 // the wanted generation that the pass started from
	Phase report.Phase
}

// errSuperseded ends a pass early because a newer generation is wanted.
var errSuperseded = errors.New("a newer event arrived")

// pass is the state of one run of Pass.
type pass struct {
	*Reconciler
	lease     preview.Lease
	env       preview.Environment
	project   preview.Project
	set       Set // of the project, for environments of this kind
	facts     desired.Facts
	published report.Published
	// publishedText is published as the store has it, for the exchange of old for new.
	publishedText []byte
	started       time.Time
	saved         preview.State // as the store has it
	steps         []preview.StepRecord
	ledger        []preview.LedgerEntry // as the pass found it, at the places where the project's things are made now
	moved         []preview.LedgerEntry // at other places, see leavePlaces
	outputs       map[preview.Key]preview.Outputs
	unseen        map[preview.Key]error // why what stands alone could not be looked at
	// remains is set where something at another place could not be deleted.
	remains bool
	// full is set where a provider that knows how many environments there can be had no room for this one.
	full bool
	// migrated is set where what the outputs tell of the migrations is of the pass's own commit.
	migrated bool
	// gone: GitHub no longer lets us see the repository; tear down from the ledger, tell nobody.
	gone bool
	// config is the file that is in force; nil: none.
	config []byte
	// configProblems are those of a change to the configuration in this pull request.
	configProblems []preview.Problem
	// policyProblems are those of the default branch's file, while the last valid one is in force.
	policyProblems []preview.Problem
}

// Pass brings one environment to what is wanted of it now. It returns preview.ErrLeased when
// another pass is at work, and an error only when the store failed: what a provider or GitHub did
// is recorded, shown, and tried again by the time that the row says.
func (r *Reconciler) Pass(ctx context.Context, environmentID string) (Result, error) {
	lease, env, err := r.Store.Acquire(ctx, environmentID, r.LeaseTTL)
	if err != nil {
		return Result{}, fmt.Errorf("lease environment: %w", err)
	}
	p := &pass{Reconciler: r, lease: lease, env: env, started: r.Now(), saved: env.State}
	var result Result
	err = span(ctx, "pass", func(ctx context.Context) (err error) {
		ctx, stop := p.keepLease(ctx)
		defer stop()
		result, err = p.run(ctx)
		return err
	}, p.about()...)
	return result, err
}

// run is a pass that holds its lease.
func (p *pass) run(ctx context.Context) (Result, error) {
	if err := p.load(ctx); err != nil {
		return Result{}, err
	}
	result := Result{Seen: p.env.Wanted}
	verdict, err := p.converge(ctx)
	if err != nil && isStoreError(err) {
		return result, err
	}
	p.tellOutcome(ctx, err)
	result.Phase, err = p.record(ctx, verdict, err)
	return result, err
}

// converge is the pass itself, up to the point where its result is recorded.
func (p *pass) converge(ctx context.Context) (desired.Verdict, error) {
	if err := span(ctx, "facts", p.readFacts); err != nil {
		return desired.Verdict{}, err
	}
	if err := span(ctx, "commands", p.runCommands); err != nil {
		return desired.Verdict{}, err
	}
	want := p.want()
	if err := p.admit(ctx, &want); err != nil {
		return want.Verdict, err
	}
	if err := p.checkPlaces(want); err != nil {
		return want.Verdict, err
	}
	err := p.reach(ctx, &want)
	return want.Verdict, p.leavePlaces(ctx, want.Verdict, err)
}

// reach makes what is wanted so, at the places where things are made now.
func (p *pass) reach(ctx context.Context, want *desired.Desired) error {
	var undesired []preview.Resource
	var observed map[preview.Key]preview.Observed
	err := span(ctx, "observe", func(ctx context.Context) (err error) {
		undesired, observed, err = p.observe(ctx, want.Resources)
		return err
	})
	if err != nil {
		return err
	}
	var steps plan.Plan
	err = span(ctx, "plan", func(context.Context) (err error) {
		steps, err = plan.Calculate(p.seen(want.Resources), undesired, observed)
		return err
	})
	if err != nil || steps.Empty() {
		return errors.Join(err, p.unseenError())
	}
	if err := p.begin(ctx, *want); err != nil {
		return err
	}
	err = span(ctx, "act", func(ctx context.Context) error { return p.act(ctx, steps) })
	err = p.queueAgain(ctx, want, err)
	if want.Verdict.Outcome == desired.Queued {
		return err
	}
	return errors.Join(err, p.unseenError())
}

func (p *pass) load(ctx context.Context) error {
	var err error
	if p.project, err = p.Store.Project(ctx, p.env.ProjectID); err != nil {
		return storeError("project of environment", err)
	}
	if p.set, err = p.Providers.Set(ctx, p.project, p.env.Kind); err != nil {
		return storeError("providers of project", err)
	}
	if p.ledger, err = p.Store.Ledger(ctx, p.env.ID); err != nil {
		return storeError("ledger", err)
	}
	p.splitLedger()
	p.outputs, p.unseen = map[preview.Key]preview.Outputs{}, map[preview.Key]error{}
	for _, entry := range p.ledger {
		p.outputs[entry.Key()] = entry.Outputs
	}
	p.published, err = p.loadPublished(ctx)
	return err
}

// keepLease renews the lease for as long as the pass runs, so that a lease that runs out means a
// server that died. The context ends when the lease is lost; stop releases it.
func (p *pass) keepLease(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(p.LeaseTTL / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := p.Store.Renew(ctx, p.lease, p.LeaseTTL); errors.Is(err, preview.ErrLeaseLost) {
					cancel(err)
				}
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
		p.release()
	}
}

// release gives the lease back, also when the pass was cancelled.
func (p *pass) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.Store.Release(ctx, p.lease); err != nil && !errors.Is(err, preview.ErrLeaseLost) {
		p.log().WarnContext(ctx, "release lease", slog.Any("error", err))
	}
}

// want computes the desired resources from the facts.
func (p *pass) want() desired.Desired {
	if p.gone {
		return desired.Desired{Verdict: desired.Verdict{Outcome: desired.Closed, Reason: "The installation is gone."}}
	}
	if p.env.ApprovedSHA != p.facts.PullRequest.HeadSHA { // void, also if that commit comes back
		p.env.ApprovedSHA = ""
	}
	p.facts.Environment = p.env
	if p.env.Kind.Core() {
		return desired.Core(p.facts)
	}
	d := desired.Preview(p.facts)
	p.trackLifetime(d.Verdict)
	return d
}

// trackLifetime starts the TTL anew at each new head, unless more is left, and remembers at which head it ran out.
func (p *pass) trackLifetime(v desired.Verdict) {
	head := p.facts.PullRequest.HeadSHA
	switch v.Outcome {
	case desired.Wanted:
		p.env.ExpiresAt, p.env.ExpiredSHA = desired.ExpiresAt(p.facts), ""
	case desired.Expired:
		p.env.ExpiredSHA, p.env.ExpiresAt = head, time.Time{}
	default:
		p.env.ExpiresAt, p.env.ExpiredSHA = time.Time{}, ""
	}
	p.env.HeadSHA = head
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// admit takes a place for a wanted preview, or empties the wish when the project's places are taken.
func (p *pass) admit(ctx context.Context, want *desired.Desired) error {
	if want.Verdict.Outcome != desired.Wanted || p.env.Kind.Core() {
		return nil
	}
	limit, places := min(p.facts.Policy.MaxActive, p.facts.Entitlement.MaxPreviews), "All %d places are taken"
	if room, known := p.headroom(); known && room < limit {
		limit, places = room, "The account of the databases has no room for more than %d of this repository"
	}
	position, err := p.Store.Admit(ctx, p.lease, limit)
	if err != nil {
		return storeError("admit preview", err)
	}
	if position > 0 {
		*want = desired.Desired{Verdict: desired.Verdict{Outcome: desired.Queued,
			Reason: fmt.Sprintf(places+"; this preview is number %d in the queue.", limit, position)}}
	}
	return nil
}

// headroom is how many previews of the project there can be, as far as a provider knows.
func (p *pass) headroom() (environments int, known bool) {
	for _, kind := range preview.Kinds() {
		provider, ok := p.set.Kinds[kind].(Headroom)
		if !ok {
			continue
		}
		if room, ok := provider.Headroom(p.project.ID); ok && (!known || room < environments) {
			environments, known = room, true
		}
	}
	return environments, known
}

// queueAgain gives the place back when there turned out to be no room for a first creation, and takes its turn again now that this
// is known.
func (p *pass) queueAgain(ctx context.Context, want *desired.Desired, err error) error {
	if !errors.Is(err, preview.ErrNoRoom) || len(invalidErrors(err)) > 0 || p.env.Kind.Core() || p.env.GoodSHA != "" {
		return err
	}
	if !p.full { // nobody knows how many there can be: it tries again by itself
		return err
	}
	if err := p.Store.Leave(ctx, p.lease); err != nil {
		return storeError("leave", err)
	}
	again := *want
	if err := p.admit(ctx, &again); err != nil {
		return err
	}
	if again.Verdict.Outcome != desired.Queued {
		return err
	}
	p.steps, *want = nil, again
	return nil
}

// begin records that work starts: what was wrong with an earlier attempt no longer counts, and
// this pass is the one that was due.
func (p *pass) begin(ctx context.Context, want desired.Desired) error {
	p.env.Problems, p.env.Message, p.env.NextPassAt = nil, "", time.Time{}
	switch {
	case want.Verdict.Outcome != desired.Wanted:
	case p.env.GoodSHA == "":
		p.env.State = preview.StateProvisioning
	default:
		p.env.State = preview.StateUpdating
	}
	return p.saveEnvironment(ctx)
}

// storeFailure marks an error of our own store: nothing can be recorded, so the job is tried again.
type storeFailure struct{ error }

func (e storeFailure) Unwrap() error { return e.error }

func storeError(what string, err error) error {
	if err == nil {
		return nil
	}
	return storeFailure{fmt.Errorf("%s: %w", what, err)}
}

func isStoreError(err error) bool {
	var failure storeFailure
	return errors.As(err, &failure)
}
