package github

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	manifestLife = time.Hour
	maxAppName   = 34
)

// manifest is what an App is created from; the names are GitHub's.
type manifest struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Hook struct {
		URL    string `json:"url"`
		Active bool   `json:"active"`
	} `json:"hook_attributes"`
	Redirect    string            `json:"redirect_url"`
	Callbacks   []string          `json:"callback_urls"`
	Public      bool              `json:"public"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`

	owner, state string
	expires      time.Time
}

// eventPermissions is what an App must ask for to subscribe to an event, of those that are known here.
func eventPermissions() map[string]string {
	return map[string]string{
		"check_run": "checks", "check_suite": "checks", "create": "contents", "delete": "contents", "issue_comment": "issues",
		"merge_group": "merge_queues", "pull_request": "pull_requests", "pull_request_review": "pull_requests",
		"pull_request_review_comment": "pull_requests", "push": "contents", "repository": "metadata",
	}
}

// wrong says what GitHub would refuse; empty: nothing.
func (m manifest) wrong() string {
	switch {
	case m.Name == "" || len([]rune(m.Name)) > maxAppName:
		return fmt.Sprintf("Name is missing or has more than %d characters", maxAppName)
	case m.URL == "":
		return "URL is missing"
	case m.Hook.URL == "" || !m.Hook.Active:
		return "Hook URL is missing"
	case m.Redirect == "":
		return "Redirect URL is missing"
	}
	for name, level := range m.Permissions {
		if !slices.Contains(slices.Collect(maps.Values(eventPermissions())), name) && name != "deployments" {
			return "Default permission records resource is not included in the list: " + name
		}
		if level != "read" && level != "write" {
			return "Default permission level is not included in the list: " + level
		}
	}
	for _, event := range m.Events {
		needs, ok := eventPermissions()[event]
		if !ok || m.Permissions[needs] == "" {
			return "Default events are not supported: " + event
		}
	}
	return ""
}

// newApp shows what an App would be that a form brings the manifest of. Forms of other sites are welcome, as at GitHub.
func (p *pages) newApp(w http.ResponseWriter, req *http.Request) {
	req.Body = http.MaxBytesReader(w, req.Body, maxBody)
	m := &manifest{owner: req.PathValue("owner"), state: req.URL.Query().Get("state"), expires: p.s.now().Add(manifestLife)}
	if err := json.Unmarshal([]byte(req.PostFormValue("manifest")), m); err != nil {
		http.Error(w, "The manifest is no JSON object.", http.StatusBadRequest)
		return
	}
	if wrong := m.wrong(); wrong != "" {
		http.Error(w, wrong, http.StatusUnprocessableEntity)
		return
	}
	id := rand.Text()
	p.s.mu.Lock()
	p.s.manifests[id] = m
	p.s.mu.Unlock()
	var asked []string
	for name, level := range m.Permissions {
		asked = append(asked, name+": "+level)
	}
	slices.Sort(asked)
	p.render(w, "new-app", map[string]any{"Name": m.Name, "Owner": m.owner, "Permissions": asked, "Events": m.Events, "Hook": m.Hook.URL, "Create": "/_apps/" + id})
}

// createApp gives the code for a manifest that was shown, and leads back to who asked.
func (p *pages) createApp(w http.ResponseWriter, req *http.Request) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	m, ok := p.s.manifests[req.PathValue("id")]
	delete(p.s.manifests, req.PathValue("id"))
	where, err := url.Parse("")
	if ok {
		where, err = url.Parse(m.Redirect)
	}
	if !ok || err != nil {
		http.NotFound(w, req)
		return
	}
	code := strings.ToLower(rand.Text() + rand.Text())[:40]
	p.s.conversions[code] = m
	query := where.Query()
	query.Set("code", code)
	if m.state != "" {
		query.Set("state", m.state)
	}
	where.RawQuery = query.Encode()
	http.Redirect(w, req, where.String(), http.StatusFound)
}

// convertManifest gives the credentials of an App for its code, once. The Server is that App from then on.
func (c *call) convertManifest() (answer, error) {
	code := c.r.PathValue("code")
	m, ok := c.s.conversions[code]
	delete(c.s.conversions, code)
	if !ok || !c.s.cfg.Clock().Before(m.expires) || c.s.key == nil {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	secret := strings.ToLower(rand.Text() + rand.Text())[:40]
	c.s.SetWebhook(Webhook{URL: m.Hook.URL, Secret: secret})
	if len(m.Callbacks) > 0 {
		c.s.signIn.callback = m.Callbacks[0]
	}
	c.s.cfg.Permissions = maps.Clone(m.Permissions)
	body := c.s.appJSON()
	if m.owner != "" {
		owner := c.s.user(m.owner)
		owner.Type = "Organization"
		body["owner"] = c.s.userJSON(owner)
	}
	maps.Copy(body, object{"name": m.Name, "external_url": m.URL, "client_id": c.s.signIn.id, "client_secret": c.s.signIn.secret,
		"webhook_secret": secret, "pem": string(c.s.AppKeyPEM())})
	return answer{status: http.StatusCreated, body: body}, nil
}
