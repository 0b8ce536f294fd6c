package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/sim/fault"
)

const (
	session    = "flaresmith_session"
	permission = "GET /repos/{owner}/{repo}/collaborators/{username}/permission"
)

// Somebody who may see the repository comes from the check, signs in, and is where they wanted to be.
func TestSignIn(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	refused := v.open(v.page())
	if refused.status != http.StatusForbidden || !strings.Contains(refused.text, "Sign in to see this page") || strings.Contains(refused.text, "acme") {
		t.Fatalf("before: %d %s", refused.status, refused.text)
	}
	got := v.signIn("octo-read")
	if got.status != http.StatusOK || got.at.String() != v.page() || !strings.Contains(got.text, "Pull request #41") || !strings.Contains(got.text, "octo-read") {
		t.Fatalf("after: %d at %s: %s", got.status, got.at, got.text)
	}
	if v.cookie("flaresmith_signin") != nil {
		t.Error("the browser keeps what was only for the sign-in")
	}
	for _, secret := range []string{"ghu_", "ghr_", v.github.ClientSecret()} {
		if strings.Contains(v.log.String()+got.body+v.cookie(session).Value, secret) {
			t.Errorf("%s… is in the log, the page or the cookie", secret[:4])
		}
	}
	file := v.page() + "/preview-k7xq2mab-pr-41/files/shop.postman_collection.json"
	if got := v.open(file); got.status != http.StatusOK || got.body != `{"info": {"name": "Shop"}}` {
		t.Errorf("a collection: %d", got.status)
	}
	if got := v.visitor().open(file); got.status != http.StatusForbidden {
		t.Errorf("a collection for somebody else: %d", got.status)
	}
}

// A link opens the page without a sign-in, and nobody is asked about.
func TestLinkBesideSignIn(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	got := v.open(v.links.Link(projectID, time.Now().Add(time.Hour)))
	if got.status != http.StatusOK || strings.Contains(got.text, "Sign out") {
		t.Errorf("%d: %s", got.status, got.text)
	}
	if n := v.github.Counts()[permission]; n != 0 {
		t.Errorf("GitHub was asked %d times", n)
	}
	late := v.visitor().open(v.links.Link(projectID, time.Now().Add(-time.Hour)))
	if late.status != http.StatusForbidden || !strings.Contains(late.text, "no longer valid") || !strings.Contains(late.text, "Sign in with GitHub") {
		t.Errorf("an old link: %d %s", late.status, late.text)
	}
}

// On a public repository everybody reads: that is no reason to show logs.
func TestWhoMaySee(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		public bool
		want   map[string]int
	}{
		{"private", false, map[string]int{"octo-admin": 200, "octo-maintain": 200, "octo-write": 200, "octo-triage": 200, "octo-read": 200, "octo-none": 403}},
		{"public", true, map[string]int{"octo-admin": 200, "octo-maintain": 200, "octo-write": 200, "octo-triage": 200, "octo-read": 403, "octo-none": 403}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, got := newClub(t, clubOptions{public: tt.public}), map[string]int{}
			for login := range tt.want {
				got[login] = c.visitor().signIn(login).status
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// GitHub is asked at most once a minute for each person and project, and its answer then counts.
func TestLosingTheRoleEndsIt(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	tag := v.signIn("octo-write").header.Get("ETag")
	look := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.page(), nil)
		v.check(err)
		request.Header.Set("If-None-Match", tag) // as the page itself asks
		return v.do(request).status
	}
	v.check(v.github.SetRole("acme/shop", "octo-write", "none"))
	v.ahead.Store(int64(55 * time.Second))
	for range 5 {
		if status := look(); status >= http.StatusBadRequest {
			t.Errorf("within the minute: %d", status)
		}
	}
	if n := v.github.Counts()[permission]; n != 1 {
		t.Errorf("GitHub was asked %d times", n)
	}
	v.ahead.Store(int64(61 * time.Second))
	if status := look(); status != http.StatusForbidden {
		t.Errorf("after the minute: %d", status)
	}
	v.check(v.github.SetRole("acme/shop", "octo-write", "write"))
	v.ahead.Store(int64(2 * time.Hour))
	if status := look(); status >= http.StatusBadRequest {
		t.Errorf("with the role again: %d", status)
	}
	v.ahead.Store(int64(9 * time.Hour))
	if got := v.open(v.page()); got.status != http.StatusForbidden || !strings.Contains(got.text, "Sign in to see this page") {
		t.Errorf("after the session: %d", got.status)
	}
}

// The minute also bounds what a repository that was made public, or taken from us, still shows.
func TestRepositoryChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *club) error{
		"public":      func(c *club) error { return c.github.SetPrivate("acme/shop", false, "octo-admin") },
		"uninstalled": func(c *club) error { return c.github.Uninstall("acme", "octo-admin") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newClub(t, clubOptions{}).visitor()
			if got := v.signIn("octo-read"); got.status != http.StatusOK {
				t.Fatalf("%d", got.status)
			}
			v.check(change(v.club))
			v.ahead.Store(int64(61 * time.Second))
			if got := v.open(v.page()); got.status != http.StatusForbidden {
				t.Errorf("%d", got.status)
			}
		})
	}
}

