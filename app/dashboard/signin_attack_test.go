package dashboard_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/dashboard"
)

// back is where GitHub leads the visitor back to, not yet opened.
func (v *visitor) back(login string) *url.URL {
	v.t.Helper()
	v.stopAtCallback()
	at := v.signIn(login)
	back, err := url.Parse(at.header.Get("Location"))
	v.check(err)
	if back.Query().Get("code") == "" {
		v.t.Fatalf("no code in %s", back)
	}
	return back
}

func TestCallbackAttacks(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{})
	with := func(u *url.URL, changes map[string]string) string {
		changed, q := *u, u.Query()
		for key, value := range changes {
			q.Set(key, value)
		}
		changed.RawQuery = q.Encode()
		return changed.String()
	}
	tests := []struct {
		name string
		// attack gives the address that the victim's browser opens.
		attack func(victim, attacker *visitor) string
	}{
		{"a browser that did not begin", func(_, attacker *visitor) string { return attacker.back("octo-read").String() }},
		{"the attacker's code in a sign-in that the victim began", func(victim, attacker *visitor) string {
			return with(victim.back("octo-admin"), map[string]string{"code": attacker.back("octo-read").Query().Get("code")})
		}},
		{"another state", func(victim, _ *visitor) string {
			return with(victim.back("octo-read"), map[string]string{"state": "AAAAAAAAAAAAAAAAAAAAAAAAAA"})
		}},
		{"no state", func(victim, _ *visitor) string { return with(victim.back("octo-read"), map[string]string{"state": ""}) }},
		{"no code", func(victim, _ *visitor) string { return with(victim.back("octo-read"), map[string]string{"code": ""}) }},
		{"a made-up code", func(victim, _ *visitor) string {
			return with(victim.back("octo-read"), map[string]string{"code": "0123456789abcdef0123"})
		}},
		{"an endless code", func(victim, _ *visitor) string {
			return with(victim.back("octo-read"), map[string]string{"code": strings.Repeat("a", 10_000)})
		}},
		{"a sign-in that was changed on the way", func(victim, _ *visitor) string {
			back := victim.back("octo-read")
			victim.plant("flaresmith_signin", strings.Replace(victim.cookie("flaresmith_signin").Value, ".", ".x", 1))
			return back.String()
		}},
		{"a code that was used", func(victim, _ *visitor) string {
			back := victim.back("octo-read")
			kept := victim.cookie("flaresmith_signin").Value
			if got := victim.open(back.String()); got.status != http.StatusOK {
				t.Errorf("the first use: %d", got.status)
			}
			victim.signOut(projectID, map[string]string{"Sec-Fetch-Site": "same-origin"})
			victim.plant("flaresmith_signin", kept)
			return back.String()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			victim, attacker := c.visitor(), c.visitor()
			got := victim.open(tt.attack(victim, attacker))
			if got.status != http.StatusForbidden || victim.cookie(session) != nil {
				t.Errorf("%d at %s, session %v", got.status, got.at, victim.cookie(session))
			}
		})
	}
}

func TestSignInTakesTooLong(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	back := v.back("octo-read")
	v.ahead.Store(int64(11 * time.Minute))
	if got := v.open(back.String()); got.status != http.StatusForbidden || v.cookie(session) != nil {
		t.Errorf("%d", got.status)
	}
}

// Nobody is led anywhere but to a page of ours.
func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{})
	for _, project := range []string{"", "//evil.example", "https://evil.example/", "../../evil", `\\evil.example`, strings.ToUpper(projectID), projectID + "/../../x",
		projectID + "\n", projectID + ".evil.example"} {
		v := c.visitor()
		got := v.open(c.signInAt(project))
		if got.status != http.StatusBadRequest || v.cookie("flaresmith_signin") != nil || !strings.HasPrefix(got.at.String(), c.base+"/") {
			t.Errorf("%q: %d at %s", project, got.status, got.at)
		}
	}
	// Whatever else the addresses carry is not followed.
	v := c.visitor().stopAtCallback()
	back := v.follow(v.open(c.signInAt(projectID)+"&redirect_uri=https://evil.example&return_to=//evil.example"), "octo-read").header.Get("Location")
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if got := v.open(back + "&return_to=https://evil.example"); got.header.Get("Location") != "/projects/"+projectID+"/environments" {
		t.Errorf("led to %q", got.header.Get("Location"))
	}
	if got := v.signOut("//evil.example", nil); got.header.Get("Location") != "" {
		t.Errorf("signed out to %q", got.header.Get("Location"))
	}
}

