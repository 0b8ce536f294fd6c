package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/secretbox"
	"github.com/flaresmith/flaresmith/app/setup"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// appPermissions is what the App asks for; the README says what each is for.
func appPermissions(onboarding bool) map[string]string {
	p := map[string]string{
		"checks": "write", "contents": "read", "deployments": "write", "issues": "read",
		"merge_queues": "read", "metadata": "read", "pull_requests": "write",
	}
	if onboarding {
		p["contents"] = "write"
	}
	return p
}

// appEvents is what the App subscribes to. GitHub sends those about its installations in any case, and
// refuses a manifest that names them.
func appEvents() []string {
	return []string{"check_run", "check_suite", "create", "delete", "issue_comment", "merge_group", "pull_request", "pull_request_review",
		"pull_request_review_comment", "push", "repository"}
}

// WithApp completes a configuration that names no GitHub App: by the one that was set up before, or else by the
// one that somebody creates on the setup page, whose link is written to out. Until then it serves only that page.
func WithApp(ctx context.Context, c config.Config, logger *slog.Logger, out io.Writer) (config.Config, error) {
	if c.HasApp() {
		return c, nil
	}
	logger = slog.New(telemetry.NewHandler(logger.Handler(), telemetry.NewRedactor(c.Secrets()...)))
	if err := Migrate(ctx, c); err != nil {
		return c, err
	}
	s, err := openStore(ctx, c, store.Options{MaxConns: 2, Logger: logger})
	if err != nil {
		return c, err
	}
	defer s.Close()
	keeper, err := newKeeper(c, s)
	if err != nil {
		return c, err
	}
	app, err := keeper.App(ctx)
	if errors.Is(err, preview.ErrNotFound) {
		app, err = setUp(ctx, c, keeper, logger, out)
	}
	if err != nil {
		return c, err
	}
	return withApp(c, app), nil
}

func withApp(c config.Config, app setup.App) config.Config {
	c.GitHubAppID, c.GitHubPrivateKey, c.GitHubWebhookSecrets = app.ID, app.PrivateKey, []preview.Secret{app.WebhookSecret}
	if c.GitHubClientID == "" {
		c.GitHubClientID, c.GitHubClientSecret = app.ClientID, app.ClientSecret
	}
	return c
}

// RotateMasterKey seals what the database keeps with the first of the master keys, and reports whether there was something to do.
func RotateMasterKey(ctx context.Context, c config.Config) (changed bool, err error) {
	if c.MasterKeys == "" {
		return false, errors.New("MASTER_ENC_KEY: is missing")
	}
	s, err := openStore(ctx, c, store.Options{MaxConns: 2})
	if err != nil {
		return false, err
	}
	defer s.Close()
	keeper, err := newKeeper(c, s)
	if err != nil {
		return false, err
	}
	return keeper.Rotate(ctx)
}

func newKeeper(c config.Config, s *store.Store) (*setup.Keeper, error) {
	box, err := secretbox.New(c.MasterKeys.Reveal())
	if err != nil {
		return nil, err
	}
	return &setup.Keeper{Store: s, Box: box}, nil
}

// setUp serves the setup page until there is an App.
func setUp(ctx context.Context, c config.Config, keeper *setup.Keeper, logger *slog.Logger, out io.Writer) (setup.App, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return setup.App{}, atAddress("FLARESMITH_LISTEN", err)
	}
	pages, err := setup.New(setup.Config{
		PublicURL: strings.TrimRight(publicURL(c, listener.Addr().String()), "/"), GitHubURL: gitHubURL(c.GitHubAPIURL), APIURL: c.GitHubAPIURL,
		HookPath: hookPath, SignInPath: dashboard.CallbackPath, Permissions: appPermissions(c.Onboarding), Events: appEvents(),
		AllowedOwners: accounts(c), Keeper: keeper, Transport: http.DefaultTransport, Logger: logger,
	})
	if err != nil {
		_ = listener.Close()
		return setup.App{}, err
	}
	api := &http.Server{Handler: pages, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	ctx, unserved := context.WithCancel(ctx)
	go func() {
		defer unserved() // nobody can set it up any more
		served <- ignoreClosed(api.Serve(listener))
	}()
	fmt.Fprintf(out, "\nThere is no GitHub App yet. Create it here (the link works once):\n\n  %s\n\n", pages.Link())
	app, err := pages.Wait(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return app, errors.Join(err, api.Shutdown(stop), <-served)
}
