package secretscan

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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
	swapped := func(token string) string { // its last two characters, so that a checksum is wrong
		last := len(token) - 1
		if token[last] == token[last-1] {
			return token[:last] + map[bool]string{true: "1", false: "0"}[token[last] == '0']
		}
		return token[:last-1] + token[last:] + token[last-1:last]
	}
	return map[string]string{
		"checksum.env":    "GH_TOKEN=" + wrong + "\n",
		"npm.env":         "NPM_TOKEN=" + joined("npm", "_", strings.TrimPrefix(wrong, "ghp"+"_")) + "\n",
		"gitlab.env":      "GITLAB_TOKEN=" + swapped(gitlabRoutable(m, "gl"+"pat-", ".01")) + "\n",
		"grafana.env":     "GRAFANA_TOKEN=" + swapped(grafanaToken(m)) + "\n",
		"anon.env":        "NEXT_PUBLIC_SUPABASE_ANON_KEY=" + jwt(m, `{"iss":"supabase","ref":"abcdefghijklmnopqrst","role":"anon","iat":1700000000}`) + "\n",
		"public2.js":      "posthog.init('" + joined("ph", "c_", m.text(alnum, 43)) + "'); mapboxgl.accessToken = '" + joined("p", "k.eyJ1Ijoi", m.text(alnum, 60), ".", m.text(alnum, 22)) + "';\n",
		"public.js":       "const stripe = Stripe('" + joined("pk", "_live_", m.text(alnum, 24)) + "');\n",
		"placeholder.env": "STRIPE_KEY=" + "sk" + "_live_xxxxxxxxxxxxxxxxxxxxxxxx\nAPI_KEY=your-api-key-here-1234\nGH_TOKEN=" + "ghp" + "_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n",
		"reference.yaml":  "token: ${{ secrets.GH_TOKEN }}\nurl: postgres" + "://app:${DB_PASSWORD}@db.shop-internal.net/shop\nkey: {{ .Values.key }}\n",
		"docs.md":         "Use `postgres" + "://user:password@localhost:5432/app`, or https" + "://user:pass@example.com/.\n",
		"commit.txt":      "reverts " + m.text(hexAlnum, 40) + "\nimage: app@sha256:" + m.text(hexAlnum, 64) + "\n",
		"ids.json":        `{"requestId": "` + m.uuid() + `", "trace": "` + m.text(hexAlnum, 32) + `", "etag": "` + m.text(hexAlnum, 32) + `"}`,
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
	oneGoroutine(t)
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
	for n, k := range secretKinds() {
		order := m.Perm(len(all))
		for _, i := range order[:5] {
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
		if n%5 == 4 { // few commits: each takes Git a moment
			r.commit("add " + k.id)
		}
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
