package secretscan

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A corpus is a repository with planted secrets and decoys, made anew from a seed: no list of values can be
// learnt by heart. What is planted has the forms that vendors document.

// maker makes random texts.
type maker struct{ *rand.Rand }

func (m maker) text(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[m.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	urlAlnum = alnum + "-_"
	base32   = upper + "234567"
)

// secretKind is a kind of secret: the name that people give it, and a value.
type secretKind struct {
	id, name string
	value    func(m maker) string
}

// joined keeps this file free of anything that looks like a secret.
func joined(parts ...string) string { return strings.Join(parts, "") }

func secretKinds() []secretKind {
	uri := func(scheme, host string) func(m maker) string {
		return func(m maker) string { return joined(scheme, "://app:", m.text(alnum, 16+m.IntN(8)), "@", host) }
	}
	plain := func(before, alphabet string, n int) func(m maker) string {
		return func(m maker) string { return before + m.text(alphabet, n) }
	}
	return []secretKind{
		{"GitHub", "GH_TOKEN", func(m maker) string { return githubToken(m.Uint64()) }},
		{"GitHub, fine-grained", "GITHUB_PAT", func(m maker) string { return joined("github", "_pat_", m.text(alnum, 22), "_", m.text(alnum, 59)) }},
		{"GitLab", "GITLAB_TOKEN", plain("gl"+"pat-", urlAlnum[:62], 20)},
		{"npm", "NPM_TOKEN", func(m maker) string {
			return joined("npm", "_", strings.TrimPrefix(githubToken(m.Uint64()), "ghp"+"_"))
		}},
		{"PyPI", "TWINE_PASSWORD", plain("pypi-"+"AgEIcHlwaS5vcmc", urlAlnum, 90)},
		{"AWS, with its pair", "AWS_ACCESS_KEY_ID", plain("AK"+"IA", base32, 16)},
		{"Google", "GOOGLE_API_KEY", plain("AI"+"za", urlAlnum[:62], 35)},
		{"Slack bot", "SLACK_BOT_TOKEN", func(m maker) string {
			return joined("xo", "xb-", m.text(digits[1:], 12), "-", m.text(digits[1:], 13), "-", m.text(alnum, 24))
		}},
		{"Slack webhook", "SLACK_URL", func(m maker) string {
			return joined("https", "://hooks.slack.com/services/T", m.text(upper+digits, 10), "/B", m.text(upper+digits, 10), "/", m.text(alnum, 24))
		}},
		{"Stripe", "STRIPE_KEY", plain("sk"+"_live_", alnum, 24)},
		{"Stripe, restricted", "STRIPE_RESTRICTED", plain("rk"+"_live_", alnum, 24)},
		{"SendGrid", "SENDGRID_API_KEY", func(m maker) string { return joined("SG", ".", m.text(alnum, 22), ".", m.text(alnum, 43)) }},
		{"Twilio", "TWILIO_API_KEY", plain("S"+"K", hexAlnum, 32)},
		{"OpenAI", "OPENAI_API_KEY", func(m maker) string {
			return joined("sk", "-proj-", m.text(urlAlnum[:62], 74), "T3Blb", "kFJ", m.text(urlAlnum[:62], 74))
		}},
		{"Anthropic", "ANTHROPIC_API_KEY", func(m maker) string { return joined("sk-ant-", "api03-", m.text(alnum, 93), "AA") }},
		{"Hugging Face", "HF_TOKEN", plain("hf"+"_", lower+upper, 34)},
		{"DigitalOcean", "DO_TOKEN", plain("dop"+"_v1_", hexAlnum, 64)},
		{"Linear", "LINEAR_KEY", plain("lin"+"_api_", alnum, 40)},
		{"Doppler", "DOPPLER_TOKEN", plain("dp.pt"+".", alnum, 43)},
		{"Grafana", "GRAFANA_TOKEN", func(m maker) string { return joined("gl", "sa_", m.text(alnum, 32), "_", m.text(hexAlnum, 8)) }},
		{"New Relic", "NEW_RELIC_KEY", plain("NR"+"AK-", upper+digits, 27)},
		{"Postgres", "DATABASE_URL", uri("postgres"+"ql", "db.shop-internal.net:5432/shop")},
		{"Neon", "NEON_URL", func(m maker) string {
			return joined("postgres", "://owner:", "npg", "_", m.text(alnum, 12), "@ep-quiet-lake-", m.text(hexAlnum, 8), "-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require")
		}},
		{"MySQL", "MYSQL_URL", uri("my"+"sql", "crm.shop-internal.net:3306/crm")},
		{"Redis", "REDIS_URL", func(m maker) string {
			return joined("re", "diss://:", m.text(alnum, 24), "@cache.shop-internal.net:6379/0")
		}},
		{"MongoDB", "MONGO_URL", uri("mongodb"+"+srv", "cluster0.k3x9q.mongodb.net/app")},
		{"basic-auth URL", "REPO_URL", uri("ht"+"tps", "git.shop-internal.net/infra.git")},
		{"Discord webhook", "DISCORD_URL", func(m maker) string {
			return joined("https", "://discord.com/api/webhooks/", m.text(digits[1:], 18), "/", m.text(alnum, 68))
		}},
		{"Cloudflare user token", "CLOUDFLARE_API_TOKEN", plain("cf"+"ut_", alnum, 48)},
		{"Cloudflare account token", "CF_TOKEN", plain("cf"+"at_", alnum, 48)},
		{"Cloudflare global key", "CF_KEY", plain("cf"+"k_", alnum, 48)},
		{"Postman", "POSTMAN_API_KEY", func(m maker) string { return joined("PM", "AK-", m.text(hexAlnum, 24), "-", m.text(hexAlnum, 34)) }},
		{"Neon API", "NEON_API_KEY", plain("na"+"pi_", lower+digits, 64)},
		{"Supabase", "SUPABASE_ACCESS_TOKEN", plain("sb"+"p_", hexAlnum, 40)},
		{"Supabase secret", "SUPABASE_KEY", plain("sb"+"_secret_", alnum, 31)},
		{"Docker Hub", "DOCKER_PASSWORD", plain("dckr"+"_pat_", alnum, 27)},
		{"Groq", "GROQ_API_KEY", plain("gs"+"k_", alnum, 52)},
		{"Figma", "FIGMA_TOKEN", plain("fi"+"gd_", alnum, 40)},
		{"PlanetScale", "PS_PASSWORD", plain("pscale"+"_pw_", alnum, 43)},
		{"Shopify", "SHOPIFY_TOKEN", plain("sh"+"pat_", hexAlnum, 32)},
		{"Databricks", "DATABRICKS_TOKEN", plain("da"+"pi", hexAlnum, 32)},
		{"Datadog", "DATADOG_API_KEY", plain("", lower+digits, 40)},
		{"age", "AGE_KEY", plain("AGE-SECRET"+"-KEY-1", strings.ToUpper("qpzry9x8gf2tvdw0s3jn54khce6mua7l"), 58)},
		{"private key", "TLS_KEY", func(maker) string { return privateKey() }},
	}
}

func privateKey() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// placement puts a secret into the repository, at a path that it alone has, and gives that path.
type placement struct {
	id  string
	put func(r *repository, folder, name, value string) string
}

func placements() []placement {
	file := func(id, base string, text func(name, value string) string) placement {
		return placement{id, func(r *repository, folder, name, value string) string {
			at := path.Join(folder, base)
			r.write(at, text(name, value))
			return at
		}}
	}
	assigned := func(name, value string) string { return name + "=" + value + "\n" }
	quoted := func(value string) string {
		b, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	snake := strings.ToLower
	return []placement{
		file("env", ".env", func(n, v string) string { return "PORT=3000\n" + assigned(n, v) + "LOG=info\n" }),
		file("yaml", "values.yaml", func(n, v string) string {
			if strings.Contains(v, "\n") {
				return "app:\n  " + snake(n) + ": |\n    " + strings.ReplaceAll(v, "\n", "\n    ")
			}
			return "app:\n  replicas: 2\n  " + snake(n) + ": " + v + "\n"
		}),
		file("json", "config.json", func(n, v string) string {
			return "{\n  \"port\": 3000,\n  " + quoted(snake(n)) + ": " + quoted(v) + "\n}\n"
		}),
		file("notebook", "analysis.ipynb", func(n, v string) string {
			return `{"cells": [{"cell_type": "code", "source": ["import os\n", ` + quoted(snake(n)+" = "+quoted(v)+"\n") + `]}], "nbformat": 4}`
		}),
		file("Dockerfile", "Dockerfile", func(n, v string) string {
			return "FROM alpine:3.22\nENV " + n + "=" + strings.ReplaceAll(v, "\n", `\n`) + "\nCMD [\"/app\"]\n"
		}),
		file("code", "main.go", func(n, v string) string { return "package main\n\nconst " + snake(n) + " = " + quoted(v) + "\n" }),
		file("notes", "NOTES.md", func(n, v string) string { return "# Setup\n\nSet " + n + " to `" + v + "` and restart.\n" }),
		file("long line", "app.min.js", func(n, v string) string {
			return strings.Repeat("function(e,t){return e+t};", 4000) + "var " + snake(n) + "=" + quoted(v) + ";" + strings.Repeat("n(1);", 1000)
		}),
		file("over 1 MB", "dump.sql", func(n, v string) string {
			line := "INSERT INTO items VALUES (17, 'a usual row of a table', now());\n"
			return strings.Repeat(line, 20000) + "-- " + assigned(n, v) + strings.Repeat(line, 500)
		}),
		file("UTF-16", "settings.reg", func(n, v string) string { return utf16Text("[Settings]\r\n" + assigned(n, v)) }),
		file("NUL bytes", "core.dump", func(n, v string) string { return "\x00\x01\x02" + assigned(n, v) + "\x00\xff\x00" }),
		file("base64", "secret.yaml", func(n, v string) string {
			return "data: " + base64.StdEncoding.EncodeToString([]byte(assigned(n, v))) + "\n"
		}),
		file("hex", "blob.txt", func(n, v string) string { return "data: " + hex.EncodeToString([]byte(assigned(n, v))) + "\n" }),
		file("percent", "link.txt", func(n, v string) string { return "GET /?q=" + percent(assigned(n, v)) + " HTTP/1.1\n" }),
		{"deleted", func(r *repository, folder, name, value string) string {
			at := path.Join(folder, "old.env")
			r.write(at, assigned(name, value))
			r.later = append(r.later, func() { r.git("rm", "--quiet", at) })
			return at
		}},
		{"renamed", func(r *repository, folder, name, value string) string {
			at := path.Join(folder, "a.env")
			r.write(at, assigned(name, value))
			r.later = append(r.later, func() { r.git("mv", at, path.Join(folder, "b.env")) })
			return at
		}},
		{"merge only", func(r *repository, folder, name, value string) string {
			at := path.Join(folder, "merged.env")
			r.merged[at] = assigned(name, value)
			return at
		}},
		{"-diff", func(r *repository, folder, name, value string) string {
			at := path.Join(folder, "hidden.bundle")
			r.write(at, assigned(name, value))
			return at
		}},
	}
}

// decoys are files that look like secrets and are none.
func decoys(m maker) map[string]string {
	token := githubToken(m.Uint64())
	wrong := token[:len(token)-1] + map[bool]string{true: "a", false: "b"}[token[len(token)-1] == 'b']
	uuid := func() string {
		return joined(m.text(hexAlnum, 8), "-", m.text(hexAlnum, 4), "-4", m.text(hexAlnum, 3), "-a", m.text(hexAlnum, 3), "-", m.text(hexAlnum, 12))
	}
	return map[string]string{
		"checksum.env":    "GH_TOKEN=" + wrong + "\n",
		"npm.env":         "NPM_TOKEN=" + joined("npm", "_", strings.TrimPrefix(wrong, "ghp"+"_")) + "\n",
		"public.js":       "const stripe = Stripe('" + joined("pk", "_live_", m.text(alnum, 24)) + "');\n",
		"placeholder.env": "STRIPE_KEY=" + "sk" + "_live_xxxxxxxxxxxxxxxxxxxxxxxx\nAPI_KEY=your-api-key-here-1234\nGH_TOKEN=" + "ghp" + "_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n",
		"reference.yaml":  "token: ${{ secrets.GH_TOKEN }}\nurl: postgres" + "://app:${DB_PASSWORD}@db.shop-internal.net/shop\nkey: {{ .Values.key }}\n",
		"docs.md":         "Use `postgres" + "://user:password@localhost:5432/app`, or https" + "://user:pass@example.com/.\n",
		"commit.txt":      "reverts " + m.text(hexAlnum, 40) + "\nimage: app@sha256:" + m.text(hexAlnum, 64) + "\n",
		"ids.json":        `{"requestId": "` + uuid() + `", "trace": "` + m.text(hexAlnum, 32) + `", "etag": "` + m.text(hexAlnum, 32) + `"}`,
		"lock.json":       `{"integrity": "sha512-` + base64.StdEncoding.EncodeToString([]byte(m.text(alnum, 64))) + `"}`,
		"cert.pem":        "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString([]byte(m.text(alnum, 400))) + "\n-----END CERTIFICATE-----\n",
		"pub.pem":         "-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString([]byte(m.text(alnum, 91))) + "\n-----END PUBLIC KEY-----\n",
		"ssh.pub":         "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + m.text(alnum, 43) + " deploy\n",
		"image.svg":       `<image href="data:image/png;base64,` + base64.StdEncoding.EncodeToString([]byte(m.text(alnum, 900))) + `"/>`,
		"cache.go":        "package a\n\nvar cacheKey = \"" + m.text(hexAlnum, 32) + "\"\nvar buildID = \"" + m.text(alnum, 20) + "\"\n",
		"test.env":        "DATABASE_URL=postgres" + "://postgres:postgres@localhost:5432/test\nREDIS_URL=redis" + "://localhost:6379\n",
		"minified.js":     strings.Repeat("var a=function(b){return b.token||b.secret},apiKey=e.apiKey;", 200),
		"words.txt":       "The secret of a good password is that its key is long; the token is api.\n",
	}
}

// TestCorpus plants each kind of secret in places drawn from all placements, scans the history, and judges
// what was found and what else. FLARESMITH_CORPUS_SEED repeats a run.
func TestCorpus(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FLARESMITH_CORPUS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLARESMITH_CORPUS_SEED=%d", seed)
	m := maker{rand.New(rand.NewPCG(seed, 11))}
	r := newRepository(t)
	planted := plant(r, m)
	found, err := Scan(t.Context(), Request{Mode: History, Dir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]bool{} // paths with findings that block
	right, blocking := 0, 0
	for _, f := range found {
		if !f.Tier.AtLeast(Likely) {
			continue
		}
		blocking++
		if p := f.Path; planted[p] != "" {
			right++
			at[p] = true
		} else if p := path.Join(path.Dir(f.Path), "a.env"); path.Base(f.Path) == "b.env" && planted[p] != "" { // renamed
			right++
			at[p] = true
		} else {
			t.Logf("false: %s %s:%d", f.Rule, f.Path, f.Line)
		}
		if strings.Contains(f.Path, "checksum.env") || strings.Contains(f.Path, "npm.env") || strings.Contains(f.Path, "placeholder") {
			t.Errorf("a wrong checksum or a placeholder is reported: %s %s:%d", f.Rule, f.Path, f.Line)
		}
	}
	missed := 0
	for _, p := range slices.Sorted(maps.Keys(planted)) {
		if !at[p] {
			missed++
			t.Logf("missed: %s", planted[p])
		}
	}
	recall, precision := 1-float64(missed)/float64(len(planted)), float64(right)/float64(max(1, blocking))
	t.Logf("%d planted, recall %.3f, precision %.3f", len(planted), recall, precision)
	if recall < 0.97 || precision < 0.98 {
		t.Errorf("recall %.3f, want 0.97; precision %.3f, want 0.98", recall, precision)
	}
}

// plant makes the history and gives what was planted, by path.
func plant(r *repository, m maker) map[string]string {
	planted := map[string]string{}
	r.merged = map[string]string{}
	r.write(".gitattributes", "*.bundle -diff\n")
	r.commit("start")
	all := placements()
	number := 0
	for _, k := range secretKinds() {
		order := m.Perm(len(all))
		for _, i := range order[:8] {
			number++
			value := k.value(m)
			folder := fmt.Sprintf("services/s%03d", number)
			at := all[i].put(r, folder, k.name, value)
			if k.id == "AWS, with its pair" && r.merged[at] == "" {
				r.write(path.Join(folder, "aws.env"), "AWS_SECRET_ACCESS_KEY="+m.text(alnum+"/+", 40)+"\n")
				planted[path.Join(folder, "aws.env")] = "AWS secret, env"
			}
			planted[at] = k.id + ", " + all[i].id
		}
		r.commit("add " + k.id)
	}
	for round := range 4 {
		for name, text := range decoys(m) {
			r.write(fmt.Sprintf("decoys/%d/%s", round, name), text)
		}
	}
	r.commit("decoys")
	for _, do := range r.later {
		do()
	}
	r.commit("tidy up")
	r.git("checkout", "--quiet", "-b", "side", "HEAD~1")
	r.write("side.txt", "side\n")
	r.commit("side")
	r.git("checkout", "--quiet", "main")
	r.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
	for name, text := range r.merged {
		r.write(name, text)
	}
	r.commit("merge side")
	r.git("repack", "-adq") // most history is read from packs, in the form of deltas
	return planted
}
