package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// diagnosisTimeout bounds what is asked of one system.
const diagnosisTimeout = 30 * time.Second

// Diagnose reads the configuration's accounts with requests that change nothing, and says of each what works and what to do. It
// calls report as soon as it knows something, and returns how many findings are amiss.
func Diagnose(ctx context.Context, c config.Config, o Options, report func(preview.Finding)) (amiss int) {
	redactor := telemetry.NewRedactor(c.Secrets()...)
	tell := func(findings ...preview.Finding) {
		for _, f := range findings {
			f.Detail = redactor.Text(oneLine(f.Detail))
			if !f.OK {
				amiss++
			}
			report(f)
		}
	}
	for _, warning := range c.Warnings {
		tell(preview.Amiss("Configuration", warning, "see the README's table of variables"))
	}
	c, findings := diagnoseDatabase(ctx, c)
	tell(findings...)
	if c.HasApp() {
		tell(diagnoseGitHub(ctx, c)...)
	}
	d := &diagnosis{providers: newProviders(&Server{config: c, logger: slog.New(slog.DiscardHandler), metrics: newMetrics()}, o), seen: map[any]bool{}, parents: map[config.Neon][]string{}}
	rows := c.Tenants
	if c.UsesVariables() {
		rows = append([]config.Tenant{{Clouds: c.Clouds, Parents: c.ParentMap()}}, rows...)
	}
	for _, row := range rows {
		d.parents[row.Neon] = slices.AppendSeq(d.parents[row.Neon], maps.Values(row.Parents))
	}
	for _, row := range rows {
		tell(d.row(ctx, row.Clouds, row.Parents)...)
	}
	return amiss
}

// diagnoseDatabase looks at the server's own database, and completes the configuration by the App that is kept there.
func diagnoseDatabase(ctx context.Context, c config.Config) (config.Config, []preview.Finding) {
	const what = "Own database"
	ctx, cancel := context.WithTimeout(ctx, diagnosisTimeout)
	defer cancel()
	s, err := store.Open(ctx, c.DatabaseURL, store.Options{MaxConns: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return c, []preview.Finding{preview.Amiss(what, migrator.Unreachable(err).Error(), "check DATABASE_URL, and that the server there is up")}
	}
	defer s.Close()
	findings := []preview.Finding{preview.Fine(what, "answers")}
	if c.HasApp() {
		return c, findings
	}
	keeper, err := newKeeper(c, s)
	if err != nil {
		return c, append(findings, preview.Amiss("GitHub App", err.Error(), "see the README about MASTER_ENC_KEY"))
	}
	app, err := keeper.App(ctx)
	switch {
	case errors.Is(err, preview.ErrNotFound):
		return c, append(findings, preview.Amiss("GitHub App", "is not created yet", "start flaresmith serve, and open the link that it prints"))
	case err != nil:
		return c, append(findings, preview.Amiss("GitHub App", err.Error(), "see the README about MASTER_ENC_KEY"))
	}
	return withApp(c, app), findings
}

func diagnoseGitHub(ctx context.Context, c config.Config) []preview.Finding {
	app, err := github.New(github.Config{AppID: c.GitHubAppID, PrivateKey: c.GitHubPrivateKey, APIURL: c.GitHubAPIURL, Transport: http.DefaultTransport})
	if err != nil {
		return []preview.Finding{preview.Amiss("GitHub App", err.Error(), "check GITHUB_APP_PRIVATE_KEY and GITHUB_API_URL")}
	}
	optional := map[string]string{}
	if !c.Onboarding {
		optional["contents"] = "specs are checked, and not applied"
	}
	return app.Diagnose(ctx, github.Wanted{Permissions: appPermissions(c.Onboarding), Optional: optional, Events: appEvents(),
		HookURL: strings.TrimRight(publicURL(c, c.Listen), "/") + hookPath, Accounts: accounts(c)})
}

// accounts are those that the operator's table names.
func accounts(c config.Config) []string {
	var list []string
	for _, row := range c.Table() {
		if !slices.Contains(list, row.Account) {
			list = append(list, row.Account)
		}
	}
	return list
}

// diagnosis looks at each account once, however many rows name it.
type diagnosis struct {
	providers *providers
	seen      map[any]bool
	parents   map[config.Neon][]string // of all rows that name the account
}

func (d *diagnosis) first(key any) bool {
	was := d.seen[key]
	d.seen[key] = true
	return !was
}

func (d *diagnosis) row(ctx context.Context, c config.Clouds, parents map[string]string) (findings []preview.Finding) {
	ctx, cancel := context.WithTimeout(ctx, 3*diagnosisTimeout)
	defer cancel()
	made := emptySet()
	if c.Neon.Used() {
		if err := d.providers.addClouds(&made, c); err != nil {
			return []preview.Finding{preview.Amiss("Clouds", err.Error(), "check the configuration")}
		}
		if d.first(c.Neon) {
			names := slices.Sorted(slices.Values(d.parents[c.Neon]))
			findings = append(findings, d.providers.neon[c.Neon].Diagnose(ctx, slices.Compact(names))...)
		}
		if d.first(c.Cloudflare) {
			findings = append(findings, d.providers.cloudflare[c.Cloudflare].Diagnose(ctx)...)
		}
	} else {
		findings = append(findings, d.here(ctx, parents)...)
	}
	if c.Postman.Used() && d.first(c.Postman) {
		if err := d.providers.addPostman(&made, c.Postman); err != nil {
			return append(findings, preview.Amiss("Postman", err.Error(), "check the configuration"))
		}
		findings = append(findings, d.providers.postman[c.Postman].Diagnose(ctx)...)
	}
	return findings
}

// here looks at what makes previews on this machine.
func (d *diagnosis) here(ctx context.Context, parents map[string]string) []preview.Finding {
	c := d.providers.server.config
	findings := postgres.Diagnose(ctx, c.BranchDatabaseURL, parents)
	if !d.first("workerd") {
		return findings
	}
	const what = "Workers runtime"
	cache := d.providers.options.PackageCache
	if cache == "" {
		cache = filepath.Join(c.DataDir, "npm")
	}
	packages, err := npm.NewClient(npm.Config{CacheDir: cache})
	if err != nil {
		return append(findings, preview.Amiss(what, err.Error(), "check FLARESMITH_DATA_DIR, and npm's settings of this user"))
	}
	tools := embedded.Tools{Client: packages, CacheDir: filepath.Join(c.DataDir, "tools"), WorkerdPath: c.WorkerdPath, Progress: d.providers.options.Progress}
	binary, err := tools.Workerd(ctx)
	if err != nil {
		return append(findings, preview.Amiss(what, err.Error(), "check FLARESMITH_WORKERD, or that the npm registry is reached"))
	}
	return append(findings, preview.Fine(what, binary))
}

// WriteFinding prints a finding for a person.
func WriteFinding(w io.Writer, f preview.Finding) error {
	verdict, more := "ok  ", ""
	if !f.OK {
		verdict, more = "FAIL", "\n      → "+f.Remedy
	}
	_, err := fmt.Fprintf(w, "%s  %s: %s%s\n", verdict, f.What, f.Detail, more)
	return err
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
