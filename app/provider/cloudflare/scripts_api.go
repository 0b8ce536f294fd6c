package cloudflare

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"

	sdk "github.com/cloudflare/cloudflare-go"

	"github.com/flaresmith/flaresmith/app/preview"
)

// worker is what we read of a script.
type worker struct {
	Name      string `json:"name"`
	Tags      tags   `json:"tags"`
	Subdomain struct {
		Enabled  bool `json:"enabled"`
		Previews bool `json:"previews_enabled"`
	} `json:"subdomain"`
}

// digest is that of a deployment that has ended and still answers.
func (w *worker) digest() string {
	if !w.Subdomain.Enabled {
		return ""
	}
	return w.Tags.tagged(tagDigest)
}

// worker reads a script; nil: there is none. The script API itself tells neither the tags of one script together with its
// host, nor those of all.
func (c *client) worker(ctx context.Context, name string) (*worker, error) {
	var found worker
	err := c.call(ctx, http.MethodGet, "/workers/workers/"+name, nil, &found)
	switch {
	case noScript(err):
		return nil, nil //nolint:nilnil // no script is what one of its callers hopes for
	case err != nil:
		return nil, err
	case found.Name != name:
		return nil, preview.Transient(errors.New("cloudflare answers for another Worker"))
	}
	return &found, nil
}

// workers lists every script of the account.
func (c *client) workers(ctx context.Context) ([]worker, error) {
	const size = 100 // more is not given at once
	return listed[worker](ctx, c, "/workers/workers", url.Values{}, size)
}

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// errNoSubdomain is an account without hosts for Workers.
var errNoSubdomain = errors.New("the account has no workers.dev subdomain: choose one in Cloudflare's dashboard under Workers")

// subdomain is the account's below workers.dev.
func (c *client) subdomain(ctx context.Context) (string, error) {
	var answer struct {
		Subdomain string `json:"subdomain"`
	}
	err := c.call(ctx, http.MethodGet, "/workers/subdomain", nil, &answer)
	switch {
	case noScript(err), err == nil && answer.Subdomain == "":
		return "", errNoSubdomain
	case err != nil:
		return "", err
	case !label.MatchString(answer.Subdomain):
		return "", errors.New("the account's workers.dev subdomain is no host name")
	}
	return answer.Subdomain, nil
}

func (c *client) upload(ctx context.Context, name string, body *form) error {
	return c.call(ctx, http.MethodPut, "/workers/scripts/"+name, body, nil)
}

// addVersion uploads a version of a script that does not serve yet.
func (c *client) addVersion(ctx context.Context, name string, body *form) (id string, err error) {
	var answer struct {
		ID string `json:"id"`
	}
	if err := c.call(ctx, http.MethodPost, "/workers/scripts/"+name+"/versions", body, &answer); err != nil {
		return "", err
	}
	return answer.ID, checkVersion(answer.ID)
}

// share is how much of the traffic a version of a deployment gets.
type share struct {
	Version    string  `json:"version_id"`
	Percentage float64 `json:"percentage"`
}

const allTraffic = 100

// deployVersion lets a version of a script serve, an older one too.
func (c *client) deployVersion(ctx context.Context, name, version string, annotations map[string]string) error {
	wish := map[string]any{"strategy": "percentage", "versions": []share{{version, allTraffic}}}
	if len(annotations) > 0 {
		wish["annotations"] = annotations
	}
	return c.call(ctx, http.MethodPost, "/workers/scripts/"+name+"/deployments", wish, nil)
}

// serving is the version of a script that all of its traffic goes to.
func (c *client) serving(ctx context.Context, name string) (version string, err error) {
	var answer struct {
		Deployments []struct {
			Versions []share `json:"versions"`
		} `json:"deployments"`
	}
	if err := c.call(ctx, http.MethodGet, "/workers/scripts/"+name+"/deployments", nil, &answer); err != nil {
		return "", err
	}
	if len(answer.Deployments) == 0 || len(answer.Deployments[0].Versions) != 1 {
		return "", preview.Transient(errors.New("cloudflare does not tell which version serves"))
	}
	version = answer.Deployments[0].Versions[0].Version
	return version, checkVersion(version)
}

// checkVersion refuses what can't be a tag and part of a path.
func checkVersion(id string) error {
	if !tagValue.MatchString(id) {
		return preview.Transient(errors.New("cloudflare names a version by what is no id"))
	}
	return nil
}

// show turns the script's host on, and the hosts of its versions off.
func (c *client) show(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/workers/scripts/"+name+"/subdomain", map[string]any{"enabled": true, "previews_enabled": false}, nil)
}

func (c *client) tag(ctx context.Context, name string, tags []string) error {
	return c.call(ctx, http.MethodPatch, "/workers/scripts/"+name+"/script-settings", map[string]any{"tags": tags}, nil)
}

// delete removes a script although others are bound to it: they go with it, or are bound anew.
func (c *client) delete(ctx context.Context, name string) error {
	err := c.call(ctx, http.MethodDelete, "/workers/scripts/"+name+"?force=true", nil, nil)
	if noScript(err) {
		return nil
	}
	return err
}

// file is one entry of an upload's manifest.
type file struct {
	Hash string `json:"hash"`
	Size int64  `json:"size"`
}

// session is an upload of static files: which of them Cloudflare lacks, and the token for the next step.
type session struct {
	JWT     string     `json:"jwt"`
	Buckets [][]string `json:"buckets"`
}

func (c *client) assetSession(ctx context.Context, name string, manifest map[string]file) (session, error) {
	var answer session
	err := c.call(ctx, http.MethodPost, "/workers/scripts/"+name+"/assets-upload-session", map[string]any{"manifest": manifest}, &answer)
	if err == nil && answer.JWT == "" {
		err = preview.Transient(errors.New("cloudflare gives no token for static files"))
	}
	return answer, err
}

// uploadAssets sends one bucket with the session's token; the last one is answered with the token for the script.
func (c *client) uploadAssets(ctx context.Context, as *sdk.API, body *form) (token string, err error) {
	var answer session
	_, err = c.send(ctx, as, http.MethodPost, "/workers/assets/upload?base64=true", body, &answer)
	return answer.JWT, err
}
