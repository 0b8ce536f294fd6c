package workerd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

const testBinding = "DATABASE_URL"

// newRuntime starts a Runtime that is closed, and proven to leave nothing, at cleanup.
func newRuntime(t *testing.T, change func(*Config)) *Runtime {
	t.Helper()
	config := Config{
		Binary: embeddedtest.Workerd(t), Dir: filepath.Join(t.TempDir(), "state"), PublicPort: 8080,
		StartTimeout: 2 * time.Minute, // a busy machine may need more than a server gives
		SwitchUser:   os.Geteuid() == 0, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	if change != nil {
		change(&config)
	}
	rt, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pids := rt.pids()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := rt.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("process %d outlives Close", pid)
			}
		}
		if _, err := os.Stat(rt.sockets); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("socket folder outlives Close: %v", err)
		}
	})
	return rt
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// pids of every process that the Runtime knows.
func (rt *Runtime) pids() []int {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	var list []int
	for _, u := range rt.units {
		for _, i := range u.alive {
			i.mu.Lock()
			list = append(list, i.process.cmd.Process.Pid)
			i.mu.Unlock()
		}
	}
	return list
}

// alive reports whether a workerd has that id; one that nobody waited for counts.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (len(raw) == 0 || strings.HasPrefix(string(raw), "workerd\x00"))
}

var lastName atomic.Int64

func resource() preview.Resource {
	n := lastName.Add(1)
	return preview.Resource{
		Kind: preview.KindWorker, Name: fmt.Sprintf("preview-abcd1234-pr-%d", n),
		Mark: preview.Mark{Project: "p", Environment: fmt.Sprintf("e%d", n)}, Digest: "1",
	}
}

// worker is the bundle of one module.
func worker(source string) *preview.Bundle {
	return &preview.Bundle{
		MainModule: "index.js", Modules: []preview.Module{{Name: "index.js", Type: preview.ModuleES, Content: []byte(source)}},
		CompatibilityDate: "2026-01-01", CompatibilityFlags: []string{"nodejs_compat"}, Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(source))),
	}
}

// answering is a Worker whose handler has req, env and url.
func answering(body string) string {
	return "export default { async fetch(req, env, ctx) { const url = new URL(req.url);\n" + body + "\n} };"
}

func apply(t *testing.T, rt *Runtime, r preview.Resource, bundle *preview.Bundle) {
	t.Helper()
	if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// get asks the gateway.
func get(t *testing.T, rt *Runtime, name, path string) (status int, body string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+name+".localhost:8080"+path, nil)
	rec := httptest.NewRecorder()
	rt.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func wantGet(t *testing.T, rt *Runtime, name, path, want string) {
	t.Helper()
	status, body := get(t, rt, name, path)
	if status != http.StatusOK || body != want {
		t.Errorf("GET %s: %d %q, want %q", path, status, body, want)
	}
}

// eventually polls until ok, or fails after a while.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
		<-tick.C
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	outputs, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: worker(answering(`return new Response("one")`))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(preview.Outputs{URL: "http://" + r.Name + ".localhost:8080/"}, outputs); diff != "" {
		t.Error(diff)
	}
	wantGet(t, rt, r.Name, "/", "one")
	first := rt.pids()

	r.Digest = "2"
	apply(t, rt, r, worker(answering(`return new Response("one")`)))
	if diff := cmp.Diff(first, rt.pids()); diff != "" {
		t.Errorf("the same bundle restarted the process:\n%s", diff)
	}
	observed, err := rt.Observe(t.Context(), r)
	if err != nil || observed.Digest != "2" {
		t.Errorf("observed %+v, %v; want digest 2", observed, err)
	}

	r.Digest = "3"
	apply(t, rt, r, worker(answering(`return new Response("two")`)))
	wantGet(t, rt, r.Name, "/", "two")
	eventually(t, "the old process goes", func() bool { return !alive(first[0]) })

	pids := rt.pids()
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlives Delete", pid)
		}
	}
	if status, body := get(t, rt, r.Name, "/"); status != http.StatusNotFound || !strings.Contains(body, `"ENV_PREVIEW_NOT_FOUND"`) {
		t.Errorf("after Delete: %d %s", status, body)
	}
	for _, folder := range []string{rt.config.Dir, rt.sockets} {
		if names, err := filepath.Glob(filepath.Join(folder, "[^.]*")); err != nil || len(names) != 0 {
			t.Errorf("left in %s: %v, %v", folder, names, err)
		}
	}
	if len(rt.units) != 0 {
		t.Errorf("units left: %v", rt.units)
	}
}

