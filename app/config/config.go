// Package config is the operator's configuration: environment variables in, one checked struct
// out. It is the only place of the server that reads the environment, and it reports every
// problem at once, by key. What a repository may choose for itself is another package, repoconfig.
package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/secretbox"
)

const (
	minLinkKey   = 32
	mostPreviews = 15      // at a time in one repository
	mostGrowthMB = 1 << 20 // a terabyte
	// How long migrations may take.
	leastMigration, mostMigration = time.Second, time.Hour
)

// Config is everything the server is told by its operator. Defaults stand in the tags.
type Config struct {
	DatabaseURL preview.Secret `env:"DATABASE_URL"`

	GitHubAppID          int64            `env:"GITHUB_APP_ID"`
	GitHubPrivateKey     preview.Secret   `env:"GITHUB_APP_PRIVATE_KEY"`
	GitHubPrivateKeyFile string           `env:"GITHUB_APP_PRIVATE_KEY_FILE"`
	GitHubWebhookSecrets []preview.Secret `env:"GITHUB_WEBHOOK_SECRET"` // two, comma separated, while rotating
	GitHubAPIURL         string           `env:"GITHUB_API_URL" envDefault:"https://api.github.com/"`
	// The App's client credentials let people sign in to the status pages. Neither: only links open them.
	GitHubClientID     string         `env:"GITHUB_CLIENT_ID"`
	GitHubClientSecret preview.Secret `env:"GITHUB_CLIENT_SECRET"`

	// MasterKeys seal secrets that the server keeps in its database: 32 random bytes in base64, two comma separated
	// while rotating, the current one first. With them alone, the App is created on the setup page.
	MasterKeys preview.Secret `env:"MASTER_ENC_KEY"`

	// AllowedOrgs are the accounts whose installations get the parents below. Empty: nobody.
	AllowedOrgs []string `env:"FLARESMITH_ALLOWED_ORGS"`
	// Parents are the databases that previews may branch from: name=database, the first is the default.
	Parents     []string `env:"FLARESMITH_PARENTS"`
	MaxPreviews int      `env:"FLARESMITH_MAX_PREVIEWS" envDefault:"15"`
	// Bindings are what of the Cloudflare account bindings.allow of a repository may list. None: everything, where one organisation
	// alone has the account.
	Bindings []string `env:"FLARESMITH_BINDINGS"`
	// Clouds are where the environments of AllowedOrgs are made.
	Clouds Clouds
	// TenantsFile holds the operator's table for several organisations; Tenants are its rows.
	TenantsFile string   `env:"FLARESMITH_TENANTS_FILE"`
	Tenants     []Tenant `env:"-"`
	// Warnings are what Load found that keeps nothing from starting, by variable.
	Warnings []string `env:"-"`
	// Onboarding lets repositories without a configuration get one pull request that proposes it.
	Onboarding bool `env:"FLARESMITH_ONBOARDING" envDefault:"true"`

	Listen        string `env:"FLARESMITH_LISTEN" envDefault:"127.0.0.1:8080"`
	MetricsListen string `env:"FLARESMITH_METRICS_LISTEN" envDefault:"127.0.0.1:9090"`
	// PreviewURL is where previews answer, as browsers see it: a preview's label is put before the host.
	PreviewURL string `env:"FLARESMITH_PREVIEW_URL" envDefault:"http://localhost:8080"`
	// URL is where people and GitHub reach this server. Empty: http://<address of Listen>.
	URL string `env:"FLARESMITH_URL"`
	// LinkKey signs links to the status pages, at least 32 characters. Empty: a random one each
	// start, so that links end with the server.
	LinkKey preview.Secret `env:"FLARESMITH_LINK_KEY"`
	// DataDir holds Worker processes, collection files and caches.
	DataDir string `env:"FLARESMITH_DATA_DIR" envDefault:"./data"`
	// BranchDatabaseURL is an administrator's URL of the Postgres server that holds the branches.
	// Empty: the server of DATABASE_URL.
	BranchDatabaseURL preview.Secret `env:"FLARESMITH_BRANCH_DATABASE_URL"`
	// WorkerdPath is the Workers runtime. Empty: fetched once from the npm registry.
	WorkerdPath string `env:"FLARESMITH_WORKERD"`

	MigrationTimeout time.Duration `env:"FLARESMITH_MIGRATION_TIMEOUT" envDefault:"60s"`
	// DatabaseGrowthMB is what migrations may add to a preview's database, in MB, unless twice its parent's size is more.
	// With what its Worker writes it may have twice that.
	DatabaseGrowthMB int           `env:"FLARESMITH_DATABASE_GROWTH_MB" envDefault:"1024"`
	OutageDeadline   time.Duration `env:"FLARESMITH_OUTAGE_DEADLINE" envDefault:"15m"`
	LogLevel         slog.Level    `env:"FLARESMITH_LOG_LEVEL" envDefault:"info"`

	// OTLPEndpoint is the base URL of an OpenTelemetry collector. Empty: nothing is traced.
	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// OTLPHeaders are sent to it: name=value, comma separated, values as in URLs.
	OTLPHeaders preview.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS"`
	ServiceName string         `env:"OTEL_SERVICE_NAME" envDefault:"flaresmith"`
	// TraceShare is the share of traces that is sent though they neither failed nor took long.
	TraceShare float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.05"`
}

