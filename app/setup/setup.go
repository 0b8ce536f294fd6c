package setup

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	pagePath     = "/setup"
	callbackPath = pagePath + "/callback"

	cookieName     = "flaresmith-setup"
	sessionLife    = time.Hour // as long as GitHub's codes live
	convertTimeout = 20 * time.Second
	keepTimeout    = 20 * time.Second
	lookEvery      = 2 * time.Second // for an App that another replica was set up with
	maxForm        = 4 << 10
)

var (
	ownerPattern = regexp.MustCompile(`^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}$`)
	codePattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
)

// Config is what a Setup needs.
type Config struct {
	PublicURL            string // where people and GitHub reach the server, without a trailing slash
	GitHubURL, APIURL    string // https://github.com, https://api.github.com/
	HookPath, SignInPath string // of the server, for the manifest
	Permissions          map[string]string
	Events               []string
	AllowedOwners        []string // whose pull requests will be served: others are warned
	Keeper               *Keeper
	Transport            http.RoundTripper // to GitHub's API
	Logger               *slog.Logger
}

// Setup is the pages. Make one with New; Wait until it is done.
type Setup struct {
	Config
	client *gh.Client
	mux    *http.ServeMux
	done   chan App // takes one

	mu      sync.Mutex
	token   string // unspent; empty: spent
	session string // of the browser that spent it; empty: none
	until   time.Time
	states  []string // that GitHub may still come back with
	created *App     // at GitHub, and not yet stored
	closed  bool
}

// New makes the pages with a new token.
func New(c Config) (*Setup, error) {
	client := gh.NewClient(&http.Client{Transport: c.Transport, Timeout: convertTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	base, err := url.Parse(strings.TrimRight(c.APIURL, "/") + "/")
	if err != nil {
		return nil, fmt.Errorf("setup: GitHub's API: %w", err)
	}
	client.BaseURL = base
	s := &Setup{Config: c, client: client, mux: http.NewServeMux(), token: rand.Text(), done: make(chan App, 1)}
	s.mux.HandleFunc("GET "+pagePath, s.page)
	// Forms of other sites bring neither the token nor the cookie, which is SameSite=Lax.
	s.mux.HandleFunc("POST "+pagePath, s.begin)
	s.mux.HandleFunc("GET "+callbackPath, s.callback)
	s.mux.HandleFunc("GET /healthz", alive)
	s.mux.HandleFunc("/", absent)
	return s, nil
}

// Link is the address that opens the pages, once.
func (s *Setup) Link() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.PublicURL + pagePath + "?token=" + s.token
}

// Wait returns the App when it was created here, or by another replica on the same database.
func (s *Setup) Wait(ctx context.Context) (App, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case app := <-s.done:
			return app, nil
		case <-ctx.Done():
			return App{}, ctx.Err()
		case <-ticker.C:
		}
		app, err := s.Keeper.App(ctx)
		switch {
		case err == nil:
			return app, nil
		case !errors.Is(err, preview.ErrNotFound) && ctx.Err() == nil:
			s.Logger.WarnContext(ctx, "look for the GitHub App", slog.Any("err", err))
		}
	}
}

