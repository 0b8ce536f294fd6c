package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// DefaultParentWorker is the Worker that previews are made of where the operator names none.
const DefaultParentWorker = "flaresmith"

// previews is DriverPreviews: a preview of a Worker that is there for all of them. The Worker is made if it is not there, and never
// written to afterwards: not its script, its deployments or its settings.
type previews struct {
	*Workers
	parent string
}

func (p previews) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	now, _, err := p.api.preview(ctx, p.parent, r.Name)
	if err != nil || now == nil {
		return preview.Observed{}, err
	}
	if !now.owned(r) {
		return preview.Observed{Exists: true}, nil
	}
	o := preview.Observed{Exists: true, Owned: true}
	if outputs, err := p.outputs(now.URLs); err == nil { // else it is unfinished: apply tells why, and remove needs no address
		o.Digest, o.Outputs = now.digest(), outputs
	}
	return o, nil
}

// outputs tell where a preview answers: what Cloudflare says, below the host that it must be below.
func (p previews) outputs(urls []string) (preview.Outputs, error) {
	for _, address := range urls {
		u, err := url.Parse(address)
		if err == nil && u.Scheme == p.hosts.Scheme && strings.HasSuffix(u.Host, "."+p.hosts.Host) && u.User == nil {
			return preview.Outputs{URL: u.Scheme + "://" + u.Host + "/"}, nil
		}
	}
	if len(urls) > 0 {
		return preview.Outputs{}, fmt.Errorf("the preview's URLs are not below %s", p.hosts.Host)
	}
	return preview.Outputs{}, fmt.Errorf("previews of the Worker %s have no URLs: turn preview URLs on in its settings", p.parent)
}

// find reads a preview of ours; nil: there is none, with parent false not even a Worker to make it of. One that is not ours is
// preview.ErrConflict.
func (p previews) find(ctx context.Context, r preview.Resource) (now *previewed, parent bool, err error) {
	now, parent, err = p.api.preview(ctx, p.parent, r.Name)
	if err == nil && now != nil && !now.owned(r) {
		return nil, parent, preview.ErrConflict
	}
	return now, parent, err
}

func (p previews) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	now, parent, err := p.find(ctx, r)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := p.check(r, in); err != nil {
		return preview.Outputs{}, err
	}
	if now != nil && p.unchanged(r, in, now.digest(), now.Tags.tagged(tagContent)) {
		return p.outputs(now.URLs)
	}
	var before []string // tags of what serves
	if now == nil {
		now, err = p.begin(ctx, r, parent)
	} else if before = now.Tags; now.digest() != "" {
		err = p.api.tagPreview(ctx, p.parent, now.ID, markTags(r.Mark)) // unfinished from here on
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.outputs(now.URLs)
	if err != nil {
		return preview.Outputs{}, err
	}
	return outputs, p.deploy(ctx, r, in, now.ID, before, outputs.URL)
}

// check adds to what can't be uploaded at all what a preview can't be bound to: a name in the account is never another
// preview's, so a binding to a Worker of the same environment would lead to production or nowhere.
func (p previews) check(r preview.Resource, in preview.Inputs) error {
	if err := check(r, in.Bundle, in.Outputs.DatabaseURL); err != nil {
		return err
	}
	if host := r.Name + "-" + p.parent; !label.MatchString(host) {
		return fmt.Errorf("%.80q is too long for a host name: the parent Worker needs a shorter name", host)
	}
	invalid := &preview.InvalidError{What: "the Worker can't be a preview"}
	for _, name := range slices.Sorted(maps.Keys(in.Bundle.Services)) {
		invalid.Problems = append(invalid.Problems, preview.Problem{
			Message: fmt.Sprintf("the binding %.80q leads to another Worker of the preview, and previews of one Worker can't be bound to each other", name),
			Hint:    "The operator can choose the driver worker-per-pr, which has no such limit.",
		})
	}
	if len(invalid.Problems) > 0 {
		return invalid
	}
	return nil
}

// begin makes a preview that is ours from the start and that nothing is deployed to, and the Worker before it where there is none.
func (p previews) begin(ctx context.Context, r preview.Resource, parent bool) (*previewed, error) {
	if !parent {
		if err := p.api.createParent(ctx, p.parent); err != nil {
			if made, look := p.api.worker(ctx, p.parent); look != nil || made == nil { // else it was somebody else, or this call after all
				return nil, fmt.Errorf("parent Worker %s: %w", p.parent, err)
			}
		}
	}
	return p.api.createPreview(ctx, p.parent, r.Name, markTags(r.Mark))
}

// deploy deploys to a preview and finishes it with the digest. Where Cloudflare refuses the Worker what served before goes on, and
// is told by its tags again.
func (p previews) deploy(ctx context.Context, r preview.Resource, in preview.Inputs, id string, before []string, address string) error {
	token, err := p.uploadAssets(ctx, p.parent, in.Bundle.Assets, in.Source)
	if err != nil {
		return err
	}
	wanted := describePreview(r, in, token)
	body, err := encodePreview(wanted, in.Bundle.Modules)
	if err != nil {
		return err
	}
	names, err := p.api.deployPreview(ctx, p.parent, id, body)
	if err != nil {
		err = refused(err, secretsOf(in), len(in.Bundle.Bindings) > 0)
		if preview.Classify(err) == preview.ClassInvalid && before != nil {
			err = errors.Join(err, p.api.tagPreview(ctx, p.parent, id, before))
		}
		return err
	}
	for _, name := range names {
		if _, sent := wanted.Env[name]; !sent { // it runs with something of the parent's: away with it
			return errors.Join(fmt.Errorf("the preview inherited the binding %.80q from the Worker %s", name, p.parent), p.api.deletePreview(ctx, p.parent, id))
		}
	}
	if err := p.prove(ctx, address, in); err != nil {
		return err
	}
	return p.api.tagPreview(ctx, p.parent, id, finishedTags(r, p.content(in)))
}

func (p previews) remove(ctx context.Context, r preview.Resource) error {
	find := func(ctx context.Context, r preview.Resource) (*previewed, error) {
		now, _, err := p.find(ctx, r)
		return now, err
	}
	return untilGone(ctx, p.look, r, find, func(ctx context.Context, now *previewed) error { return p.api.deletePreview(ctx, p.parent, now.ID) })
}

func (p previews) list(ctx context.Context) ([]preview.Found, error) {
	all, err := p.api.previews(ctx, p.parent)
	return ours(all, func(one previewed) (string, preview.Mark) { return one.Name, one.Tags.mark() }), err
}