// A renamed repository stays the same one.
func TestRepositoryIsRenamed(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.check(v.github.Rename("acme/shop", "acme/store", "octo-admin"))
	if got := v.signIn("octo-read"); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
}

func TestGitHubIsDown(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	down := fault.Fault{Status: http.StatusBadGateway}
	v.github.SetFaults(fault.OnRoute("POST /login/oauth/access_token", down))
	if got := v.signIn("octo-read"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.text, "GitHub does not answer") || v.cookie(session) != nil {
		t.Errorf("sign-in: %d %s", got.status, got.text)
	}
	v.github.SetFaults(fault.OnRoute("GET /user", fault.Fault{Drop: true}))
	if got := v.signIn("octo-read"); got.status != http.StatusServiceUnavailable || v.cookie(session) != nil {
		t.Errorf("who it is: %d", got.status)
	}
	v.github.SetFaults(fault.OnRoute(permission, down))
	got := v.signIn("octo-read")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.text, "can't be checked") || strings.Contains(got.text, "acme") || strings.Contains(got.text, "#41") {
		t.Errorf("role: %d %s", got.status, got.text)
	}
	for range 5 {
		v.open(v.page())
	}
	if n := v.github.Counts()[permission]; n != 1 {
		t.Errorf("GitHub was asked %d times at once", n)
	}
	v.github.SetFaults()
	v.ahead.Store(int64(6 * time.Second))
	if got := v.open(v.page()); got.status != http.StatusOK {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestDeclined(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	got := v.follow(v.follow(v.open(v.page()), "Sign in with GitHub"), "Cancel")
	if got.status != http.StatusForbidden || !strings.Contains(got.text, "You did not sign in") {
		t.Fatalf("%d %s", got.status, got.text)
	}
	if got := v.follow(v.follow(got, "Try again"), "octo-read"); got.status != http.StatusOK {
		t.Errorf("the second time: %d", got.status)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.signIn("octo-read")
	copied := v.cookie(session).Value
	got := v.signOut(projectID, map[string]string{"Origin": v.base, "Sec-Fetch-Site": "same-origin"})
	if got.status != http.StatusForbidden || got.at.String() != v.page() || !strings.Contains(got.text, "Sign in with GitHub") || v.cookie(session) != nil {
		t.Errorf("%d at %s", got.status, got.at)
	}
	thief := v.visitor()
	thief.plant(session, copied)
	if got := thief.open(v.page()); got.status != http.StatusForbidden {
		t.Errorf("a copy of the cookie still opens the page: %d", got.status)
	}
}

func (v *visitor) signOut(project string, headers map[string]string) seen {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+"/auth/sign-out", strings.NewReader(url.Values{"project": {project}}.Encode()))
	v.check(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	return v.do(request)
}
