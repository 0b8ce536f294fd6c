package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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

// previewed is what we read of a preview.
type previewed struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Tags     tags     `json:"tags"`
	URLs     []string `json:"urls"`
	Deployed *string  `json:"deployed_on"` // nil: never
}

// digest is that of a deployment that has ended and still answers.
func (v *previewed) digest() string {
	if v.Deployed == nil || len(v.URLs) == 0 {
		return ""
	}
	return v.Tags.tagged(tagDigest)
}

func (p previews) path(more string) string {
	return "/workers/workers/" + p.parent + "/previews" + more
}

// find reads a preview; nil: there is none, with parent false not even a Worker to make it of.
func (p previews) find(ctx context.Context, name string) (now *previewed, parent bool, err error) {
	var found previewed
	err = p.api.call(ctx, http.MethodGet, p.path("/"+name), nil, &found)
	switch {
	case missing(err):
		return nil, false, nil
	case noPreview(err):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return &found, true, found.check()
}

// check refuses what is no answer about a preview.
func (v *previewed) check() error {
	if v.Name == "" || !previewID.MatchString(v.ID) {
		return preview.Transient(errors.New("cloudflare's answer is about no preview"))
	}
	return nil
}

// owned reports whether a preview is ours: somebody else's may have our name as its slug.
func (v *previewed) owned(r preview.Resource) bool {
	return v.Name == r.Name && v.Tags.mark() == r.Mark
}

func noPreview(err error) bool {
	var api *apiError
	return errors.As(err, &api) && api.status == http.StatusNotFound && api.has(codeNoPreview)
}

func (p previews) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	now, _, err := p.find(ctx, r.Name)
	if err != nil || now == nil {
		return preview.Observed{}, err
	}
	if !now.owned(r) {
		return preview.Observed{Exists: true}, nil
	}
	o := preview.Observed{Exists: true, Owned: true, Digest: now.digest()}
	if len(now.URLs) > 0 {
		o.Outputs, err = p.outputs(now.URLs)
	}
	return o, err
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

func (p previews) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	now, parent, err := p.find(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if now != nil && !now.owned(r) {
		return preview.Outputs{}, preview.ErrConflict
	}
	if err := p.check(r, in); err != nil {
		return preview.Outputs{}, err
	}
	if now != nil && !r.Reset && now.digest() == r.Digest && now.Tags.tagged(tagContent) == p.content(in) {
		return p.outputs(now.URLs)
	}
	var before []string // tags of what serves
	if now == nil {
		now, err = p.begin(ctx, r, parent)
	} else if before = now.Tags; now.digest() != "" {
		err = p.tag(ctx, now.ID, markTags(r.Mark)) // unfinished from here on
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
		err := p.api.call(ctx, http.MethodPost, "/workers/workers",
			map[string]any{"name": p.parent, "subdomain": map[string]bool{"enabled": false, "previews_enabled": true}}, nil)
		if err != nil {
			if made, look := p.api.worker(ctx, p.parent); look != nil || made == nil { // else it was somebody else, or this call after all
				return nil, fmt.Errorf("parent Worker %s: %w", p.parent, err)
			}
		}
	}
	var made previewed
	err := p.api.call(ctx, http.MethodPost, p.path("?ignore_base_config=true"), map[string]any{"name": r.Name, "tags": markTags(r.Mark)}, &made)
	if err == nil {
		err = made.check()
	}
	return &made, err
}

func (p previews) tag(ctx context.Context, id string, list []string) error {
	return p.api.call(ctx, http.MethodPatch, p.path("/"+id), map[string]any{"tags": list}, nil)
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
	var made struct {
		Env map[string]struct{} `json:"env"`
	}
	err = p.api.call(ctx, http.MethodPost, p.path("/"+id+"/deployments?ignore_defaults=true"), body, &made)
	if err != nil {
		err = refused(err, secretsOf(in), len(in.Bundle.Bindings) > 0)
		if preview.Classify(err) == preview.ClassInvalid && before != nil {
			err = errors.Join(err, p.tag(ctx, id, before))
		}
		return err
	}
	for name := range made.Env {
		if _, ours := wanted.Env[name]; !ours { // it runs with something of the parent's: away with it
			return errors.Join(fmt.Errorf("the preview inherited the binding %.80q from the Worker %s", name, p.parent), p.erase(ctx, id))
		}
	}
	if err := p.await(ctx, address); err != nil {
		return err
	}
	if in.Verify != nil {
		if err := in.Verify(ctx, p.ask(address)); err != nil {
			return err
		}
	}
	return p.tag(ctx, id, finishedTags(r, p.content(in)))
}

// erase deletes a preview with all of its deployments.
func (p previews) erase(ctx context.Context, id string) error {
	err := p.api.call(ctx, http.MethodDelete, p.path("/"+id+"?force=true"), nil, nil)
	if missing(err) || noPreview(err) {
		return nil
	}
	return err
}

// remove deletes a preview of ours and waits until it is gone. It asks again now and then: an answer may be a proxy's.
func (p previews) remove(ctx context.Context, r preview.Resource) error {
	const again = 8
	for look := 0; ; look++ {
		now, _, err := p.find(ctx, r.Name)
		if err != nil || now == nil {
			return err
		}
		if !now.owned(r) {
			return preview.ErrConflict
		}
		if look%again == 0 {
			if err := p.erase(ctx, now.ID); err != nil {
				return err
			}
			continue // gone at once, as a rule
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
}

func (p previews) list(ctx context.Context) ([]preview.Found, error) {
	all, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	var found []preview.Found
	for _, one := range all {
		if m := one.Tags.mark(); preview.NamePattern.MatchString(one.Name) && m.Project != "" && m.Environment != "" {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: one.Name, Mark: m})
		}
	}
	return found, nil
}

// all are the previews of the Worker, whoever made them.
func (p previews) all(ctx context.Context) ([]previewed, error) {
	const pages = 100
	var all []previewed
	for page := 1; page <= pages; page++ {
		var some []previewed
		// By name, which stays: the order of their deployments changes while pages are read.
		answer, err := p.api.send(ctx, p.api.api, http.MethodGet, p.path("?per_page=100&order_by=name&order=asc&page="+strconv.Itoa(page)), nil, &some)
		if missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if info := answer.ResultInfo; len(some) == 0 || info == nil || len(all) >= info.Total {
			return all, nil
		}
	}
	return nil, fmt.Errorf("list previews: more than %d pages", pages)
}

// diagnose reads whether the parent can be used.
func (p previews) diagnose(ctx context.Context) []preview.Finding {
	const what = "Cloudflare Worker Previews"
	now, err := p.api.worker(ctx, p.parent)
	switch {
	case err != nil:
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err))}
	case now == nil:
		return []preview.Finding{preview.Fine(what, "the Worker "+p.parent+" is made with the first preview")}
	case !now.Subdomain.Previews:
		return []preview.Finding{preview.Amiss(what, "previews of the Worker "+p.parent+" have no URLs", "turn preview URLs on in its settings, or name another one in CLOUDFLARE_PARENT_WORKER")}
	}
	all, err := p.all(ctx)
	if err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err))}
	}
	return []preview.Finding{preview.Fine(what, fmt.Sprintf("%d of the Worker %s", len(all), p.parent))}
}