// FromEnvironment reads the process's environment; see Load.
func FromEnvironment() (Config, error) { return Load(env.ToMap(os.Environ())) }

// Load reads the variables, fills defaults, reads the key file and checks everything. The error
// joins one error a problem, each naming its key and never a secret's value.
func Load(variables map[string]string) (Config, error) {
	var c Config
	var problems []error
	unreadable := map[string]bool{}
	if err := env.ParseWithOptions(&c, env.Options{Environment: variables}); err != nil {
		problems = withoutValues(err, variables, unreadable)
	}
	c.GitHubWebhookSecrets = trimmed(c.GitHubWebhookSecrets)
	c.AllowedOrgs = trimmed(c.AllowedOrgs)
	c.Parents = trimmed(c.Parents)
	c.Bindings = trimmed(c.Bindings)
	problem := func(key, format string, args ...any) {
		if !unreadable[key] { // one problem a key is enough
			problems = append(problems, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
		}
	}
	if len(c.Bindings) == 0 && variables["FLARESMITH_BINDINGS"] != "" { // nothing is allowed, or everything: that must be said
		problem("FLARESMITH_BINDINGS", "has no entry: kind:target, comma separated, or leave it out")
	}
	if c.GitHubPrivateKeyFile != "" {
		key, err := os.ReadFile(c.GitHubPrivateKeyFile)
		if err != nil {
			problem("GITHUB_APP_PRIVATE_KEY_FILE", "%v", err)
			unreadable["GITHUB_APP_PRIVATE_KEY_FILE"] = true
		}
		c.GitHubPrivateKey = preview.Secret(key)
	}
	c.check(problem)
	c.readTenants(problem)
	if dir, err := filepath.Abs(c.DataDir); err != nil {
		problem("FLARESMITH_DATA_DIR", "%v", err)
	} else {
		c.DataDir = dir
	}
	if c.BranchDatabaseURL == "" {
		c.BranchDatabaseURL = c.DatabaseURL
	}
	if len(problems) > 0 { // what is missing may be there under another name
		for _, text := range misspelt(variables) {
			problems = append(problems, errors.New(text))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	c.Warnings = c.warnings(variables)
	return c, nil
}

func (c *Config) check(problem func(key, format string, args ...any)) {
	if c.DatabaseURL == "" {
		problem("DATABASE_URL", "is missing: the URL of the server's own Postgres database")
	}
	if wrong := wrongDatabaseURL(c.DatabaseURL.Reveal()); c.DatabaseURL != "" && wrong != "" {
		problem("DATABASE_URL", "%s", wrong)
	}
	if wrong := wrongDatabaseURL(c.BranchDatabaseURL.Reveal()); c.BranchDatabaseURL != "" && wrong != "" {
		problem("FLARESMITH_BRANCH_DATABASE_URL", "%s", wrong)
	}
	if (c.GitHubClientID == "") != (c.GitHubClientSecret == "") {
		problem("GITHUB_CLIENT_ID", "goes with GITHUB_CLIENT_SECRET: set both to let people sign in, or neither")
	}
	if c.MasterKeys != "" {
		if _, err := secretbox.New(c.MasterKeys.Reveal()); err != nil {
			problem("MASTER_ENC_KEY", "%v: e.g. of openssl rand -base64 32", err)
		}
	}
	if c.MasterKeys == "" || c.HasApp() {
		c.checkApp(problem)
	}
	for _, parent := range c.Parents {
		if name, database, ok := strings.Cut(parent, "="); !ok || name == "" || database == "" {
			problem("FLARESMITH_PARENTS", "%q is not name=database", parent)
		}
	}
	if len(c.AllowedOrgs) > 0 && len(c.ParentMap()) == 0 {
		problem("FLARESMITH_PARENTS", "is missing: the databases that previews branch from, e.g. main=shop")
	}
	for name, parent := range c.ParentMap() {
		if parent != "" && parent == c.Clouds.Neon.Branches.Prod {
			problem("FLARESMITH_PARENTS", "%s is NEON_BRANCH_PROD: production is never branched from", name)
		}
	}
	checkBindings(c.Bindings, func(format string, args ...any) { problem("FLARESMITH_BINDINGS", format, args...) })
	c.Clouds.check(func(key string) string { return key }, problem)
	served := func(account string) bool { return Tenant{Account: account}.names(c.Clouds.Neon.Repository) }
	if len(c.AllowedOrgs) > 0 && !slices.ContainsFunc(c.AllowedOrgs, served) {
		problem("NEON_REPOSITORY", "%.120q is of none of FLARESMITH_ALLOWED_ORGS: nobody would have the long-lived branches", c.Clouds.Neon.Repository)
	}
	if c.MaxPreviews < 1 || c.MaxPreviews > mostPreviews {
		problem("FLARESMITH_MAX_PREVIEWS", "%d is not between 1 and %d", c.MaxPreviews, mostPreviews)
	}
	if c.MigrationTimeout < leastMigration || c.MigrationTimeout > mostMigration {
		problem("FLARESMITH_MIGRATION_TIMEOUT", "%s is not between %s and %s", c.MigrationTimeout, leastMigration, mostMigration)
	}
	if c.DatabaseGrowthMB < 1 || c.DatabaseGrowthMB > mostGrowthMB {
		problem("FLARESMITH_DATABASE_GROWTH_MB", "%d is not between 1 and %d", c.DatabaseGrowthMB, mostGrowthMB)
	}
	for _, listen := range []struct{ key, address string }{{"FLARESMITH_LISTEN", c.Listen}, {"FLARESMITH_METRICS_LISTEN", c.MetricsListen}} {
		if wrong := wrongAddress(listen.address); wrong != "" {
			problem(listen.key, "%q %s", listen.address, wrong)
		}
	}
	checkURL := func(key, value string) {
		if u, err := url.Parse(value); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			problem(key, "%q is not an http or https URL", value)
		}
	}
	checkURL("GITHUB_API_URL", c.GitHubAPIURL)
	checkURL("FLARESMITH_PREVIEW_URL", c.PreviewURL)
	if c.URL != "" {
		checkURL("FLARESMITH_URL", c.URL)
	}
	if c.OTLPEndpoint != "" {
		checkURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint)
	}
	if _, err := c.Headers(); err != nil {
		problem("OTEL_EXPORTER_OTLP_HEADERS", "%v", err)
	}
	if !(c.TraceShare >= 0 && c.TraceShare <= 1) { // also not a number
		problem("OTEL_TRACES_SAMPLER_ARG", "%v is not between 0 and 1", c.TraceShare)
	}
	if n := len(c.LinkKey); n > 0 && n < minLinkKey {
		problem("FLARESMITH_LINK_KEY", "has %d characters; it needs %d or more, e.g. of openssl rand -hex 32", n, minLinkKey)
	}
}

// HasApp reports whether the configuration says which GitHub App the server is, if only in part.
func (c Config) HasApp() bool {
	return c.GitHubAppID != 0 || c.GitHubPrivateKey != "" || c.GitHubPrivateKeyFile != "" || len(c.GitHubWebhookSecrets) > 0
}

func (c *Config) checkApp(problem func(key, format string, args ...any)) {
	if c.GitHubAppID <= 0 {
		problem("GITHUB_APP_ID", "is missing: the number on the App's settings page; or set MASTER_ENC_KEY alone, and create the App on the page that serve prints")
	}
	c.checkPrivateKey(problem)
	switch {
	case len(c.GitHubWebhookSecrets) == 0:
		problem("GITHUB_WEBHOOK_SECRET", "is missing: without it anybody could send deliveries")
	case len(c.GitHubWebhookSecrets) > 2:
		problem("GITHUB_WEBHOOK_SECRET", "has %d secrets; two are enough to rotate", len(c.GitHubWebhookSecrets))
	}
}

func (c *Config) checkPrivateKey(problem func(key, format string, args ...any)) {
	variable := "GITHUB_APP_PRIVATE_KEY"
	if c.GitHubPrivateKeyFile != "" {
		variable += "_FILE"
	}
	const remedy = "generate one under Private keys on the App's settings page"
	switch block, _ := pem.Decode([]byte(c.GitHubPrivateKey.Reveal())); {
	case c.GitHubPrivateKey == "" && c.GitHubPrivateKeyFile == "":
		problem(variable, "is missing: the App's private key in PEM, or GITHUB_APP_PRIVATE_KEY_FILE")
	case block == nil:
		problem(variable, "is not a whole key in PEM form, lines from -----BEGIN to -----END: %s", remedy)
	case !isRSA(block.Bytes):
		problem(variable, "is in PEM form, but no private key of RSA: %s", remedy)
	}
}

// isRSA reports whether der is a private key of the kind that GitHub makes.
func isRSA(der []byte) bool {
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	_, ok := key.(*rsa.PrivateKey)
	return err == nil && ok
}

// wrongAddress says what is wrong with an address to listen at; empty: nothing.
func wrongAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "is not host:port: 127.0.0.1:8080, or :8080 for every address of this machine"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "has no port from 0 to 65535 at its end"
	}
	return ""
}

