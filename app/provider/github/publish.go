package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// publisher writes one report. Its state is what is published so far, which is true after each
// call: an interrupted report continues from it.
type publisher struct {
	app     *App
	client  *gh.Client
	project preview.Project
	state   report.Published
}

func (a *App) publisher(p preview.Project, prev report.Published) *publisher {
	return &publisher{app: a, client: a.client(p, scopeReport), project: p, state: prev}
}

// Publish shows a rendering on a pull request. It writes only the parts that changed since prev,
// so an unchanged report calls nobody, and goes on with the other parts when one fails. It
// returns what was published so far even with an error.
func (a *App) Publish(ctx context.Context, p preview.Project, pr preview.PullRequest, prev report.Published, r report.Rendering) (report.Published, error) {
	w := a.publisher(p, prev)
	var failed []error
	for _, part := range []func() error{
		func() error { return w.check(ctx, r.Check) },
		func() error { return w.comment(ctx, pr.Number, r.Comment, r.UpdateOnly) },
		func() error { return w.deployment(ctx, r.Deployment, r.UpdateOnly) },
	} {
		if err := part(); err != nil {
			failed = append(failed, err)
			if errors.Is(err, preview.ErrGone) || ctx.Err() != nil {
				break
			}
		}
	}
	return w.state, errors.Join(failed...)
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
