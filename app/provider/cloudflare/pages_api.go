package cloudflare

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Kinds of deployments of a project of Pages, as its configuration calls them.
const (
	pagesPreview    = "preview"
	pagesProduction = "production"
)

// project is what we read of a project of Pages. Secrets are read without their values.
type project struct {
	Name             string `json:"name"`
	Subdomain        string `json:"subdomain"` // its host, with a suffix where somebody else's project has the name
	ProductionBranch string `json:"production_branch"`
	Configs          map[string]struct {
		Vars map[string]variable `json:"env_vars"`
	} `json:"deployment_configs"`
	Latest *deployment `json:"latest_deployment"`
}

// variable is one of a project's; in a change, nil takes it away.
type variable struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func plain(value string) *variable { return &variable{Type: "plain_text", Value: value} }
func hidden(value preview.Secret) *variable {
	return &variable{Type: "secret_text", Value: value.Reveal()}
}

// deployment is what we read of a deployment of a project.
type deployment struct {
	ID          string `json:"id"`
	ShortID     string `json:"short_id"`
	Environment string `json:"environment"`
	Stage       struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	} `json:"latest_stage"`
	Trigger struct {
		Metadata struct {
			Branch string `json:"branch"`
		} `json:"metadata"`
	} `json:"deployment_trigger"`
}

func pagesPath(name string) string { return "/pages/projects/" + name }

// project reads a project; nil: there is none.
func (c *client) project(ctx context.Context, name string) (*project, error) {
	var found project
	err := c.call(ctx, http.MethodGet, pagesPath(name), nil, &found)
	switch {
	case missing(err, codeNoProject):
		return nil, nil //nolint:nilnil // no project is what one of its callers hopes for
	case err != nil:
		return nil, err
	case found.Name != name || found.Subdomain == "":
		return nil, preview.Transient(errors.New("cloudflare answers for another project"))
	}
	return &found, nil
}

// pagesListSize is as much of Pages as is given at once.
const pagesListSize = 10

// projects lists every project of the account.
func (c *client) projects(ctx context.Context) ([]project, error) {
	return listed[project](ctx, c, "/pages/projects", url.Values{}, pagesListSize)
}

// pagesDeployments lists those of a project that are not production's.
func (c *client) pagesDeployments(ctx context.Context, name string) ([]deployment, error) {
	return listed[deployment](ctx, c, pagesPath(name)+"/deployments", url.Values{"env": {pagesPreview}}, pagesListSize)
}

// configuration is a project's, as it is made or changed.
type configuration struct {
	Vars  map[string]*variable `json:"env_vars"`
	Date  string               `json:"compatibility_date,omitempty"`
	Flags []string             `json:"compatibility_flags,omitempty"`
}

func (c *client) createProject(ctx context.Context, name, productionBranch string, configs map[string]configuration) (*project, error) {
	var made project
	err := c.call(ctx, http.MethodPost, "/pages/projects", map[string]any{"name": name, "production_branch": productionBranch, "deployment_configs": configs}, &made)
	if err == nil && (made.Name != name || made.Subdomain == "") {
		err = preview.Transient(errors.New("cloudflare made another project"))
	}
	return &made, err
}

func (c *client) changeProject(ctx context.Context, name string, configs map[string]configuration) error {
	return c.call(ctx, http.MethodPatch, pagesPath(name), map[string]any{"deployment_configs": configs}, nil)
}

func (c *client) deleteProject(ctx context.Context, name string) error {
	err := c.call(ctx, http.MethodDelete, pagesPath(name), nil, nil)
	if missing(err, codeNoProject) {
		return nil
	}
	return err
}

// deployPages makes a deployment, which is not one that serves yet.
func (c *client) deployPages(ctx context.Context, name string, body *form) (deployment, error) {
	var made deployment
	err := c.call(ctx, http.MethodPost, pagesPath(name)+"/deployments", body, &made)
	if err == nil && (made.ID == "" || made.ShortID == "" || made.Environment != pagesPreview) {
		err = preview.Transient(errors.New("cloudflare does not tell of the preview that it deploys"))
	}
	return made, err
}