// wrongDatabaseURL says what is wrong with a URL of Postgres, without a part of it that may be secret; empty: nothing.
func wrongDatabaseURL(text string) string {
	rest, ok := strings.CutPrefix(text, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "postgresql://")
	}
	if !ok {
		return "is no URL of Postgres: postgres://user:password@host:5432/database"
	}
	authority, _, _ := strings.Cut(rest, "/")
	if strings.Count(authority, "@") > 1 { // readers differ in which one ends the password, and would print the rest
		return "has more than one @ before the host: in a password it is written %40"
	}
	start, _, _ := strings.Cut(rest, "=") // parameters may have what they like
	if end := strings.IndexAny(start, "/?#"); end >= 0 && !strings.Contains(start[:end], "@") && strings.Contains(start, "@") {
		return "has one of / ? # in the password, which ends the host there: they are written %2F, %3F and %23" // and errors have the rest as a database
	}
	u, err := url.Parse(text)
	if err != nil { // which quotes it
		return "can't be parsed: write special characters of the password as %XX"
	}
	if _, err := pgconn.ParseConfig(text); err != nil { // which quotes it; its cause is about a parameter, if no part of the password is taken for one
		cause := errors.Unwrap(err)
		if ats := strings.Count(text, "@"); cause == nil || ats > 1 || ats == 1 && u.User == nil {
			return "can't be used: a parameter behind ? has no good value"
		}
		return "can't be used: " + cause.Error()
	}
	return ""
}

