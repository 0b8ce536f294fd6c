package cloudflare

import (
	"cmp"
	"context"
	"fmt"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Driver is how previews are run in an account; the operator chooses it.
type Driver string

// The drivers.
const (
	DriverScripts  Driver = "worker-per-pr"   // a script of its own a preview: the default
	DriverPreviews Driver = "worker-previews" // a preview of one parent Worker: a beta of Cloudflare's
	DriverPages    Driver = "pages"           // a project of Pages a preview, which has preview deployments only
)

// driver is one way to run previews. Workers checks what it is asked for, and classes its errors.
//
// observe and list read only. apply may be ended anywhere and called again; with what is there already it writes nothing. What
// lacks the resource's mark is preview.ErrConflict to apply and remove, and is never written to. remove returns when it is gone.
type driver interface {
	observe(ctx context.Context, r preview.Resource) (preview.Observed, error)
	apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error)
	remove(ctx context.Context, r preview.Resource) error
	list(ctx context.Context) ([]preview.Found, error)
}

// drive makes the driver that the configuration names.
func (p *Workers) drive(c Config) (driver, error) {
	switch c.Driver {
	case "", DriverScripts:
		return scripts{p}, nil
	case DriverPreviews:
		parent := cmp.Or(c.ParentWorker, DefaultParentWorker)
		if !label.MatchString(parent) {
			return nil, fmt.Errorf("cloudflare: %.80q is no name of a Worker with previews", parent)
		}
		return previews{p, parent}, nil
	case DriverPages:
		return pages{p}, nil
	}
	return nil, fmt.Errorf("cloudflare: the driver %.40q is not known", c.Driver)
}