func TestForgedSessions(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{})
	good := c.visitor()
	good.signIn("octo-none") // a good session of somebody who may not see the page
	value := good.cookie(session).Value
	parts := strings.Split(value, ".")
	if len(parts) != 4 {
		t.Fatalf("a session has %d parts", len(parts))
	}
	admin := strconv.FormatInt(c.github.AddUser("octo-admin").ID, 10)
	foreign, err := dashboard.NewLinks("another key, as long as the right one", c.URL, time.Now)
	c.check(err)
	link := c.links.Link(projectID, time.Now().Add(time.Hour))
	entered := c.visitor()
	entered.stopAtCallback().follow(entered.open(c.page()), "Sign in with GitHub")
	begun := entered.cookie("flaresmith_signin").Value
	sealed := func(l *dashboard.Links) string {
		return tokenOf(t, l.Link(admin+".octo-admin", time.Now().Add(time.Hour)))
	}
	for name, forged := range map[string]string{
		"another id":             strings.Join([]string{admin, parts[1], parts[2], parts[3]}, "."),
		"another login":          strings.Join([]string{parts[0], "octo-admin", parts[2], parts[3]}, "."),
		"another person":         strings.Join([]string{admin, "octo-admin", parts[2], parts[3]}, "."),
		"a longer time":          strings.Join([]string{parts[0], parts[1], parts[2] + "0", parts[3]}, "."),
		"no signature":           strings.Join([]string{admin, "octo-admin", parts[2], ""}, "."),
		"too few parts":          admin + ".octo-admin",
		"dots":                   "...",
		"nothing":                "",
		"a link's token":         tokenOf(t, link),
		"a link for a person":    admin + ".octo-admin." + sealed(c.links),
		"another key":            admin + ".octo-admin." + sealed(foreign),
		"a begun sign-in":        begun,
		"the project's own card": enter(t, c.site, link).Value,
		"a good one, of another": value,
	} {
		v := c.visitor()
		v.plant(session, forged)
		if got := v.open(c.page()); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	// And a session is no link's cookie.
	v := c.visitor()
	v.plant("flaresmith_project", value)
	if got := v.open(c.page()); got.status != http.StatusForbidden {
		t.Errorf("as a link's cookie: %d", got.status)
	}
}

// Logins are given up and taken: whoever has one now is not who signed in with it.
func TestLoginIsReused(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.check(v.github.SetRole("acme/shop", "octo-none", "read"))
	if got := v.signIn("octo-none"); got.status != http.StatusOK {
		t.Fatalf("%d", got.status)
	}
	v.check(v.github.RenameUser("octo-none", "octo-renamed"))
	v.ahead.Store(int64(2 * time.Minute))
	if got := v.open(v.page()); got.status != http.StatusForbidden {
		t.Errorf("a login that is nobody's: %d", got.status)
	}
	v.github.AddUser("octo-none")
	v.check(v.github.SetRole("acme/shop", "octo-none", "admin"))
	v.ahead.Store(int64(4 * time.Minute))
	got := v.open(v.page())
	if got.status != http.StatusForbidden {
		t.Errorf("a login that is somebody else's: %d", got.status)
	}
	if got := v.follow(v.follow(got, "Sign in again"), "octo-renamed"); got.status != http.StatusOK {
		t.Errorf("with the new login: %d", got.status)
	}
}

// A session that somebody planted does not become the victim's.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{})
	attacker, victim := c.visitor(), c.visitor()
	attacker.signIn("octo-none")
	planted := attacker.cookie(session).Value
	victim.plant(session, planted)
	back := victim.follow(victim.open(c.page()), "Sign in again")
	if got := victim.follow(back, "octo-read"); got.status != http.StatusOK {
		t.Fatalf("%d", got.status)
	}
	if victim.cookie(session).Value == planted {
		t.Error("the session is the planted one")
	}
	if got := attacker.open(c.page()); got.status != http.StatusForbidden {
		t.Errorf("the attacker sees the page: %d", got.status)
	}
}

// A preview is code of a contributor on a host next to ours. Without https it can set cookies that
// are sent to us, too; they open nothing and lock nobody out.
func TestCookieTossing(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{})
	stranger, member := c.visitor(), c.visitor()
	stranger.signIn("octo-none")
	member.signIn("octo-read")
	planted := []*http.Cookie{{Name: session, Value: "x"}, {Name: session, Value: stranger.cookie(session).Value}, {Name: "flaresmith_project", Value: "1.x"}}
	if got := get(t, c.page(), nil, planted...); got.status != http.StatusForbidden {
		t.Errorf("planted cookies alone: %d", got.status)
	}
	if got := get(t, c.page(), nil, append(planted, member.cookie(session))...); got.status != http.StatusOK {
		t.Errorf("planted cookies before the right one: %d", got.status)
	}
}