func (c *client) pagesDeployment(ctx context.Context, name, id string) (deployment, error) {
	var found deployment
	err := c.call(ctx, http.MethodGet, pagesPath(name)+"/deployments/"+url.PathEscape(id), nil, &found)
	return found, err
}

// pagesFailure is the last line of what Cloudflare prints of a deployment.
func (c *client) pagesFailure(ctx context.Context, name, id string) (string, error) {
	var logs struct {
		Data []struct {
			Line string `json:"line"`
		} `json:"data"`
	}
	err := c.call(ctx, http.MethodGet, pagesPath(name)+"/deployments/"+url.PathEscape(id)+"/history/logs?size=1000", nil, &logs)
	if err != nil || len(logs.Data) == 0 {
		return "", err
	}
	return logs.Data[len(logs.Data)-1].Line, nil
}

// deletePagesDeployment deletes one that an alias leads to as well.
func (c *client) deletePagesDeployment(ctx context.Context, name, id string) error {
	err := c.call(ctx, http.MethodDelete, pagesPath(name)+"/deployments/"+url.PathEscape(id)+"?force=true", nil, nil)
	if missing(err, codeNoDeployment) {
		return nil
	}
	return err
}

// pagesFile is a static file as it is uploaded.
type pagesFile struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Base64   bool   `json:"base64"`
	Metadata struct {
		ContentType string `json:"contentType"`
	} `json:"metadata"`
}

// uploadPagesAssets brings the static files that Pages lacks to it. content reads one. Those that are not remembered are asked
// for again the next time, which is worth a call only where there is one.
func (c *client) uploadPagesAssets(ctx context.Context, name string, assets map[string]preview.Asset, content func(preview.Asset) ([]byte, error), remember bool) error {
	const most, files = 10 << 20, 500 // of one request
	hashes := slices.Sorted(maps.Keys(assets))
	if len(hashes) == 0 {
		return nil
	}
	var token struct {
		JWT string `json:"jwt"`
	}
	if err := c.call(ctx, http.MethodGet, pagesPath(name)+"/upload-token", nil, &token); err != nil {
		return err
	}
	as, err := c.as(preview.Secret(token.JWT))
	if err != nil {
		return preview.Transient(errors.New("cloudflare gives no token for static files"))
	}
	post := func(step string, body, into any) error {
		_, err := c.sendTo(ctx, as, http.MethodPost, "/pages/assets/"+step, body, into)
		return err
	}
	var missing []string
	if err := post("check-missing", map[string]any{"hashes": hashes}, &missing); err != nil || len(missing) == 0 {
		return err
	}
	var some []pagesFile
	size := 0
	for _, hash := range missing {
		asset, ok := assets[hash]
		if !ok {
			return preview.Transient(errors.New("cloudflare asks for a static file that there is not"))
		}
		text, err := content(asset)
		if err != nil {
			return fmt.Errorf("static file %q: %w", asset.Path, err)
		}
		if len(some) > 0 && (size+len(text) > most || len(some) == files) {
			if err := post("upload", some, nil); err != nil {
				return err
			}
			some, size = nil, 0
		}
		one := pagesFile{Key: hash, Value: base64.StdEncoding.EncodeToString(text), Base64: true}
		one.Metadata.ContentType = pagesType(asset.Path)
		some, size = append(some, one), size+len(text)
	}
	if err := post("upload", some, nil); err != nil || !remember {
		return err
	}
	return post("upsert-hashes", map[string]any{"hashes": hashes}, nil)
}

// pagesType is a file's type; Pages has no way to send none.
func pagesType(name string) string {
	if t := contentType(name); t != "application/null" {
		return t
	}
	return "application/octet-stream"
}

// readFrom reads static files below a folder of the source; the one that we add is empty.
func readFrom(source fs.FS, directory string) func(preview.Asset) ([]byte, error) {
	return func(a preview.Asset) ([]byte, error) {
		if a.Size == 0 {
			return nil, nil
		}
		return readAsset(source, path.Join(directory, a.Path), a)
	}
}
