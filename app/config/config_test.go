package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// key is one of the kind that GitHub makes.
var key = sync.OnceValue(func() string {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
})

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func complete() map[string]string {
	return map[string]string{
		"DATABASE_URL": "postgres://localhost/flaresmith", "GITHUB_APP_ID": "1", "GITHUB_APP_PRIVATE_KEY": key(),
		"GITHUB_WEBHOOK_SECRET": "one, two", "FLARESMITH_ALLOWED_ORGS": "acme", "FLARESMITH_PARENTS": "main=shop,dev=shop_dev",
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	c, err := Load(complete())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.GitHubWebhookSecrets) != 2 || c.GitHubWebhookSecrets[1].Reveal() != "two" {
		t.Errorf("secrets: %d", len(c.GitHubWebhookSecrets))
	}
	if c.DefaultParent() != "main" || c.ParentMap()["dev"] != "shop_dev" {
		t.Errorf("parents: default %q, map %v", c.DefaultParent(), c.ParentMap())
	}
	if c.BranchDatabaseURL != c.DatabaseURL {
		t.Error("branches live on the server's own Postgres unless told otherwise")
	}
}

// Whatever is a secret in the configuration is known to who redacts the log.
func TestSecrets(t *testing.T) {
	t.Parallel()
	variables := complete()
	variables["FLARESMITH_LINK_KEY"] = strings.Repeat("k", minLinkKey)
	variables["OTEL_EXPORTER_OTLP_HEADERS"] = "api-key=s%20ecret, tenant=acme"
	c, err := Load(variables)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Secrets() {
		got = append(got, s.Reveal())
	}
	slices.Sort(got)
	want := []string{key(), "acme", "api-key=s%20ecret, tenant=acme", strings.Repeat("k", minLinkKey), "one",
		"postgres://localhost/flaresmith", "postgres://localhost/flaresmith", "s ecret", "two"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestLoadReportsEveryProblemWithoutValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  map[string]string
		want []string
	}{
		{"nothing set", map[string]string{"DATABASE_URL": "", "GITHUB_APP_ID": "", "GITHUB_APP_PRIVATE_KEY": "", "GITHUB_WEBHOOK_SECRET": ""},
			[]string{"DATABASE_URL: is missing", "GITHUB_APP_ID: is missing", "GITHUB_APP_PRIVATE_KEY: is missing", "GITHUB_WEBHOOK_SECRET: is missing"}},
		{"another database", map[string]string{"DATABASE_URL": "mysql://a:hush@b/c"}, []string{"DATABASE_URL: is no URL of Postgres"}},
		{"an @ in the password", map[string]string{"DATABASE_URL": "postgres://a:b@hush@c/d", "FLARESMITH_BRANCH_DATABASE_URL": "postgres://a:hush@b@c"},
			[]string{"DATABASE_URL: has more than one @", "FLARESMITH_BRANCH_DATABASE_URL: has more than one @"}},
		{"a / in the password", map[string]string{"DATABASE_URL": "postgres://a:/hush@c/d?sslmode=disable", "FLARESMITH_BRANCH_DATABASE_URL": "postgres://a:12?hush@c/d"},
			[]string{"DATABASE_URL: has one of / ? #", "FLARESMITH_BRANCH_DATABASE_URL: has one of / ? #"}},
		{"a certificate that is not there", map[string]string{"DATABASE_URL": "postgres://a:" + "hush@b/c?sslmode=verify-full&sslrootcert=/does/not/exist", "FLARESMITH_BRANCH_DATABASE_URL": "postgres://a:" + "hush@b/c?sslmode=requird"},
			[]string{"DATABASE_URL: can't be used: unable to read CA file: open /does/not/exist: no such file", "FLARESMITH_BRANCH_DATABASE_URL: can't be used: sslmode is invalid"}},
		{"a password that is taken for a parameter", map[string]string{"DATABASE_URL": "postgres://a:" + "12?hush=b=c@d/e", "FLARESMITH_BRANCH_DATABASE_URL": "postgres://a:" + "p@ss/w?hush=b=c@d/e"},
			[]string{"DATABASE_URL: can't be used: a parameter", "FLARESMITH_BRANCH_DATABASE_URL: can't be used: a parameter"}},
		{"no key", map[string]string{"GITHUB_APP_PRIVATE_KEY": "hush"}, []string{"GITHUB_APP_PRIVATE_KEY: is not a whole key in PEM form"}},
		{"another kind of key", map[string]string{"GITHUB_APP_PRIVATE_KEY": pemOf("PUBLIC KEY", []byte("hush"))}, []string{"GITHUB_APP_PRIVATE_KEY: is in PEM form, but no private key of RSA"}},
		{"an empty key file", map[string]string{"GITHUB_APP_PRIVATE_KEY_FILE": os.DevNull}, []string{"GITHUB_APP_PRIVATE_KEY_FILE: is not a whole key"}},
		{"secrets of blanks", map[string]string{"GITHUB_WEBHOOK_SECRET": " , "}, []string{"GITHUB_WEBHOOK_SECRET: is missing"}},
		{"three secrets", map[string]string{"GITHUB_WEBHOOK_SECRET": "hush1,hush2,hush3"}, []string{"GITHUB_WEBHOOK_SECRET: has 3"}},
		{"not a number", map[string]string{"GITHUB_APP_ID": "hush"}, []string{"GITHUB_APP_ID: is not a whole number, but 4 letters"}},
		{"misspelt, and so missing", map[string]string{"DATABASE_URL": "", "DATABASE_UR": "hush", "FLARESMITH_LISTN": "hush"},
			[]string{"DATABASE_URL: is missing", "DATABASE_UR: is no variable of this server; did you mean DATABASE_URL?", "did you mean FLARESMITH_LISTEN?"}},
		{"not a number, and something is missing", map[string]string{"GITHUB_APP_ID": "hush", "DATABASE_URL": "", "FLARESMITH_LOG_LEVEL": "hush"},
			[]string{"GITHUB_APP_ID: is not a whole number", "DATABASE_URL: is missing", "FLARESMITH_LOG_LEVEL: is not debug, info, warn or error"}},
		{"other types", map[string]string{"FLARESMITH_ONBOARDING": "hush", "FLARESMITH_MIGRATION_TIMEOUT": "60", "OTEL_TRACES_SAMPLER_ARG": "hush"},
			[]string{"FLARESMITH_ONBOARDING: is not true or false", "FLARESMITH_MIGRATION_TIMEOUT: is not a duration, such as 90s or 15m, but 2 digits", "OTEL_TRACES_SAMPLER_ARG: is not a number"}},
		{"addresses", map[string]string{"FLARESMITH_LISTEN": "8080", "FLARESMITH_METRICS_LISTEN": "localhost:http"},
			[]string{`FLARESMITH_LISTEN: "8080" is not host:port`, `FLARESMITH_METRICS_LISTEN: "localhost:http" has no port`}},
		{"parents", map[string]string{"FLARESMITH_PARENTS": "shop"}, []string{`FLARESMITH_PARENTS: "shop" is not name=database`}},
		{"an organisation without a parent", map[string]string{"FLARESMITH_PARENTS": ""}, []string{"FLARESMITH_PARENTS: is missing"}},
		{"too many previews", map[string]string{"FLARESMITH_MAX_PREVIEWS": "16"}, []string{"FLARESMITH_MAX_PREVIEWS: 16"}},
		{"urls", map[string]string{"GITHUB_API_URL": "api", "FLARESMITH_PREVIEW_URL": "ftp://x"}, []string{"GITHUB_API_URL", "FLARESMITH_PREVIEW_URL"}},
		{"address", map[string]string{"FLARESMITH_URL": "flaresmith.example"}, []string{`FLARESMITH_URL: "flaresmith.example" is not`}},
		{"a short link key", map[string]string{"FLARESMITH_LINK_KEY": "hush"}, []string{"FLARESMITH_LINK_KEY: has 4 characters"}},
		{"half of the client credentials", map[string]string{"GITHUB_CLIENT_SECRET": "hush"}, []string{"GITHUB_CLIENT_ID: goes with GITHUB_CLIENT_SECRET"}},
		{"collector", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{"headers", map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "api-key=fine,hush"}, []string{"OTEL_EXPORTER_OTLP_HEADERS: is not name=value"}},
		{"share of traces", map[string]string{"OTEL_TRACES_SAMPLER_ARG": "NaN"}, []string{"OTEL_TRACES_SAMPLER_ARG: NaN is not"}},
		{"half of an account", map[string]string{"NEON_API_KEY": "hush", "CLOUDFLARE_ACCOUNT_ID": "a", "POSTMAN_WORKSPACE_ID": "w"},
			[]string{"NEON_API_KEY: goes with NEON_PROJECT_ID", "CLOUDFLARE_ACCOUNT_ID: goes with CLOUDFLARE_API_TOKEN", "POSTMAN_WORKSPACE_ID: goes with POSTMAN_API_KEY"}},
		{"Neon without Cloudflare", map[string]string{"NEON_API_KEY": "hush", "NEON_PROJECT_ID": "p"}, []string{"NEON_API_KEY: needs CLOUDFLARE_API_TOKEN, too: a Worker on this machine"}},
		{"Cloudflare without Neon", map[string]string{"CLOUDFLARE_API_TOKEN": "hush", "CLOUDFLARE_ACCOUNT_ID": "a"},
			[]string{"CLOUDFLARE_API_TOKEN: needs NEON_API_KEY, too: a Worker at Cloudflare"}},
		{"production as a parent", map[string]string{"FLARESMITH_PARENTS": "main=br-prod", "NEON_BRANCH_PROD": "br-prod", "NEON_BRANCH_DEV": "br-prod"},
			[]string{"FLARESMITH_PARENTS: main is NEON_BRANCH_PROD", "NEON_BRANCH_PROD: is another branch's name"}},
		{"a repository of nobody's", map[string]string{"NEON_REPOSITORY": "globex/shop"}, []string{`NEON_REPOSITORY: "globex/shop" is of none of FLARESMITH_ALLOWED_ORGS`}},
		{"an unknown driver", map[string]string{"CLOUDFLARE_DRIVER": "pigeon"}, []string{`CLOUDFLARE_DRIVER: "pigeon" is none of worker-per-pr, worker-previews, pages`}},
		{"a parent without its driver", map[string]string{"CLOUDFLARE_PARENT_WORKER": "shop"}, []string{"CLOUDFLARE_PARENT_WORKER: goes with CLOUDFLARE_DRIVER worker-previews"}},
		{"no Worker's name", map[string]string{"CLOUDFLARE_DRIVER": "worker-previews", "CLOUDFLARE_PARENT_WORKER": "Shop_1"}, []string{`CLOUDFLARE_PARENT_WORKER: "Shop_1" is no Worker's name`}},
		{"clouds' URLs", map[string]string{"NEON_API_URL": "neon", "CLOUDFLARE_API_URL": "ftp://x", "POSTMAN_API_URL": "https://user:hush@x"},
			[]string{"NEON_API_URL: is not", "CLOUDFLARE_API_URL: is not", "POSTMAN_API_URL: is not"}},
		{"no branch at Neon", map[string]string{"NEON_API_KEY": "hush", "NEON_PROJECT_ID": "p", "NEON_BRANCH_PROD": "prod", "FLARESMITH_PARENTS": ""},
			[]string{"FLARESMITH_PARENTS: is missing"}},
		{"bindings", map[string]string{"FLARESMITH_BINDINGS": "kv:0f1e, hush"}, []string{"FLARESMITH_BINDINGS: entry 2: is not kind:target"}},
		{"bindings of blanks", map[string]string{"FLARESMITH_BINDINGS": " , "}, []string{"FLARESMITH_BINDINGS: has no entry"}},
		{"time of migrations", map[string]string{"FLARESMITH_MIGRATION_TIMEOUT": "-5s"}, []string{"FLARESMITH_MIGRATION_TIMEOUT: -5s is not between 1s and 1h0m0s"}},
		{"tenants file", map[string]string{"FLARESMITH_TENANTS_FILE": "/does/not/exist"}, []string{"FLARESMITH_TENANTS_FILE: open"}},
		{"key file", map[string]string{"GITHUB_APP_PRIVATE_KEY_FILE": "/does/not/exist"}, []string{"GITHUB_APP_PRIVATE_KEY_FILE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			variables := complete()
			for key, value := range tt.set {
				variables[key] = value
			}
			_, err := Load(variables)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("error shows a value:\n%v", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	variables := complete()
	variables["FLARESMITH_ALLOWED_ORGS"] = ""
	for _, name := range []string{"FLARESMITH_ULR", "FLARESMITH_SOMETHING_ELSE", "FLARESMITH_TEST_DATABASE_URL", "PATH", "GITHUB_ACTOR", "DATABASE_URI", "NEON_APIKEY"} {
		variables[name] = "hush"
	}
	c, err := Load(variables)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"FLARESMITH_ALLOWED_ORGS: is empty: nobody gets a preview",
		"FLARESMITH_SOMETHING_ELSE: is no variable of this server",
		"FLARESMITH_ULR: is no variable of this server; did you mean FLARESMITH_URL?",
		"NEON_APIKEY: is no variable of this server; did you mean NEON_API_KEY?",
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
	if c, err := Load(complete()); err != nil || c.Warnings != nil {
		t.Errorf("complete: %v %v", c.Warnings, err)
	}
}
