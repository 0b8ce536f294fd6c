package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/server"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// The people and places of the story.
const (
	owner     = "acme"
	repo      = "acme/shop"
	developer = "octo-dev"   // may do everything with a preview
	guest     = "octo-guest" // may read
	parent    = "shop"       // the database that previews branch from
	storeName = "flaresmith" // the server's own database
	appID     = 1
)

// world is everything that runs during the demo.
type world struct {
	dir      string
	packages string // the npm cache, kept for the next time
	postgres *embedded.Postgres
	admin    *pgxpool.Pool // superuser in the server's default database, to look and to verify
	github   *github.Server
	server   *server.Server
	place    place
	client   *http.Client
	ports    int // that this process listens on while there is no preview

	stopServer  context.CancelFunc
	serverEnded chan error
}

// start brings the world up in a temporary folder. On an error everything is taken down again.
func start(ctx context.Context, o Options, show *show) (_ *world, err error) {
	w := &world{serverEnded: make(chan error, 1), client: &http.Client{Timeout: 15 * time.Second}}
	if w.dir, err = os.MkdirTemp("", "flaresmith-demo-"); err != nil {
		return nil, fmt.Errorf("demo folder: %w", err)
	}
	defer func() {
		if err != nil {
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			err = errors.Join(err, w.stop(sctx))
		}
	}()
	// Postgres and the Workers may run as other users: they have to pass through.
	if err := os.Chmod(w.dir, 0o711); err != nil { //nolint:gosec // search permission only, on purpose
		return nil, fmt.Errorf("demo folder: %w", err)
	}
	cache, err := embedded.DefaultCacheDir()
	if err != nil {
		return nil, err
	}
	w.packages = filepath.Join(cache, "npm")
	client, err := npm.NewClient(npm.Config{CacheDir: w.packages})
	if err != nil {
		return nil, err
	}
	tools := embedded.Tools{Client: client, CacheDir: filepath.Join(cache, "tools"), Progress: show.progress}
	if err := w.startPostgres(ctx, tools); err != nil {
		return nil, err
	}
	if err := w.startPlace(ctx, tools, o); err != nil {
		return nil, err
	}
	if err := w.startGitHub(); err != nil {
		return nil, err
	}
	if err := w.startServer(ctx, tools, o); err != nil {
		return nil, err
	}
	if w.ports, err = listeningPorts(); err != nil {
		return nil, fmt.Errorf("count ports: %w", err)
	}
	return w, w.install()
}

func (w *world) startPostgres(ctx context.Context, tools embedded.Tools) error {
	binaries, err := tools.Postgres(ctx)
	if err != nil {
		return err
	}
	w.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{BinDir: binaries, DataDir: filepath.Join(w.dir, "postgres")})
	if err != nil {
		return err
	}
	if w.admin, err = pgxpool.New(ctx, w.postgres.URL().Reveal()); err != nil {
		return errors.New("connect to the embedded Postgres") // the cause may quote the URL
	}
	return w.createDatabase(ctx, storeName)
}

func (w *world) createDatabase(ctx context.Context, name string) error {
	if _, err := w.admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// startPlace makes where previews are made, with the database that they branch from.
func (w *world) startPlace(ctx context.Context, tools embedded.Tools, o Options) error {
	if o.Clouds {
		made, err := startClouds(ctx, w.dir, o.CloudflareDriver, tools)
		w.place = made
		return err
	}
	workerd, err := tools.Workerd(ctx)
	if err != nil {
		return err
	}
	w.place = machine{world: w, workerd: workerd}
	if err := w.createDatabase(ctx, parent); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, w.databaseURL(parent).Reveal())
	if err != nil {
		return fmt.Errorf("connect to database %s: %w", parent, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, ParentSQL()); err != nil {
		return fmt.Errorf("fill database %s: %w", parent, err)
	}
	return nil
}

// databaseURL is the superuser's URL of another database on the embedded server.
func (w *world) databaseURL(name string) preview.Secret {
	u, err := url.Parse(w.postgres.URL().Reveal())
	if err != nil {
		return ""
	}
	u.Path = "/" + name
	return preview.Secret(u.String())
}

func (w *world) startGitHub() (err error) {
	w.github, err = github.New(github.Config{Dir: filepath.Join(w.dir, "github"), AppID: appID, AutoOpenPR: true})
	if err != nil {
		return err
	}
	return w.github.Start("127.0.0.1:0")
}

func (w *world) startServer(ctx context.Context, tools embedded.Tools, o Options) error {
	secret := rand.Text()
	variables := map[string]string{
		"DATABASE_URL":              w.databaseURL(storeName).Reveal(),
		"GITHUB_APP_ID":             fmt.Sprint(appID),
		"GITHUB_APP_PRIVATE_KEY":    string(w.github.AppKeyPEM()),
		"GITHUB_WEBHOOK_SECRET":     secret,
		"GITHUB_API_URL":            w.github.APIURL() + "/",
		"GITHUB_CLIENT_ID":          w.github.ClientID(),
		"GITHUB_CLIENT_SECRET":      w.github.ClientSecret(),
		"FLARESMITH_ALLOWED_ORGS":   owner,
		"FLARESMITH_LISTEN":         "127.0.0.1:0",
		"FLARESMITH_METRICS_LISTEN": "127.0.0.1:0",
		"FLARESMITH_DATA_DIR":       filepath.Join(w.dir, "data"),
	}
	maps.Copy(variables, w.place.variables())
	c, err := config.Load(variables)
	if err != nil {
		return err
	}
	log := io.Discard
	if o.Verbose {
		log = o.Err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	if w.server, err = server.New(ctx, c, server.Options{Logger: logger, PackageCache: w.packages, Progress: tools.Progress, StandIns: w.place.standIns()}); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stopServer = cancel
	go func() { w.serverEnded <- w.server.Run(run) }()
	w.github.SetCallback(w.server.URL() + "/auth/github/callback")
	w.github.SetWebhook(github.Webhook{URL: w.server.URL() + "/api/github/hook", Secret: secret})
	return nil
}

// install makes the sample repository and its people, and installs the App on the organisation.
func (w *world) install() error {
	sample, err := Sample()
	if err != nil {
		return err
	}
	if _, err := w.github.CreateRepo(owner, "shop", sample, github.RepoOptions{}); err != nil {
		return err
	}
	for login, role := range map[string]string{developer: "maintain", guest: "read"} {
		w.github.AddUser(login)
		if err := w.github.SetRole(repo, login, role); err != nil {
			return err
		}
	}
	_, err = w.github.Install(owner)
	return err
}

// stop takes everything down, last things first, and removes the folder.
func (w *world) stop(ctx context.Context) error {
	var errs []error
	if w.stopServer != nil {
		w.stopServer()
		select {
		case err := <-w.serverEnded:
			errs = append(errs, err)
		case <-ctx.Done():
			errs = append(errs, errors.New("the server did not stop in time"))
		}
	}
	if w.place != nil {
		errs = append(errs, w.place.stop(ctx))
	}
	if w.github != nil {
		errs = append(errs, w.github.Close())
	}
	if w.admin != nil {
		w.admin.Close()
	}
	if w.postgres != nil {
		errs = append(errs, w.postgres.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