// ParentMap is Parents as a map from the name that a repository picks to the database, or the branch at Neon. Without
// Parents it is the long-lived branches of Neon but production.
func (c Config) ParentMap() map[string]string {
	parents, _ := c.parents()
	return parents
}

// DefaultParent is the name of the first parent; empty when there is none.
func (c Config) DefaultParent() string {
	_, first := c.parents()
	return first
}

func (c Config) parents() (parents map[string]string, first string) {
	if len(c.Parents) == 0 && c.Clouds.Neon.Used() {
		return c.Clouds.Neon.Branches.parents()
	}
	parents = map[string]string{}
	for i, parent := range c.Parents {
		name, database, _ := strings.Cut(parent, "=")
		parents[name] = database
		if i == 0 {
			first = name
		}
	}
	return parents, first
}

// Headers are OTLPHeaders by name.
func (c Config) Headers() (map[string]preview.Secret, error) {
	headers := map[string]preview.Secret{}
	for _, header := range trimmed(strings.Split(c.OTLPHeaders.Reveal(), ",")) {
		name, escaped, ok := strings.Cut(header, "=")
		value, err := url.PathUnescape(strings.TrimSpace(escaped))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil { // without the text, which is secret
			return nil, errors.New("is not name=value, comma separated")
		}
		headers[name] = preview.Secret(value)
	}
	return headers, nil
}

