package github

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v4"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	defaultAPIURL = "https://api.github.com/"
	// callTimeout bounds one request and its answer, a token's included.
	callTimeout = 30 * time.Second
	// listTimeout bounds a list of many pages.
	listTimeout = 2 * time.Minute
)

// Config is an App's identity, and where GitHub is.
type Config struct {
	AppID      int64
	PrivateKey preview.Secret    // PEM
	APIURL     string            // default https://api.github.com/; Enterprise: https://<host>/api/v3/
	Transport  http.RoundTripper // default http.DefaultTransport
	// PerInstallation is what the calls of one installation go over; default: Transport for all.
	PerInstallation func(installation int64) http.RoundTripper
	Logger          *slog.Logger // default: discard
	UserAgent       string       // default "flaresmith"
}

// App calls GitHub. It is safe for concurrent use.
type App struct {
	id              int64
	key             *rsa.PrivateKey
	api             *url.URL
	transport       http.RoundTripper
	perInstallation func(installation int64) http.RoundTripper
	log             *slog.Logger
	userAgent       string

	mu      sync.Mutex
	clients map[clientKey]*gh.Client
	bot     string // login of the App's own user, once known
}

// New checks the configuration and calls nobody.
func New(c Config) (*App, error) {
	if c.AppID <= 0 {
		return nil, errors.New("github app: the App's id is missing")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(c.PrivateKey.Reveal()))
	if err != nil { // the error may quote the key
		return nil, errors.New("github app: the private key is not an RSA key in PEM form")
	}
	address := c.APIURL
	if address == "" {
		address = defaultAPIURL
	}
	api, err := url.Parse(strings.TrimRight(address, "/") + "/")
	if err != nil || api.Host == "" || (api.Scheme != "https" && api.Scheme != "http") || api.User != nil {
		return nil, errors.New("github app: the API's URL must be an absolute http or https address without a user")
	}
	app := &App{id: c.AppID, key: key, api: api, transport: c.Transport, log: c.Logger, userAgent: c.UserAgent,
		clients: map[clientKey]*gh.Client{}}
	if app.transport == nil {
		app.transport = http.DefaultTransport
	}
	if app.perInstallation = c.PerInstallation; app.perInstallation == nil {
		app.perInstallation = func(int64) http.RoundTripper { return app.transport }
	}
	if app.log == nil {
		app.log = slog.New(slog.DiscardHandler)
	}
	if app.userAgent == "" {
		app.userAgent = "flaresmith"
	}
	return app, nil
}

// botLogin is the login under which the App comments: "<slug>[bot]".
func (a *App) botLogin(ctx context.Context) (string, error) {
	a.mu.Lock()
	login := a.bot
	a.mu.Unlock()
	if login != "" {
		return login, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	self, _, err := a.appClient().Apps.Get(ctx, "")
	if err != nil {
		return "", classify(err, "the App itself")
	}
	if self.GetSlug() == "" {
		return "", fmt.Errorf("the App itself: no slug in the answer")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bot = self.GetSlug() + "[bot]"
	return a.bot, nil
}
