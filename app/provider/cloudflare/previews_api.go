package cloudflare

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// previewID is what an immutable id looks like: it becomes a part of a path.
var previewID = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

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

// owned reports whether a preview is ours: somebody else's may have our name as its slug.
func (v *previewed) owned(r preview.Resource) bool {
	return v.Name == r.Name && v.Tags.mark() == r.Mark
}

// check refuses what is no answer about a preview.
func (v *previewed) check() error {
	if v.Name == "" || !previewID.MatchString(v.ID) {
		return preview.Transient(errors.New("cloudflare's answer is about no preview"))
	}
	return nil
}

func previewsPath(parent, more string) string {
	return "/workers/workers/" + parent + "/previews" + more
}

// preview reads a preview of a Worker; nil: there is none, with exists false not even the Worker.
func (c *client) preview(ctx context.Context, parent, name string) (now *previewed, exists bool, err error) {
	var found previewed
	err = c.call(ctx, http.MethodGet, previewsPath(parent, "/"+name), nil, &found)
	switch {
	case noScript(err):
		return nil, false, nil
	case noPreview(err):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return &found, true, found.check()
}

// previews lists those of a Worker, whoever made them. By name, which stays: the order of their deployments changes while pages are read.
func (c *client) previews(ctx context.Context, parent string) ([]previewed, error) {
	const size = 100 // more is not given at once
	all, err := listed[previewed](ctx, c, previewsPath(parent, ""), url.Values{"order_by": {"name"}, "order": {"asc"}}, size)
	if noScript(err) {
		return nil, nil
	}
	return all, err
}

// createParent makes a Worker for previews alone: without code, and not at a host itself.
func (c *client) createParent(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/workers/workers",
		map[string]any{"name": name, "subdomain": map[string]bool{"enabled": false, "previews_enabled": true}}, nil)
}

// createPreview makes a preview that has tags from the start, nothing of its Worker's, and no deployment.
func (c *client) createPreview(ctx context.Context, parent, name string, tags []string) (*previewed, error) {
	var made previewed
	err := c.call(ctx, http.MethodPost, previewsPath(parent, "?ignore_base_config=true"), map[string]any{"name": name, "tags": tags}, &made)
	if err == nil {
		err = made.check()
	}
	return &made, err
}

func (c *client) tagPreview(ctx context.Context, parent, id string, tags []string) error {
	return c.call(ctx, http.MethodPatch, previewsPath(parent, "/"+id), map[string]any{"tags": tags}, nil)
}

// deployPreview deploys to a preview, and tells the names in the environment that it has then.
func (c *client) deployPreview(ctx context.Context, parent, id string, body *form) (names []string, err error) {
	var made struct {
		Env map[string]struct{} `json:"env"`
	}
	err = c.call(ctx, http.MethodPost, previewsPath(parent, "/"+id+"/deployments?ignore_defaults=true"), body, &made)
	return slices.Sorted(maps.Keys(made.Env)), err
}

// deletePreview deletes a preview with all of its deployments.
func (c *client) deletePreview(ctx context.Context, parent, id string) error {
	err := c.call(ctx, http.MethodDelete, previewsPath(parent, "/"+id+"?force=true"), nil, nil)
	if noScript(err) || noPreview(err) {
		return nil
	}
	return err
}
