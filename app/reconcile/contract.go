package reconcile

import (
	"context"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Provider observes and changes one kind of resource at one outside system.
//
// All methods are idempotent, safe for concurrent use on different names, bounded by ctx, and
// refuse a name that does not match preview.NamePattern. Errors are classed as in
// preview.Classify: transient ones may be retried by the caller, an *preview.InvalidError is the
// user's fault, preview.ErrConflict means that something without our mark is in the way.
type Provider interface {
	// Observe looks and changes nothing. A resource that does not exist is no error.
	Observe(ctx context.Context, r preview.Resource) (preview.Observed, error)
	// Apply creates the resource or brings it up to date, and records r.Digest with the mark as
	// its last act. An existing resource with another mark, or none, is preview.ErrConflict and
	// stays as it is. After an error the next Apply continues from whatever is there.
	Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error)
	// Delete removes the resource, and returns only when it is observed gone. A missing one is
	// no error; one that does not carry the mark is preview.ErrConflict and stays.
	Delete(ctx context.Context, r preview.Resource) error
	// List finds everything that carries any mark of ours, in name order.
	List(ctx context.Context) ([]preview.Found, error)
}
