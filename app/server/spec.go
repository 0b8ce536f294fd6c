package server

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/time/rate"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/specsync"
	"github.com/flaresmith/flaresmith/app/store"
)

// newSpecs keeps what is generated in step with the specs.
func (s *Server) newSpecs(gh *github.App, operator table, builds builder) *specsync.Syncer {
	return specsync.New(specsync.Config{Store: operator, GitHub: gh, Committer: gh, Sources: archives{github: gh, builds: builds},
		DetailsURL: func(p preview.Project) string { return s.links.Page(p.ID) }, Attempted: s.metrics.specAttempted, Logger: s.logger})
}

// newSpecAPI answers POST /specs/apply.
func (s *Server) newSpecAPI() *specAPI {
	a := &specAPI{specs: s.specs, store: s.store, standing: s.people, people: s.pages.People,
		tokens: rate.NewLimiter(tokensPerSecond, tokensAtOnce), asked: newPersonLimit(rate.Every(specEvery), specAtOnce), logger: s.logger, failed: s.metrics.Failed}
	if s.signIn != nil {
		a.token = s.signIn
	}
	return a
}

// archives gives the files of commits, each in a folder of its own.
type archives struct {
	github interface {
		Archive(ctx context.Context, p preview.Project, sha string) (io.ReadCloser, error)
	}
	builds builder
}

// Source implements specsync.Sources.
func (a archives) Source(ctx context.Context, p preview.Project, sha string) (_ specsync.Source, err error) {
	archive, err := a.github.Archive(ctx, p, sha)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	source, err := a.builds.Unpack(ctx, archive)
	if err != nil {
		return nil, err
	}
	return source, nil
}

// specPatience is how many looks in a row have to miss a pull request before it counts as gone: GitHub may tell of
// one a moment before it can be read.
const specPatience = 4

// specWorker looks at the specs of a pull request.
type specWorker struct {
	river.WorkerDefaults[store.SpecArgs]
	specs *specsync.Syncer
}

// NextRetry implements river.Worker: 1 s doubling to ten minutes.
func (w *specWorker) NextRetry(job *river.Job[store.SpecArgs]) time.Time {
	return time.Now().Add(min(time.Second<<min(max(job.Attempt, 1)-1, 10), 10*time.Minute))
}

// Work implements river.Worker.
func (w *specWorker) Work(ctx context.Context, job *river.Job[store.SpecArgs]) error {
	err := w.specs.Look(ctx, job.Args.ProjectID, job.Args.PR)
	var transient *preview.TransientError
	switch {
	case errors.Is(err, preview.ErrLeased):
		return river.JobSnooze(leasedAgain)
	case errors.As(err, &transient) && transient.After > 0:
		return river.JobSnooze(transient.After)
	case errors.Is(err, preview.ErrNotFound) && job.Attempt >= specPatience:
		return river.JobCancel(err)
	}
	return err
}
