package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/provider/workerd"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// newDashboard makes the status pages; people is who says what somebody is on a repository.
func (s *Server) newDashboard(people dashboard.Repositories, operator table) (*dashboard.Dashboard, error) {
	c := dashboard.Config{Store: s.store, Links: s.links, Repositories: people, GitHubURL: gitHubURL(s.config.GitHubAPIURL), Logger: s.logger}
	if s.config.GitHubClientID != "" {
		signIn, err := github.NewSignIn(github.SignInConfig{ClientID: s.config.GitHubClientID, ClientSecret: s.config.GitHubClientSecret,
			WebURL: c.GitHubURL, APIURL: s.config.GitHubAPIURL, CallbackURL: s.links.Callback(), Transport: s.calls.For("sign-in")})
		if err != nil {
			return nil, err
		}
		c.SignIn, s.signIn = signIn, signIn
	}
	if s.calls != nil {
		c.Services = outsideSystems{github: s.calls, table: operator}
	}
	if s.workers != nil {
		c.Logs = workerLogs{workers: s.workers, redactor: telemetry.NewRedactor(s.config.Secrets()...)}
	}
	if s.collections != nil {
		c.Files = s.collections.FS()
	}
	c.Here = func(p preview.Project) (workers, collections bool) {
		made := operator.setOf(p)
		return made.here(onWorkerd), made.here(onCollection)
	}
	return dashboard.New(c), nil
}

// workerLogs shows the Workers' lines to the dashboard.
type workerLogs struct {
	workers  *workerd.Runtime
	redactor *telemetry.Redactor
}

func (l workerLogs) Logs(name string) []dashboard.LogLine {
	lines := l.workers.Logs(name)
	shown := make([]dashboard.LogLine, len(lines))
	for i, line := range lines {
		shown[i] = dashboard.LogLine{Time: line.Time, Stream: string(line.Stream), Text: visible(l.redactor.Text(line.Text))}
	}
	return shown
}

// visible is a line that shows what is in it: what a terminal or a browser would act on, such as a change of
// direction, is written as its code.
func visible(line string) string {
	var b strings.Builder
	for _, r := range line {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			fmt.Fprintf(&b, `\u{%x}`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// outsideSystems shows the state of calls to the dashboard.
type outsideSystems struct {
	github *outbound.Transport
	table  table
}

// Services implements dashboard.Services.
func (o outsideSystems) Services(ctx context.Context, p preview.Project) []dashboard.Service {
	installation := account{name: strconv.FormatInt(p.InstallationID, 10), transport: o.github}
	var shown []dashboard.Service
	for _, calls := range append([]account{installation}, o.table.setOf(p).calls...) {
		if status, known := calls.transport.StatusOf(ctx, calls.name); known {
			shown = append(shown, serviceOf(status))
		}
	}
	return shown
}

func serviceOf(status outbound.Status) dashboard.Service {
	service := dashboard.Service{Name: status.Provider, Breaker: status.Breaker, Until: status.OpenUntil}
	if service.Until.IsZero() {
		service.Until = status.PausedUntil
	}
	for _, b := range status.Budgets {
		service.Budgets = append(service.Budgets, dashboard.Budget{Name: b.Name, Remaining: max(b.Remaining, 0), Burst: b.Burst})
	}
	return service
}

// newLinks makes the links of a server that listens at address. Without a key of the operator's a
// random one is used, and links end with the server.
func newLinks(c config.Config, address string) (*dashboard.Links, error) {
	key := c.LinkKey
	if key == "" {
		key = preview.Secret(rand.Text() + rand.Text())
	}
	return dashboard.NewLinks(key, publicURL(c, address), nil)
}

// publicURL is FLARESMITH_URL, or the address in a form that a browser on this machine takes.
func publicURL(c config.Config, address string) string {
	if c.URL != "" {
		return c.URL
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// publicHost is the host name of publicURL, in lower case.
func (s *Server) publicHost() string {
	u, err := url.Parse(publicURL(s.config, s.api.Addr().String()))
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// gitHubURL is where people see what the API at that address serves: https://github.com for
// https://api.github.com/, and the host itself for an own server's /api/v3/.
func gitHubURL(api string) string {
	u, err := url.Parse(api)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + strings.TrimPrefix(u.Host, "api.")
}

// OneTimeLink lets one browser see the status page of a repository, given as owner/name, for so long.
func (s *Server) OneTimeLink(ctx context.Context, repository string, validFor time.Duration) (string, error) {
	p, err := findProject(ctx, s.store, repository)
	if err != nil {
		return "", err
	}
	return s.links.OneTime(p.ID, time.Now().Add(validFor)), nil
}

// Link makes a link to a project's status page without a running server. project is owner/name or
// our id. It needs the key that the server has, too.
func Link(ctx context.Context, c config.Config, project string, validFor time.Duration) (string, error) {
	if c.LinkKey == "" {
		return "", errors.New("FLARESMITH_LINK_KEY: is missing: give the server and this command the same, e.g. of openssl rand -hex 32")
	}
	if validFor <= 0 {
		return "", fmt.Errorf("a link can't be valid for %s", validFor)
	}
	links, err := newLinks(c, c.Listen)
	if err != nil {
		return "", err
	}
	db, err := openStore(ctx, c, store.Options{MaxConns: 1})
	if err != nil {
		return "", err
	}
	defer db.Close()
	p, err := findProject(ctx, db, project)
	if err != nil {
		return "", err
	}
	return links.Link(p.ID, time.Now().Add(validFor)), nil
}

func findProject(ctx context.Context, db *store.Store, project string) (preview.Project, error) {
	if id, err := uuid.Parse(project); err == nil {
		return db.Project(ctx, id.String())
	}
	owner, name, ok := strings.Cut(project, "/")
	if !ok {
		return preview.Project{}, fmt.Errorf("%q is neither owner/name nor a project's id", project)
	}
	return db.ProjectByFullName(ctx, owner, name)
}
