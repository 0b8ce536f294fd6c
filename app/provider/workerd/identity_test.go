package workerd

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/build"
	"github.com/flaresmith/flaresmith/app/preview"
)

// noPackages is a registry that nothing is asked of.
type noPackages struct{}

func (noPackages) Fetch(context.Context, string, string, string, func(int64, int64)) (string, error) {
	return "", errors.New("no package is needed")
}

// Whatever form a Worker has, it answers the signed question and is otherwise as it would be alone.
func TestIdentity(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, _ := key.Public().(ed25519.PublicKey)
	told, err := json.Marshal(map[string]string{"environment": "e", "deployment": "d", "key": base64.StdEncoding.EncodeToString(public)})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string) string { return base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(text))) }
	mains := map[string]string{
		"an object":          `export default { greeting: "hi", fetch(request, env) { return new Response(this.greeting + new URL(request.url).pathname + env.STAGE); } };`,
		"an instance":        `class App { #greeting = "hi"; fetch(request, env) { return new Response(this.#greeting + new URL(request.url).pathname + env.STAGE); } } export default new App();`,
		"an entrypoint":      `import { WorkerEntrypoint } from "cloudflare:workers"; export default class extends WorkerEntrypoint { fetch(request) { return new Response("hi" + new URL(request.url).pathname + this.env.STAGE); } }`,
		"a CommonJS module":  `module.exports = { fetch(request, env) { return new Response("hi" + new URL(request.url).pathname + env.STAGE); } };`,
		"with named exports": `import { WorkerEntrypoint } from "cloudflare:workers"; export class Other extends WorkerEntrypoint {} export default { fetch(request, env) { return new Response("hi" + new URL(request.url).pathname + env.STAGE); } };`,
	}
	const path = "/.well-known/flaresmith/identity"
	for name, source := range mains {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"a.js": {Data: []byte(source)},
				"w.json": {Data: []byte(`{"name": "w", "main": "a.js", "compatibility_date": "2026-10-01", "vars": {"STAGE": "!"}}`)}}
			bundle, err := build.New(build.Config{Packages: noPackages{}}).Bundle(t.Context(), files, preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "w.json"}}}, "")
			if err != nil {
				t.Fatal(err)
			}
			bundle.Vars["FLARESMITH_IDENTITY"] = string(told)
			asked := 0
			in := preview.Inputs{Bundle: bundle, Verify: func(ctx context.Context, ask preview.Ask) error {
				for _, q := range []struct{ path, nonce, signature, want string }{
					{path, "n", sign("d\nn"), `{"environment":"e","deployment":"d","nonce":"n"}`},
					{path, "n", sign("other\nn"), "hi" + path + "!"},
					{path, "m", sign("d\nn"), "hi" + path + "!"},
					{path, "n", "no base64!", "hi" + path + "!"},
					{path, "", "", "hi" + path + "!"},
					{"/x", "n", sign("d\nn"), "hi/x!"},
				} {
					headers := map[string]string{"Flaresmith-Nonce": q.nonce, "Flaresmith-Signature": q.signature}
					if q.nonce == "" {
						headers = nil
					}
					status, body, err := ask(ctx, q.path, headers)
					if err != nil || status != http.StatusOK || strings.TrimSpace(string(body)) != q.want {
						t.Errorf("%s with %v: %d %s, %v; want %s", q.path, headers, status, body, err, q.want)
					}
					asked++
				}
				return nil
			}}
			if _, err := rt.Apply(t.Context(), resource(), in); err != nil || asked != 6 {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}

// A Worker that is not who it should be serves nobody, and what served before goes on.
func TestVerify(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	in := func(body string, err error) preview.Inputs {
		b := worker(answering(body))
		return preview.Inputs{Bundle: b, Verify: func(context.Context, preview.Ask) error { return err }}
	}
	foreign := errors.New("foreign")
	if _, err := rt.Apply(t.Context(), r, in("one", foreign)); !errors.Is(err, foreign) {
		t.Fatal(err)
	}
	if o, err := rt.Observe(t.Context(), r); err != nil || o.Digest != "" || !o.Owned {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := rt.Apply(t.Context(), r, in("one", nil)); err != nil {
		t.Fatal(err)
	}
	before, err := rt.Observe(t.Context(), r)
	if err != nil || before.Digest != r.Digest {
		t.Errorf("%+v, %v", before, err)
	}
	r.Digest = "another"
	if _, err := rt.Apply(t.Context(), r, in("two", foreign)); !errors.Is(err, foreign) {
		t.Fatal(err)
	}
	if o, err := rt.Observe(t.Context(), r); err != nil || o.Digest != before.Digest {
		t.Errorf("%+v, %v", o, err)
	}
}

// A Worker that dies while it is asked who it is, is known to be dead then, and not after a minute of questions; it is under its limits
// from its start.
func TestVerifyOfTheDead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, want string
		kill             bool
	}{
		{"by a signal", `return new Response("hi")`, "signal: killed", true},
		{"by its memory", `let kept = globalThis.kept ??= []; for (;;) { kept.push(new Uint8Array(8 << 20).fill(1)); await scheduler.wait(0); }`,
			"It used more than its 256 MB of memory before it answered.", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt := newRuntime(t, nil)
			r := resource()
			apply(t, rt, r, worker(answering(`return new Response("before")`)))
			serving := rt.pids()
			r.Digest = "another"
			verify := func(ctx context.Context, ask preview.Ask) error {
				pids := rt.pids()
				if len(pids) != len(serving)+1 {
					t.Errorf("while it is asked, processes %v are known", pids)
				}
				if tt.kill {
					_ = syscall.Kill(pids[len(pids)-1], syscall.SIGKILL)
				}
				_, _, _ = ask(ctx, "/", nil)
				select {
				case <-ctx.Done(): // nobody is there to be asked
				case <-time.After(time.Minute):
					t.Error("its death was not noticed")
				}
				return errors.New("not proven")
			}
			_, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: worker(answering(tt.body)), Verify: verify})
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || !strings.Contains(invalid.Problems[0].Message, tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			wantGet(t, rt, r.Name, "/", "before")
			eventually(t, "only what serves is left", func() bool { return slices.Equal(rt.pids(), serving) })
		})
	}
}