// ServeHTTP serves the pages, and tells everybody else that there is nothing yet.
func (s *Setup) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}`)) // who does not listen can't be told
}

func absent(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "30")
	dashboard.WriteNotice(w, http.StatusServiceUnavailable, dashboard.Notice{Title: "Not set up yet",
		Text: "This server has no GitHub App.", Hint: "Whoever runs it finds a link to create one in its output."})
}

// page shows the form to whoever has the token or spent it.
func (s *Setup) page(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	if !s.isToken(token) && !s.isSession(r) {
		refuse(w)
		return
	}
	if s.pending() != nil {
		s.keep(w, r)
		return
	}
	s.form(w, http.StatusOK, token, "")
}

func (s *Setup) form(w http.ResponseWriter, status int, token, wrong string) {
	n := dashboard.Notice{
		Title: "Create the GitHub App",
		Text:  "Flaresmith works as a GitHub App of your own. GitHub will show what it asks for before anything is created.",
		Form: &dashboard.Form{Action: pagePath, Button: "Go on", Hidden: map[string]string{"token": token},
			Label: "Organisation that shall own it, as in its address; empty: your own account", Name: "owner", Wrong: wrong},
		Hint: "Deliveries will come to " + s.PublicURL + s.HookPath + ".",
	}
	if local(s.PublicURL) {
		n.Hint += " GitHub can't reach that address: end the server, set FLARESMITH_URL to one that it can, and begin again."
	}
	dashboard.WriteNotice(w, status, n)
}

// begin spends the token, or goes on with the session, and offers the manifest.
func (s *Setup) begin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form is too long or broken", http.StatusBadRequest)
		return
	}
	token, owner := r.PostForm.Get("token"), strings.TrimSpace(r.PostForm.Get("owner"))
	if !s.isToken(token) && !s.isSession(r) {
		refuse(w)
		return
	}
	if owner != "" && !ownerPattern.MatchString(owner) {
		s.form(w, http.StatusBadRequest, token, "That is no account's name: it is the part after "+s.GitHubURL+"/")
		return
	}
	manifest, err := s.manifest(owner)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	state, session, ok := s.open(r, token)
	if !ok { // another browser was faster
		refuse(w)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: session, Path: pagePath, MaxAge: int(sessionLife.Seconds()), HttpOnly: true, // #nosec G124 -- Secure where there is TLS
		Secure: strings.HasPrefix(s.PublicURL, "https://"), SameSite: http.SameSiteLaxMode}) // GitHub's page leads back here
	address := s.GitHubURL + "/settings/apps/new"
	if owner != "" {
		address = s.GitHubURL + "/organizations/" + owner + "/settings/apps/new"
	}
	n := dashboard.Notice{
		Title: "Create it at GitHub", Text: "GitHub asks for a name, shows the permissions and leads you back here.",
		Form: &dashboard.Form{Action: address + "?" + url.Values{"state": {state}}.Encode(), Button: "To GitHub", Hidden: map[string]string{"manifest": manifest}},
	}
	if owner != "" && !slices.ContainsFunc(s.AllowedOwners, func(a string) bool { return strings.EqualFold(a, owner) }) {
		n.Hint = "The server's configuration (FLARESMITH_ALLOWED_ORGS) does not name this account: until it does, its pull requests get no preview."
	}
	dashboard.WriteNotice(w, http.StatusOK, n)
}

// callback is where GitHub leads back to: it gives the code for the App's credentials.
func (s *Setup) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case !s.isSession(r):
		refuse(w)
		return
	case s.pending() != nil: // the page of an App that could not be stored yet, loaded again
		s.keep(w, r)
		return
	case !s.spend(q.Get("state")):
		refuse(w)
		return
	}
	if !codePattern.MatchString(q.Get("code")) {
		again(w, http.StatusBadRequest, "GitHub sent no code", "Nothing was created here.")
		return
	}
	// The credentials are given once: a browser that leaves does not end the call.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), convertTimeout)
	defer cancel()
	config, _, err := s.client.Apps.CompleteAppManifest(ctx, q.Get("code"))
	if err != nil || config.GetID() == 0 || config.GetPEM() == "" || config.GetWebhookSecret() == "" {
		s.Logger.WarnContext(r.Context(), "convert manifest", slog.String("err", reason(err)))
		again(w, http.StatusBadGateway, "GitHub did not give the App's credentials: "+reason(err),
			"If the App is in GitHub's settings now, delete it there: its credentials are given once.")
		return
	}
	s.mu.Lock()
	s.created = &App{ID: config.GetID(), Slug: config.GetSlug(), PageURL: config.GetHTMLURL(), ClientID: config.GetClientID(),
		PrivateKey: preview.Secret(config.GetPEM()), WebhookSecret: preview.Secret(config.GetWebhookSecret()), ClientSecret: preview.Secret(config.GetClientSecret())}
	s.mu.Unlock()
	s.keep(w, r)
}

// keep stores what GitHub gave; as long as that fails it stays here, and the page tries again.
func (s *Setup) keep(w http.ResponseWriter, r *http.Request) {
	app := s.pending()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTimeout)
	defer cancel()
	switch err := s.Keeper.Keep(ctx, *app); {
	case errors.Is(err, preview.ErrConflict):
		dashboard.WriteNotice(w, http.StatusConflict, dashboard.Notice{Title: "There is an App already",
			Text: "Another one was set up meanwhile and is in use. Delete " + app.Slug + " in GitHub's settings."})
		return
	case err != nil:
		s.Logger.ErrorContext(ctx, "keep the GitHub App", slog.Any("err", err))
		dashboard.WriteNotice(w, http.StatusServiceUnavailable, dashboard.Notice{Title: "The App is created, and could not be stored", Refresh: 5,
			Text: "The database does not take it. This page tries again; do not end the server, which alone knows the credentials."})
		return
	}
	dashboard.WriteNotice(w, http.StatusOK, dashboard.Notice{Title: "The App is there",
		Text:   app.Slug + " is created and its credentials are kept. The server goes on with it now; these pages are closed.",
		Action: &dashboard.Action{Text: "Install it", URL: strings.TrimRight(app.PageURL, "/") + "/installations/new"}})
	s.finish(*app)
}

func (s *Setup) finish(app App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed, s.session, s.token = true, "", ""
		s.done <- app
	}
}

// open spends the token for a session, or prolongs the browser's, and gives it a state.
func (s *Setup) open(r *http.Request, token string) (state, session string, ok bool) {
	known := s.isSession(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known && !same(s.token, token) {
		return "", "", false
	}
	if !known {
		s.session, s.states = rand.Text(), nil
	}
	s.token, s.until = "", time.Now().Add(sessionLife)
	state = rand.Text()
	s.states = append(s.states[max(0, len(s.states)-9):], state)
	return state, s.session, true
}

// spend takes a state out; it was not there: false.
func (s *Setup) spend(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.states, func(one string) bool { return same(one, state) })
	if at < 0 {
		return false
	}
	s.states = slices.Delete(s.states, at, at+1)
	return true
}

func (s *Setup) isToken(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return same(s.token, token)
}

func (s *Setup) isSession(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && same(s.session, cookie.Value) && time.Now().Before(s.until)
}

func (s *Setup) pending() *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.created
}

// same compares secrets; an empty one is nobody's.
func same(own, given string) bool {
	return own != "" && subtle.ConstantTimeCompare([]byte(own), []byte(given)) == 1
}

func refuse(w http.ResponseWriter) {
	dashboard.WriteNotice(w, http.StatusForbidden, dashboard.Notice{Title: "This link is spent or not complete",
		Text: "The link that the server printed at its start works once, in one browser.", Hint: "End the server and start it again for a new one."})
}

func again(w http.ResponseWriter, status int, text, hint string) {
	dashboard.WriteNotice(w, status, dashboard.Notice{Title: "That did not work", Text: text, Hint: hint, Action: &dashboard.Action{Text: "Begin again", URL: pagePath}})
}

// reason is what is said of a failed call: not the address, which holds the code.
func reason(err error) string {
	var answer *gh.ErrorResponse
	switch {
	case err == nil:
		return "the answer is not complete"
	case errors.As(err, &answer):
		return "it answered " + answer.Response.Status
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	}
	return "it could not be reached"
}

// local reports whether only this machine reaches the address.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && (ip.IsLoopback() || ip.IsUnspecified()))
}
