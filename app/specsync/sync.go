package specsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// leaseTTL is longer than a look may take.
const leaseTTL = 150 * time.Second

// atOnce bounds the comparisons that run at the same time.
const atOnce = 2

// Config is what a Syncer is made of.
type Config struct {
	Store     Store
	GitHub    GitHub
	Committer Committer
	Sources   Sources
	// DetailsURL is where a person sees more; may be nil.
	DetailsURL func(preview.Project) string
	// Attempted is told how each attempt to apply ended, and how long it took; may be nil.
	Attempted func(a Attempt, took time.Duration)
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: discard
}

// Syncer looks at specs. It is safe for concurrent use.
type Syncer struct {
	Config
	slots chan struct{}
}

// New makes a Syncer.
func New(c Config) *Syncer {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.DetailsURL == nil {
		c.DetailsURL = func(preview.Project) string { return "" }
	}
	if c.Attempted == nil {
		c.Attempted = func(Attempt, time.Duration) {}
	}
	return &Syncer{Config: c, slots: make(chan struct{}, atOnce)}
}

// look is one look at the specs of one pull request.
type look struct {
	*Syncer
	project   preview.Project
	pr        preview.PullRequest
	lease     preview.SpecLease
	published report.Published
	config    []byte // that counts where the head has none
	forced    bool   // a person asked for the check
}

// Look does what people asked for on a pull request's specs, and brings the check run at its head up to date. Any
// number of looks may be asked for: each reads what is true now. Its error is worth another try.
func (s *Syncer) Look(ctx context.Context, projectID string, number int) (err error) {
	l := &look{Syncer: s}
	if l.project, err = s.Store.Project(ctx, projectID); err != nil {
		return fmt.Errorf("specs of project %s: %w", projectID, err)
	}
	if l.project.Archived {
		return nil
	}
	lease, published, err := s.Store.AcquireSpec(ctx, projectID, number, leaseTTL)
	if err != nil {
		return err
	}
	l.lease = lease
	defer func() {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, s.Store.ReleaseSpec(rctx, lease))
	}()
	if err := json.Unmarshal(published, &l.published); err != nil {
		return fmt.Errorf("what is published of specs: %w", err)
	}
	err = l.run(ctx, number)
	if errors.Is(err, preview.ErrGone) {
		return nil // its coming back is another event
	}
	if err != nil {
		return fmt.Errorf("specs of %s#%d: %w", l.project.FullName(), number, err)
	}
	return nil
}

func (l *look) run(ctx context.Context, number int) error {
	var err error
	if l.pr, err = l.GitHub.PullRequest(ctx, l.project, number); err != nil {
		return err
	}
	commands, err := l.Store.PendingSpecCommands(ctx, l.project.ID, number)
	if err != nil {
		return err
	}
	if len(commands) == 0 && (!l.pr.Open || l.published.CheckSHA == l.pr.HeadSHA && !l.published.NewCheck) {
		return nil
	}
	served := false
	if l.config, served, err = l.configuration(ctx, l.project); err != nil {
		return err
	}
	for _, c := range commands {
		if err := l.command(ctx, c, served); err != nil {
			return fmt.Errorf("command %s: %w", c.Verb, err)
		}
	}
	if !served || !l.pr.Open {
		return nil
	}
	return l.check(ctx)
}

// configuration is the valid configuration of the default branch or the organisation, as it is or was last: it counts
// where a head has none. Nothing is done in a repository that has none, or that the operator did not list.
func (s *Syncer) configuration(ctx context.Context, p preview.Project) (data []byte, served bool, err error) {
	if _, err := s.Store.Entitlement(ctx, p); errors.Is(err, preview.ErrNotFound) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	data, found, err := s.GitHub.ConfigFile(ctx, p, p.DefaultBranch)
	if err != nil || !found {
		return nil, false, err
	}
	if _, problems := repoconfig.Parse(data); len(problems) == 0 {
		return data, true, nil
	}
	data, _, err = s.Store.GoodConfig(ctx, p.ID)
	return data, true, err
}

// check compares and publishes.
func (l *look) check(ctx context.Context) error {
	touched := l.forced
	if !touched {
		changed, err := l.GitHub.ChangedFiles(ctx, l.project, l.pr.Number)
		if err != nil {
			return err
		}
		touched = Touches(changed)
	}
	c := skippedCheck(l.pr)
	switch {
	case touched:
		r, err := l.compareAt(ctx, l.project, l.pr.HeadSHA, l.config)
		if err != nil {
			return err
		}
		c = checkOf(l.pr, r)
	case l.published.CheckRunID == 0:
		return nil
	}
	c.DetailsURL = l.DetailsURL(l.project)
	return l.publish(ctx, c)
}

// publish writes the check and what is remembered of it, also where only a part was written.
func (l *look) publish(ctx context.Context, c report.Check) error {
	renewed := l.published.NewCheck
	after, err := l.GitHub.PublishCheck(ctx, l.project, l.published, c)
	if err != nil {
		after.CheckDigest = "" // the next look writes it again
	}
	l.published = after
	data, jerr := json.Marshal(after)
	if jerr != nil {
		return errors.Join(err, jerr)
	}
	return errors.Join(err, l.Store.SaveSpec(ctx, l.lease, data, renewed && !after.NewCheck))
}

// Touches reports whether a pull request changes specs, what is said of them, or the list of what was generated.
func Touches(changed []string) bool {
	for _, name := range changed {
		if strings.HasPrefix(name, specsFolder+"/") || name == repoconfig.Path || name == drift.ManifestPath {
			return true
		}
	}
	return false
}
