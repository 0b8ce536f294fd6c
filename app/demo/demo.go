package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
)

// Options say how the demo runs.
type Options struct {
	Once    bool // end after the story
	JSON    bool // with Once: print one JSON object to Out and nothing else
	Verbose bool // the server's log goes to Err
	Clouds  bool // previews are made at stand-ins of Neon, Cloudflare and Postman
	// CloudflareDriver is how Workers run at the stand-in of Cloudflare, one of config.CloudflareDrivers; empty: the first.
	CloudflareDriver string
	Out              io.Writer
	Err              io.Writer // progress and logs
}

// startTimeout bounds the start, first-time downloads included; stepTimeout one step of the story.
const (
	startTimeout = 15 * time.Minute
	stepTimeout  = 90 * time.Second
	stopTimeout  = 30 * time.Second

	statusValidFor = 24 * time.Hour
)

// errNotVerified ends --once when a step did not show what it promises.
var errNotVerified = errors.New("a step of the story was not verified")

// Run starts everything on this machine, plays the story and, unless Once is set, stays up until
// ctx ends. It leaves nothing behind but downloads in the user's cache.
func Run(ctx context.Context, o Options) (err error) {
	if o.JSON && !o.Once {
		return errors.New("--json needs --once")
	}
	switch known := config.CloudflareDrivers(); {
	case o.CloudflareDriver == "":
		o.CloudflareDriver = known[0]
	case !o.Clouds:
		return errors.New("--cloudflare-driver needs --clouds")
	case !slices.Contains(known, o.CloudflareDriver):
		return fmt.Errorf("--cloudflare-driver: %.40q is none of %s", o.CloudflareDriver, strings.Join(known, ", "))
	}
	show := newShow(o)
	what := "Postgres, a stand-in GitHub"
	if o.Clouds {
		what += ", stand-ins of Neon, Cloudflare and Postman"
	}
	show.printf("Starting %s and the server…\n", what)
	sctx, cancel := context.WithTimeout(ctx, startTimeout)
	w, err := start(sctx, o, show)
	cancel()
	if err != nil {
		return err
	}
	defer func() {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, w.stop(cctx))
	}()
	show.ready(w)
	result := tell(ctx, w, show)
	if err := show.result(result); err != nil {
		return err
	}
	if o.Once {
		if !result.OK {
			return errNotVerified
		}
		return nil
	}
	if ctx.Err() != nil {
		return nil // a person pressed Ctrl-C
	}
	status, err := w.server.OneTimeLink(ctx, repo, statusValidFor)
	if err != nil {
		return fmt.Errorf("link to the status page: %w", err)
	}
	show.stayingUp(w, status)
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.serverEnded:
		return fmt.Errorf("the server ended: %w", err)
	}
}