func TestHostileVars(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	vars := map[string]string{
		"PLAIN": "text", "QUOTE": `a"b\c`, "LINES": "1\n2\r\n\t", "UNICODE": "žluť 🐎", "CONTROL": "\x01\x1b[31m\x7f",
		"CAPNP": `"), (name = "X", fromEnvironment = "HOME"`, "COMMENT": "# not a comment", `weird " name`: "x",
		"LD_PRELOAD": "/evil.so", testBinding: "a default that loses",
	}
	bundle := worker(answering(`return Response.json(env)`))
	bundle.Vars, bundle.DatabaseBinding = vars, testBinding
	_, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle, Outputs: preview.Outputs{DatabaseURL: "postgres://u:p%40ss@127.0.0.1:1/d"}})
	if err != nil {
		t.Fatal(err)
	}
	_, body := get(t, rt, r.Name, "/")
	want := map[string]string{}
	for name, value := range vars {
		want[name] = value
	}
	want[testBinding] = "postgres://u:p%40ss@" + DatabaseAddress + "/d"
	if diff := cmp.Diff(want, decode(t, body)); diff != "" {
		t.Error(diff)
	}
	// No secret is on disk.
	err = filepath.WalkDir(rt.config.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), "ss@") {
			t.Errorf("%s has the password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	bundle := worker(`import text from "./lib/a b.txt"; import data from "./x.bin"; import wasm from "./m.wasm"; import { other } from "./other.js";
import { Buffer } from "node:buffer";
export default { fetch() { return new Response([text, data.byteLength, wasm instanceof WebAssembly.Module, other, Buffer.from("x").toString("hex")].join("|")); } };`)
	bundle.Modules = append([]preview.Module{
		{Name: "./lib/a b.txt", Type: preview.ModuleText, Content: []byte("text")},
		{Name: "x.bin", Type: preview.ModuleData, Content: []byte{0, 1, 255}},
		{Name: "m.wasm", Type: preview.ModuleWasm, Content: []byte("\x00asm\x01\x00\x00\x00")},
		{Name: "other.js", Type: preview.ModuleES, Content: []byte("export const other = 'o';")},
	}, bundle.Modules...)
	apply(t, rt, r, bundle)
	wantGet(t, rt, r.Name, "/", "text|3|true|o|78")
}

func TestInvalidStart(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	tests := []struct {
		name, source, want string
		flag               string
	}{
		{name: "throws", source: `throw new Error("boom hunter22 " + "x".repeat(5000))`, want: "Uncaught Error: boom *** xxx"},
		{name: "syntax", source: `export default {`, want: "SyntaxError: Unexpected end of input"},
		{name: "import", source: `import "nope"; export default {}`, want: `No such module "nope"`},
		{name: "flag", source: answering(""), flag: "bogus_flag", want: "No such compatibility flag: bogus_flag"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := resource()
			bundle := worker(test.source)
			if test.flag != "" {
				bundle.CompatibilityFlags = []string{test.flag}
			}
			_, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle, Redact: []preview.Secret{"hunter22"}})
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 2000 {
				t.Errorf("error %v, want an invalid one with %q", err, test.want)
			}
			observed, err := rt.Observe(t.Context(), r)
			if err != nil || !observed.Exists || observed.Digest != "" {
				t.Errorf("observed %+v, %v; want it unfinished", observed, err)
			}
			if err := rt.Delete(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInvalidBundle(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	tests := []struct {
		name   string
		change func(*preview.Bundle)
	}{
		{"module path", func(b *preview.Bundle) { b.Modules[0].Name = "../x.js"; b.MainModule = "../x.js" }},
		{"absolute", func(b *preview.Bundle) { b.Modules[0].Name = "/x.js"; b.MainModule = "/x.js" }},
		{"builtin", func(b *preview.Bundle) { b.Modules[0].Name = "node:fs"; b.MainModule = "node:fs" }},
		{"quote", func(b *preview.Bundle) { b.Modules[0].Name = `a"`; b.MainModule = `a"` }},
		{"no main", func(b *preview.Bundle) { b.MainModule = "other.js" }},
		{"twice", func(b *preview.Bundle) { b.Modules = append(b.Modules, b.Modules[0]) }},
		{"type", func(b *preview.Bundle) { b.Modules[0].Type = "python" }},
		{"date", func(b *preview.Bundle) { b.CompatibilityDate = `2026-01-01", x` }},
		{"flag", func(b *preview.Bundle) { b.CompatibilityFlags = []string{`a"`} }},
		{"variable", func(b *preview.Bundle) { b.Vars = map[string]string{"a\nb": ""} }},
		{"value", func(b *preview.Bundle) { b.Vars = map[string]string{"a": "\xff"} }},
		{"sibling", func(b *preview.Bundle) { b.Services = map[string]string{"A": "../x"} }},
		{"sibling with a dot", func(b *preview.Bundle) { b.Services = map[string]string{"A": "a.b"} }},
		{"binding to a sibling", func(b *preview.Bundle) { b.Services = map[string]string{"a\nb": "admin"} }},
		{"sibling and variable", func(b *preview.Bundle) {
			b.Services, b.Vars = map[string]string{"A": "admin"}, map[string]string{"A": "x"}
		}},
		{"binding", func(b *preview.Bundle) { b.DatabaseBinding = "a\x00" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bundle := worker(answering(""))
			test.change(bundle)
			_, err := rt.Apply(t.Context(), resource(), preview.Inputs{Bundle: bundle})
			if preview.Classify(err) != preview.ClassInvalid {
				t.Errorf("error %v, want an invalid one", err)
			}
		})
	}
}

// A version that does not start changes nothing for those who use the one before.
func TestFailingVersion(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`return new Response("good")`)))
	bad := r
	bad.Digest = "2"
	if _, err := rt.Apply(t.Context(), bad, preview.Inputs{Bundle: worker(`throw 1`)}); preview.Classify(err) != preview.ClassInvalid {
		t.Fatalf("error %v, want an invalid one", err)
	}
	wantGet(t, rt, r.Name, "/", "good")
	observed, err := rt.Observe(t.Context(), bad)
	if err != nil || observed.Digest != "1" {
		t.Errorf("observed %+v, %v; want the digest of what serves", observed, err)
	}
	if names, err := filepath.Glob(filepath.Join(rt.config.Dir, r.Name, "g-*")); err != nil || len(names) != 1 {
		t.Errorf("generations %v, %v; want one", names, err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	r := resource()
	rt := newRuntime(t, func(c *Config) { c.Dir = dir })
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	if err := rt.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: worker(answering(""))}); !errors.Is(err, errClosed) {
		t.Errorf("apply after Close: %v", err)
	}
	// What a killed server may have left.
	for _, leftover := range []string{".scratch-x/g-1", r.Name + "/g-half", "foreign/g-1"} {
		if err := os.MkdirAll(filepath.Join(dir, leftover), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	rt = newRuntime(t, func(c *Config) { c.Dir = dir })
	for leftover, want := range map[string]bool{".scratch-x": false, r.Name + "/g-half": false, "foreign/g-1": true} {
		if _, err := os.Stat(filepath.Join(dir, leftover)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", leftover, err, want)
		}
	}
	want := preview.Observed{Exists: true, Owned: true, Outputs: preview.Outputs{URL: "http://" + r.Name + ".localhost:8080/"}}
	observed, err := rt.Observe(t.Context(), r)
	if diff := cmp.Diff(want, observed); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	wantGet(t, rt, r.Name, "/", "hi")
	if names, err := filepath.Glob(filepath.Join(dir, r.Name, "g-*")); err != nil || len(names) != 1 {
		t.Errorf("generations %v, %v; want one", names, err)
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