// With https, only cookies count that no other host can have set.
func TestHostCookies(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{base: "https://flaresmith.example"})
	page := c.URL + "/projects/" + projectID + "/environments"
	begun := get(t, c.URL+"/auth/github?project="+projectID, nil)
	member := c.visitor()
	if got := member.signIn("octo-read"); got.status != http.StatusOK || got.at.String() != "https://flaresmith.example/projects/"+projectID+"/environments" {
		t.Fatalf("%d at %s", got.status, got.at)
	}
	card := member.cookie("__Host-" + session)
	if card == nil || member.cookie(session) != nil {
		t.Fatalf("cookies %v", card)
	}
	for name, want := range map[string]int{"__Host-" + session: http.StatusOK, session: http.StatusForbidden} {
		if a := get(t, page, nil, &http.Cookie{Name: name, Value: card.Value}); a.status != want {
			t.Errorf("%s: %d, want %d", name, a.status, want)
		}
	}
	if len(begun.cookies) != 1 {
		t.Fatalf("%d cookies", len(begun.cookies))
	}
	got := *begun.cookies[0]
	if got.Name != "__Host-flaresmith_signin" || !got.Secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" ||
		time.Until(got.Expires) > 10*time.Minute {
		t.Errorf("cookie %+v", got)
	}
}

func TestCrossSiteSignOut(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.signIn("octo-read")
	for name, headers := range map[string]map[string]string{
		"another site":             {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		"a preview":                {"Sec-Fetch-Site": "same-site", "Origin": "http://preview-x.localhost:8080"},
		"an old browser":           {"Origin": "https://evil.example"},
		"a page without an origin": {"Origin": "null"},
	} {
		if got := v.signOut(projectID, headers); got.status != http.StatusForbidden || v.cookie(session) == nil || !strings.Contains(got.text, "still signed in") {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := v.open(v.base + "/auth/sign-out"); got.status != http.StatusMethodNotAllowed || v.cookie(session) == nil {
		t.Errorf("by a link: %d", got.status)
	}
	if got := v.open(v.page()); got.status != http.StatusOK {
		t.Errorf("afterwards: %d", got.status)
	}
}

// Who is signed in learns nothing about projects that they may not see.
func TestSignedInRefusalTellsNothing(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.signIn("octo-none")
	const missing = "0b5f6c1e-6a52-4a0e-9a53-ffffffffffff"
	there, none := v.open(v.page()), v.open(v.links.Page(missing))
	for _, s := range []*seen{&there, &none} {
		s.header.Del("Date")
		s.at = nil
		s.body = strings.ReplaceAll(s.body, missing, projectID)
	}
	if there.status != http.StatusForbidden || there.status != none.status || there.body != none.body {
		t.Errorf("%d and %d: %s", there.status, none.status, cmp.Diff(there.body, none.body))
	}
	if diff := cmp.Diff(there.header, none.header); diff != "" {
		t.Error(diff)
	}
}

// Anybody can make us ask GitHub about a code, but not without end.
func TestSignInsAreBounded(t *testing.T) {
	t.Parallel()
	v := newClub(t, clubOptions{}).visitor()
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for i := range 100 {
		to, err := url.Parse(v.open(v.signInAt(projectID)).header.Get("Location"))
		v.check(err)
		got := v.open(v.base + "/auth/github/callback?" + url.Values{"state": {to.Query().Get("state")}, "code": {"x" + strconv.Itoa(i)}}.Encode())
		if got.status == http.StatusTooManyRequests {
			if i < 20 {
				t.Errorf("the %d. was refused", i)
			}
			return
		}
	}
	t.Error("nobody was refused")
}

// An App that gives wrong credentials tells its operator, and nobody else.
func TestWrongClientSecret(t *testing.T) {
	t.Parallel()
	c := newClub(t, clubOptions{secret: "not-the-right-one"})
	v := c.visitor()
	got := v.signIn("octo-read")
	if got.status != http.StatusBadGateway || strings.Contains(got.text, "GITHUB_CLIENT") || v.cookie(session) != nil {
		t.Errorf("%d: %s", got.status, got.text)
	}
	if !strings.Contains(c.log.String(), "GITHUB_CLIENT_SECRET") || strings.Contains(c.log.String(), "not-the-right-one") {
		t.Errorf("the log: %s", c.log)
	}
}
