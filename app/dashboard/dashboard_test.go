package dashboard_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
)

func TestEnvironments(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	a := get(t, s.links.Page(projectID), nil, enter(t, s, s.links.Link(projectID, now.Add(time.Hour))))
	if a.status != http.StatusOK {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	tests := []struct{ name, want string }{
		{"repository", `<a href="https://github.example/acme/shop">acme/shop</a>`},
		{"pull request", `<a href="https://github.example/acme/shop/pull/41">Pull request #41</a>`},
		{"title of a pull request, which is hostile", `nobody stops them in time &lt;b&gt;bold&lt;/b&gt;…</bdi>`},
		{"branch of a pull request", `<dd><bdi><code>feature/sale-prices</code></bdi></dd>`},
		{"title of one that is gone", `<a href="https://github.example/acme/shop/pull/30">Pull request #30</a><bdi class="about">Carts</bdi>`},
		{"what comes next", "Follows the next push"},
		{"branch of a core environment", `<a href="https://github.example/acme/shop/tree/main">Production</a>`},
		{"state", `<p class="state" data-tone="good">Active</p>`},
		{"queue", "Waiting · number 2 in the queue"},
		{"commit", `<a href="https://github.example/acme/shop/commit/` + sha1 + `"><code>5fa1c3e</code></a>`},
		{"address", `href="http://preview-k7xq2mab-pr-41.localhost:8080/"`},
		{"end of its time", `<time datetime="` + now.Add(71*time.Hour+20*time.Minute).Format(time.RFC3339) + `" data-relative>`},
		{"place of a problem", `<a href="https://github.example/acme/shop/blob/` + sha1 + `/drizzle/0003_add_sale_price.sql#L2">`},
		{"bar of a step", `<rect x="67.03%" width="31.08%" height="10" rx="3"/>`},
		{"outcome of a pass", "gave way to a newer event"},
		{"file", `<a href="environments/preview-k7xq2mab-pr-41/files/shop.postman_collection.json" download>`},
		{"log", "GET /products 200 in 11 ms"},
		{"address of the first of two Workers", `<dt>Worker api</dt><dd><a href="http://preview-k7xq2mab-pr-41.localhost:8080/">`},
		{"address of the second", `<dt>Worker back-office</dt><dd><a href="http://preview-k7xq2mab-pr-41-back-office.localhost:8080/">`},
		{"address of the only one", `<dt>Address</dt><dd>http://prod-k7xq2mab.localhost:8080/</dd>`},
		{"way to the only one", `<a class="open" href="http://prod-k7xq2mab.localhost:8080/">`},
		{"warning", `<li data-tone="wait"><a href="https://github.example/acme/shop/blob/` + sha1 + `/drizzle/0004_by_hand.sql#L1">`},
		{"log of the first", "Worker log of api, last 15 minutes"},
		{"log of the second", `aria-label="Worker log of Pull request #41, back-office"`},
		{"line of the second", "GET /orders 200 in 3 ms"},
		{"log of the only one", "Worker log, last 15 minutes"},
		{"why one is gone", "Its time was up. A push or /flaresmith preview brings it back."},
		{"budget of an outside system", "287 of 300 points left"},
		{"breaker of an outside system", `<span class="state small" data-tone="bad">Not called: too many calls failed</span>`},
		{"version that serves", `<th scope="row"><code>1f3a-the-newer</code></th>`},
		{"version of another Worker", `<th scope="row"><code>0b2c-the-older</code> of admin</th>`},
		{"hostile problem", "does not exist &lt;script&gt;alert(1)&lt;/script&gt;"},
		{"hostile log", "&lt;img src=x onerror=alert(1)&gt;"},
	}
	for _, tt := range tests {
		if !strings.Contains(a.body, tt.want) {
			t.Errorf("%s: the page lacks %s", tt.name, tt.want)
		}
	}
	for _, not := range []string{"much too old", "javascript:", "number 9", "<img", "<b>bold", "style=", "ZgotmplZ"} {
		if strings.Contains(a.body, not) {
			t.Errorf("the page has %q", not)
		}
	}
	policy := a.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestOnlyChangesAreSent(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	c, page := enter(t, s, s.links.Link(projectID, now.Add(time.Hour))), s.links.Page(projectID)
	first := get(t, page, nil, c)
	known := map[string]string{"If-None-Match": first.header.Get("ETag")}
	if a := get(t, page, known, c); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("the same again: %d with %d bytes", a.status, len(a.body))
	}
	s.store.change(func() { s.store.environments[2].State = preview.StateUpdating })
	if a := get(t, page, known, c); a.status != http.StatusOK || !strings.Contains(a.body, "Updating") {
		t.Errorf("after a change: %d", a.status)
	}
}

func TestTroubleIsNotShown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
	}{
		{"unexpected", errors.New("password=hush"), http.StatusInternalServerError},
		{"database down", preview.Transient(errors.New("password=hush")), http.StatusServiceUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, time.Now)
			c := enter(t, s, s.links.Link(projectID, now.Add(time.Hour)))
			s.store.change(func() { s.store.err = tt.err })
			a := get(t, s.links.Page(projectID), nil, c)
			if a.status != tt.status || strings.Contains(a.body, "hush") || !strings.Contains(a.body, "Try again") {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	c := enter(t, s, s.links.Link(projectID, now.Add(time.Hour)))
	elsewhere := enter(t, s, s.links.Link(otherProject, now.Add(time.Hour)))
	name := preview.PreviewName("k7xq2mab", 41)
	tests := []struct {
		name, project, path string
		cookie              *http.Cookie
		status              int
	}{
		{"a collection", projectID, name + "/files/shop.postman_collection.json", c, http.StatusOK},
		{"not in the ledger", projectID, name + "/files/mark.json", c, http.StatusNotFound},
		{"up", projectID, name + "/files/..", c, http.StatusNotFound},
		{"up, escaped", projectID, name + "/files/%2e%2e%2fmark.json", c, http.StatusNotFound},
		{"listed nowhere", projectID, preview.PreviewName("k7xq2mab", 38) + "/files/leftover.json", c, http.StatusNotFound},
		{"no such environment", projectID, "preview-x-pr-1/files/shop.postman_collection.json", c, http.StatusNotFound},
		{"through another project", otherProject, name + "/files/shop.postman_collection.json", elsewhere, http.StatusNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := get(t, s.links.Page(tt.project)+"/"+tt.path, nil, tt.cookie)
			if a.status != tt.status {
				t.Fatalf("%d, want %d: %s", a.status, tt.status, a.body)
			}
			if a.status == http.StatusOK && (a.body != `{"info": {"name": "Shop"}}` ||
				a.header.Get("Content-Disposition") != "attachment; filename=shop.postman_collection.json" ||
				a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" ||
				!strings.HasPrefix(a.header.Get("Content-Security-Policy"), "sandbox")) {
				t.Errorf("headers %v, body %s", a.header, a.body)
			}
		})
	}
}

func TestWriteNotice(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	dashboard.WriteNotice(w, http.StatusNotFound, dashboard.Notice{Title: "Gone <b>", Text: "text", Hint: "hint", Code: "code", Refresh: 5})
	for _, want := range []string{"Gone &lt;b&gt;", "text", "hint", "<code>code</code>", `<meta http-equiv="refresh" content="5">`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
