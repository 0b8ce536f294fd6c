package dashboard_test

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
)

// answer is what a request without redirects got.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

func get(t *testing.T, address string, headers map[string]string, cookies ...*http.Cookie) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	response, err := noRedirect().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.Cookies(), string(body)}
}

// enter exchanges a link for its cookie.
func enter(t *testing.T, s *site, link string) *http.Cookie {
	t.Helper()
	a := get(t, link, nil)
	if a.status != http.StatusSeeOther || len(a.cookies) != 1 {
		t.Fatalf("the link was answered %d with %d cookies", a.status, len(a.cookies))
	}
	return a.cookies[0]
}

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	later := now.Add(time.Hour)
	foreign, err := dashboard.NewLinks("another key, as long as the right one", s.URL, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	good := s.links.Link(projectID, later)
	token := tokenOf(t, good)
	_, mac, _ := strings.Cut(token, ".")
	page := s.links.Page(projectID)
	cookie := enter(t, s, good)
	withToken := func(token string) string { return page + "?t=" + url.QueryEscape(token) }
	tests := []struct {
		name    string
		address string
		cookie  string
		title   string
	}{
		{"nothing", page, "", "You need a link"},
		{"a project that is not there", s.links.Page("0b5f6c1e-6a52-4a0e-9a53-ffffffffffff"), "", "You need a link"},
		{"a good link for a project that is not there", s.links.Link("0b5f6c1e-6a52-4a0e-9a53-ffffffffffff", now.Add(-time.Hour)), "", "no longer valid"},
		{"no project id", s.URL + "/projects/x/environments", "", "You need a link"},
		{"another key", foreign.Link(projectID, later), "", "You need a link"},
		{"another project's token", s.links.Page(otherProject) + "?t=" + token, "", "You need a link"},
		{"another project's cookie", s.links.Page(otherProject), cookie.Value, "You need a link"},
		{"expired", s.links.Link(projectID, now.Add(-time.Second)), "", "no longer valid"},
		{"longer by hand", withToken(strconv.FormatInt(later.Add(time.Hour).Unix(), 10) + "." + mac), "", "You need a link"},
		{"a changed MAC", withToken(token[:len(token)-2] + "AA"), "", "You need a link"},
		{"no MAC", withToken(strings.TrimSuffix(token, mac)), "", "You need a link"},
		{"only a MAC", withToken("." + mac), "", "You need a link"},
		{"empty", withToken(""), "", "You need a link"},
		{"a link's token as cookie", page, token, "You need a link"},
		{"a cookie's token as link", withToken(cookie.Value), "", "You need a link"},
		{"a bad token beside a good cookie", withToken("1.x"), cookie.Value, "You need a link"},
		{"a file", page + "/" + preview.PreviewName("k7xq2mab", 41) + "/files/shop.postman_collection.json", "", "You need a link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var cookies []*http.Cookie
			if tt.cookie != "" {
				cookies = append(cookies, &http.Cookie{Name: cookie.Name, Value: tt.cookie})
			}
			a := get(t, tt.address, nil, cookies...)
			if a.status != http.StatusForbidden || !strings.Contains(a.body, tt.title) || !strings.Contains(a.body, "flaresmith link") {
				t.Errorf("%d: %.400s", a.status, a.body[strings.Index(a.body, "<main>"):])
			}
			if len(a.cookies) > 0 {
				t.Error("it sets a cookie")
			}
			for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("t")
}

// A refusal does not tell whether there is such a project.
func TestRefusalTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	there := get(t, s.links.Page(projectID), nil)
	missing := get(t, s.links.Page("0b5f6c1e-6a52-4a0e-9a53-ffffffffffff"), nil)
	for _, a := range []*answer{&there, &missing} {
		a.header.Del("Date")
	}
	if diff := cmp.Diff(there.header, missing.header); diff != "" || there.body != missing.body || there.status != missing.status {
		t.Errorf("the answers differ: %s", diff)
	}
}

func TestLinkIsExchanged(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	s := newSite(t, func() time.Time { return now.Add(time.Duration(offset.Load())) })
	a := get(t, s.links.Link(projectID, now.Add(time.Hour)), nil)
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/projects/"+projectID+"/environments" {
		t.Fatalf("%d to %q", a.status, a.header.Get("Location"))
	}
	c := a.cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/projects/"+projectID || c.Domain != "" || !c.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("cookie %+v", c)
	}
	page := s.links.Page(projectID)
	if got := get(t, page, nil, c); got.status != http.StatusOK {
		t.Errorf("the cookie was answered %d", got.status)
	}
	// A host next to ours can add cookies of the same name, and must not lock anybody out.
	if got := get(t, page, nil, &http.Cookie{Name: c.Name, Value: "1.planted"}, c); got.status != http.StatusOK {
		t.Errorf("with a planted cookie: %d", got.status)
	}
	offset.Store(int64(time.Hour))
	if got := get(t, page, nil, c); got.status != http.StatusForbidden || !strings.Contains(got.body, "no longer valid") {
		t.Errorf("after its time: %d", got.status)
	}
	secure, err := dashboard.NewLinks(key, "https://flaresmith.example/base/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := secure.Page(projectID); got != "https://flaresmith.example/base/projects/"+projectID+"/environments" {
		t.Errorf("page %q", got)
	}
}

func TestOneTimeLink(t *testing.T) {
	t.Parallel()
	s := newSite(t, time.Now)
	link, another := s.links.OneTime(projectID, now.Add(time.Hour)), s.links.OneTime(projectID, now.Add(time.Hour))
	c := enter(t, s, link)
	enter(t, s, another) // of the same second
	if a := get(t, link, nil); a.status != http.StatusForbidden || !strings.Contains(a.body, "no longer valid") {
		t.Errorf("the second use was answered %d", a.status)
	}
	if a := get(t, s.links.Page(projectID), nil, c); a.status != http.StatusOK {
		t.Errorf("the first one's cookie: %d", a.status)
	}
	enter(t, s, s.links.Link(projectID, now.Add(time.Hour)))
	enter(t, s, s.links.Link(projectID, now.Add(time.Hour)))
}

func TestNewLinksChecks(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]struct {
		key  preview.Secret
		base string
	}{"no key": {"", "http://a"}, "no host": {key, "http://"}, "another scheme": {key, "ftp://a"}, "not a URL": {key, "%"}} {
		if _, err := dashboard.NewLinks(given.key, given.base, nil); err == nil || strings.Contains(err.Error(), key.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
