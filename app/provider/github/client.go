package github

import (
	"io"
	"net/http"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxClients = 10_000   // forgotten all at once beyond it: only tokens are lost
	maxAnswer  = 32 << 20 // bytes of one answer of the API; archives have their own limit
)

// scope is what a token is made for.
type scope string

const (
	scopeRead    scope = "read"    // facts of one repository
	scopeReport  scope = "report"  // what people see on one repository
	scopePropose scope = "propose" // a branch of our own and its pull request, in one repository
	scopeCommit  scope = "commit"  // commits on the branch of a pull request, in one repository
	scopeOwner   scope = "owner"   // files of the owner's .github repository
)

// permissions are what a token of the scope asks for, and nothing more.
func (s scope) permissions() *gh.InstallationPermissions {
	switch s {
	case scopeRead:
		return &gh.InstallationPermissions{Metadata: gh.String("read"), Contents: gh.String("read"), PullRequests: gh.String("read")}
	case scopeReport:
		return &gh.InstallationPermissions{Metadata: gh.String("read"), Checks: gh.String("write"),
			PullRequests: gh.String("write"), Deployments: gh.String("write")}
	case scopePropose:
		return &gh.InstallationPermissions{Metadata: gh.String("read"), Contents: gh.String("write"), PullRequests: gh.String("write")}
	case scopeCommit: // without workflows, GitHub itself refuses to touch any
		return &gh.InstallationPermissions{Metadata: gh.String("read"), Contents: gh.String("write")}
	default:
		return &gh.InstallationPermissions{Metadata: gh.String("read"), Contents: gh.String("read")}
	}
}

// clientKey names one token.
type clientKey struct {
	installation, repository int64 // repository 0: all of the installation's
	scope                    scope
}

// client is a client whose token reaches the project's repository only, with the scope's permissions.
func (a *App) client(p preview.Project, s scope) *gh.Client {
	key := clientKey{installation: p.InstallationID, repository: p.RepoID, scope: s}
	if s == scopeOwner {
		key.repository = 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if client, ok := a.clients[key]; ok {
		return client
	}
	if len(a.clients) >= maxClients {
		clear(a.clients)
	}
	a.clients[key] = a.newClient(&renewing{make: func() http.RoundTripper { return a.installation(key) }})
	return a.clients[key]
}

// appClient speaks as the App itself.
func (a *App) appClient() *gh.Client { return a.newClient(a.identity(a.transport)) }

func (a *App) newClient(authorized http.RoundTripper) *gh.Client {
	client := gh.NewClient(&http.Client{Transport: &hostGuard{app: a, authorized: authorized}})
	client.BaseURL, client.UserAgent = a.api, a.userAgent
	return client
}

// identity signs as the App. Each installation has one of its own, since ghinstallation writes
// to it when it makes a token.
func (a *App) identity(over http.RoundTripper) *ghinstallation.AppsTransport {
	identity := ghinstallation.NewAppsTransportFromPrivateKey(bounded{over}, a.id, a.key)
	identity.BaseURL = strings.TrimRight(a.api.String(), "/")
	return identity
}

func (a *App) installation(key clientKey) http.RoundTripper {
	over := a.perInstallation(key.installation)
	transport := ghinstallation.NewFromAppsTransport(a.identity(over), key.installation)
	transport.Client = &http.Client{Transport: bounded{over}, Timeout: callTimeout}
	transport.InstallationTokenOptions = &gh.InstallationTokenOptions{Permissions: key.scope.permissions()}
	if key.repository != 0 {
		transport.InstallationTokenOptions.RepositoryIDs = []int64{key.repository}
	}
	return transport
}

// hostGuard adds credentials to requests for the API only: an answer may redirect or name an
// address elsewhere, such as an archive's.
type hostGuard struct {
	app        *App
	authorized http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (g *hostGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	api := g.app.api
	if r.URL.Host == api.Host && r.URL.Scheme == api.Scheme && strings.HasPrefix(r.URL.Path, api.Path) {
		return g.authorized.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	return g.app.transport.RoundTrip(r)
}

// bounded ends an answer that is longer than any of the API's.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}
