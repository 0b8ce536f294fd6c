package cloudflare

import (
	"cmp"
	"context"
	"fmt"
	"time"

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
// observe, list and diagnose read only. apply may be ended anywhere and called again; with what is there already it writes nothing. What
// lacks the resource's mark is preview.ErrConflict to apply and remove, and is never written to. remove returns when it is gone.
type driver interface {
	observe(ctx context.Context, r preview.Resource) (preview.Observed, error)
	apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error)
	remove(ctx context.Context, r preview.Resource) error
	list(ctx context.Context) ([]preview.Found, error)
	diagnose(ctx context.Context) []preview.Finding
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

// unchanged reports whether what serves, by the digest and the content that are kept beside it, is what is asked for.
func (p *Workers) unchanged(r preview.Resource, in preview.Inputs, digest, content string) bool {
	return !r.Reset && digest == r.Digest && content == p.content(in)
}

// untilGone erases what is found of a resource of ours until nothing is. It erases again now and then: an answer may be a proxy's.
func untilGone[T any](ctx context.Context, every time.Duration, r preview.Resource,
	find func(context.Context, preview.Resource) (*T, error), erase func(context.Context, *T) error) error {
	const again = 8
	for look := 0; ; look++ {
		now, err := find(ctx, r)
		if err != nil || now == nil {
			return err
		}
		if look%again == 0 {
			if err := erase(ctx, now); err != nil {
				return err
			}
			continue // gone at once, as a rule
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// ours are those of a list that have a name and a whole mark of ours.
func ours[T any](all []T, tell func(T) (name string, mark preview.Mark)) []preview.Found {
	var found []preview.Found
	for _, one := range all {
		if name, m := tell(one); preview.NamePattern.MatchString(name) && m.Project != "" && m.Environment != "" {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: name, Mark: m})
		}
	}
	return found
}