// Secrets are all secret values of the configuration, and the parts of them that are secret by themselves.
func (c Config) Secrets() []preview.Secret {
	list := secretsIn(reflect.ValueOf(c))
	for key := range strings.SplitSeq(c.MasterKeys.Reveal(), ",") {
		list = append(list, preview.Secret(strings.TrimSpace(key)))
	}
	headers, _ := c.Headers() // checked by Load
	for _, value := range headers {
		list = append(list, value)
	}
	return slices.DeleteFunc(list, func(s preview.Secret) bool { return s == "" })
}

// secretsIn are those of a value and of all that is in it.
func secretsIn(v reflect.Value) []preview.Secret {
	if secret, ok := v.Interface().(preview.Secret); ok {
		return []preview.Secret{secret}
	}
	var list []preview.Secret
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			list = append(list, secretsIn(field)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, secretsIn(v.Index(i))...)
		}
	}
	return list
}

func trimmed[S ~string](values []S) []S {
	var out []S
	for _, v := range values {
		if v = S(strings.TrimSpace(string(v))); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// withoutValues keeps what env says of each field, with what the value is made of instead of the value, which may be a
// secret. The keys are put into unreadable.
func withoutValues(err error, variables map[string]string, unreadable map[string]bool) []error {
	var aggregate env.AggregateError
	if !errors.As(err, &aggregate) {
		return []error{errors.New("could not be read")}
	}
	var out []error
	for _, e := range aggregate.Errors {
		var parse env.ParseError
		if !errors.As(e, &parse) {
			out = append(out, errors.New("a variable could not be read"))
			continue
		}
		key := keyOf(parse.Name)
		unreadable[key] = true
		out = append(out, fmt.Errorf("%s: is not %s, but %s", key, shape(parse.Type), form(variables[key])))
	}
	return out
}

// keyOf is the variable that a field of Config is read from.
func keyOf(field string) string {
	if f, ok := reflect.TypeFor[Config]().FieldByName(field); ok {
		return f.Tag.Get("env")
	}
	return field
}
