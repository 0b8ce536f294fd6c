package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// publisher writes one report. Its state is what is published so far, which is true after each
// call: an interrupted report continues from it. Check, comment and deployment are written at the same
// time; each reads and writes the fields of the state that bear its name, and no others.
type publisher struct {
	app     *App
	client  *gh.Client
	project preview.Project
	state   report.Published
	// fresh: nothing was ever written, so that nothing of an interrupted report has to be looked for.
	fresh bool
}

func (a *App) publisher(p preview.Project, prev report.Published) *publisher {
	return &publisher{app: a, client: a.client(p, scopeReport), project: p, state: prev}
}

// Publish shows a rendering on a pull request. It writes only the parts that changed since prev,
// so an unchanged report calls nobody, looks for what an interrupted report left unless prev is zero, and goes on with the other parts when one fails. When ctx ends,
// it finishes the writes at hand and begins no other. It returns what was published so far even with an error. A part of an interim
// rendering that would have to wait for a limit is an error that says for how long.
func (a *App) Publish(ctx context.Context, p preview.Project, pr preview.PullRequest, prev report.Published, r report.Rendering) (report.Published, error) {
	w := a.publisher(p, prev)
	w.fresh = prev == report.Published{}
	w.state.Begun = true
	parts := []struct {
		name  string
		left  float64 // of GitHub's limits to what can't be left out, if this can
		write func(context.Context) error
	}{
		{"check", 0, func(ctx context.Context) error { return w.check(ctx, r.Check) }},
		{"comment", detailLeft, func(ctx context.Context) error { return w.comment(ctx, pr.Number, r.Comment, r.UpdateOnly) }},
		{"deployment", detailLeft, func(ctx context.Context) error { return w.deployment(ctx, r.Deployment, r.UpdateOnly) }},
	}
	failed := make([]error, len(parts))
	var group sync.WaitGroup
	for i, part := range parts {
		group.Go(func() {
			ctx, span := telemetry.Start(ctx, "publish "+part.name)
			if r.Interim {
				ctx = outbound.Dispensable(ctx, part.left)
			}
			failed[i] = telemetry.Guarded(func() error { return part.write(ctx) })
			telemetry.End(span, failed[i])
		})
	}
	group.Wait()
	return w.state, errors.Join(failed...)
}

// detailLeft is the part of GitHub's limits that is not spent on what can be left out, beside the check itself: on the way to a preview
// comment and deployment say no more than that.
const detailLeft = 0.5

// writeGrace is how long a write goes on when nobody wants it any more; shorter than a server takes to end.
const writeGrace = 5 * time.Second

// forWrite is the context of one call that writes. It does not begin once ctx has ended, and goes on for a while when
// ctx ends afterwards: what is cut off may be done or not, and its id would be lost.
func forWrite(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(writeGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-write.Done():
		}
	})
	return write, func() { stop(); cancel() }, nil
}

// digest sums up a value, as JSON.
func digest(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}
