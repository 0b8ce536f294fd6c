package dashboard_test

import (
	"bytes"
	"cmp"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	sim "github.com/flaresmith/flaresmith/app/sim/github"
)

// club is a site that people sign in to, with the stand-in GitHub.
type club struct {
	*site
	t      *testing.T
	github *sim.Server
	log    *journal
	base   string       // where people reach the site
	ahead  atomic.Int64 // how much later than at the start the site's clock is
}

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// clubOptions are what differs from club to club.
type clubOptions struct {
	public bool   // acme/shop is no private repository
	base   string // where people reach the site; empty: where it listens
	secret string // the site's client secret; empty: the right one
}

func newClub(t *testing.T, o clubOptions) *club {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	c := &club{t: t, log: &journal{}}
	var err error
	c.github, err = sim.New(sim.Config{Dir: t.TempDir(), Validate: true})
	c.check(err)
	c.check(c.github.Start("127.0.0.1:0"))
	t.Cleanup(func() {
		for _, v := range c.github.Violations() {
			t.Errorf("not as GitHub describes it: %+v", v)
		}
		c.check(c.github.Close())
	})
	repository, err := c.github.CreateRepo("acme", "shop", fstest.MapFS{"README.md": {Data: []byte("shop\n")}}, sim.RepoOptions{Private: !o.public})
	c.check(err)
	installation, err := c.github.Install("acme")
	c.check(err)
	for _, role := range []string{"admin", "maintain", "write", "triage", "read", "none"} {
		c.github.AddUser("octo-" + role)
		c.check(c.github.SetRole("acme/shop", "octo-"+role, role))
	}

	store, logs, files := sample()
	store.projects[projectID] = preview.Project{ID: projectID, InstallationID: installation, RepoID: repository, Owner: "acme", Name: "shop"}
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	c.site = &site{Server: httptest.NewServer(engine), store: store, logs: logs}
	t.Cleanup(c.Close)
	start := time.Now() // stands still, so that a minute is as long on a slow machine
	clock := func() time.Time { return start.Add(time.Duration(c.ahead.Load())) }
	c.base = cmp.Or(o.base, c.URL)
	c.links, err = dashboard.NewLinks(key, c.base, clock)
	c.check(err)
	c.github.SetCallback(c.links.Callback())
	app, err := github.New(github.Config{AppID: 1, PrivateKey: preview.Secret(c.github.AppKeyPEM()), APIURL: c.github.APIURL()})
	c.check(err)
	signIn, err := github.NewSignIn(github.SignInConfig{ClientID: c.github.ClientID(), ClientSecret: preview.Secret(cmp.Or(o.secret, c.github.ClientSecret())),
		WebURL: c.github.URL(), APIURL: c.github.APIURL(), CallbackURL: c.links.Callback()})
	c.check(err)
	dashboard.New(dashboard.Config{Store: store, Logs: logs, Files: files, Services: services{}, Links: c.links, SignIn: signIn, Repositories: app,
		GitHubURL: c.github.URL(), Now: clock, Logger: slog.New(slog.NewTextHandler(c.log, nil))}).Route(engine)
	return c
}

func (c *club) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *club) page() string { return c.links.Page(projectID) }

// signInAt is where a sign-in for the project begins.
func (c *club) signInAt(project string) string {
	return c.base + "/auth/github?" + url.Values{"project": {project}}.Encode()
}

// visitor is a person with a browser.
type visitor struct {
	*club
	client *http.Client
	jar    *cookiejar.Jar
}

func (c *club) visitor() *visitor {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	c.check(err)
	return &visitor{c, &http.Client{Jar: jar, Timeout: time.Minute, Transport: proxy{c}}, jar}
}

// proxy stands before the site and takes requests for its public address.
type proxy struct{ *club }

// RoundTrip implements http.RoundTripper.
func (p proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if public, err := url.Parse(p.base); err == nil && public.Host == r.URL.Host {
		inner := r.Clone(r.Context())
		inner.URL.Scheme, inner.URL.Host = "http", p.Listener.Addr().String()
		response, err := http.DefaultTransport.RoundTrip(inner)
		if err == nil {
			response.Request = r
		}
		return response, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// seen is what a visitor got in the end.
type seen struct {
	status int
	at     *url.URL
	text   string // without what comes before the body, and unescaped
	body   string
	header http.Header
}

// open goes to an address and wherever that leads.
func (v *visitor) open(address string) seen {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, nil)
	v.check(err)
	return v.do(request)
}

func (v *visitor) do(request *http.Request) seen {
	v.t.Helper()
	response, err := v.client.Do(request)
	v.check(err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	v.check(err)
	_, said, found := strings.Cut(string(body), "<body")
	if !found {
		said = string(body)
	}
	return seen{response.StatusCode, response.Request.URL, html.UnescapeString(said), said, response.Header}
}

// stopAtCallback makes the visitor stop where GitHub leads back to the site.
func (v *visitor) stopAtCallback() *visitor {
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/auth/github/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return v
}

var linkPattern = regexp.MustCompile(`<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>`)

// follow clicks on the link with that text.
func (v *visitor) follow(from seen, text string) seen {
	v.t.Helper()
	for _, found := range linkPattern.FindAllStringSubmatch(from.body, -1) {
		if strings.TrimSpace(found[2]) == text {
			to, err := from.at.Parse(html.UnescapeString(found[1]))
			v.check(err)
			return v.open(to.String())
		}
	}
	v.t.Fatalf("%s has no link %q: %s", from.at, text, from.text)
	return seen{}
}

// signIn signs in from the project's page.
func (v *visitor) signIn(login string) seen {
	v.t.Helper()
	return v.follow(v.follow(v.open(v.page()), "Sign in with GitHub"), login)
}

// cookie is one of the browser's for the site; nil: it has none.
func (v *visitor) cookie(name string) *http.Cookie {
	v.t.Helper()
	site, err := url.Parse(v.base)
	v.check(err)
	for _, cookie := range v.jar.Cookies(site) {
		if cookie.Name == name {
			return cookie
		}
	}
	return nil
}

// plant puts a cookie into the browser.
func (v *visitor) plant(name, value string) {
	v.t.Helper()
	site, err := url.Parse(v.base)
	v.check(err)
	v.jar.SetCookies(site, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
