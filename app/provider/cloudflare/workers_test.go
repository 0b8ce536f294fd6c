package cloudflare_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

func apply(t *testing.T, p *cloudflare.Workers, r preview.Resource, in preview.Inputs) preview.Outputs {
	t.Helper()
	outputs, err := p.Apply(t.Context(), r, in)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// get asks a URL that the provider gave out.
func get(t *testing.T, s *sim.Server, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := reach(s).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func wantGet(t *testing.T, s *sim.Server, url, want string) {
	t.Helper()
	if status, body := get(t, s, url); status != http.StatusOK || body != want {
		t.Errorf("GET %s: %d %q, want %q", url, status, body, want)
	}
}

// Everything that a bundle has arrives, and of an earlier deployment nothing stays.
func TestWhatArrives(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	in := inputs(`import text from "./lib/a b.txt"; import data from "./x.bin"; import wasm from "./m.wasm"; import { other } from "./other.js";
import { Buffer } from "node:buffer";
export default { fetch(r, env) { return Response.json({ env, modules: [text, data.byteLength, wasm instanceof WebAssembly.Module, other, Buffer.from("x").toString("hex")].join("|") }); } };`)
	in.Bundle.Modules = append([]preview.Module{
		{Name: "./lib/a b.txt", Type: preview.ModuleText, Content: []byte("text")},
		{Name: "x.bin", Type: preview.ModuleData, Content: []byte{0, 1, 255}},
		{Name: "m.wasm", Type: preview.ModuleWasm, Content: []byte("\x00asm\x01\x00\x00\x00")},
		{Name: "other.js", Type: preview.ModuleES, Content: []byte("export const other = 'o';")},
	}, in.Bundle.Modules...)
	in.Bundle.Vars = map[string]string{"QUOTE": `a"b\c`, "LINES": "1\n2", "UNICODE": "žluť 🐎", "EMPTY": "", "DATABASE_URL": "a default that loses"}
	in.Bundle.JSONVars = map[string]string{"LIST": `[1, {"a": null}]`}
	outputs := apply(t, p, r, in)
	want := `{"env":{"DATABASE_URL":"` + database.Reveal() + `","EMPTY":"","LINES":"1\n2","LIST":[1,{"a":null}],"QUOTE":"a\"b\\c","UNICODE":"žluť 🐎"},"modules":"text|3|true|o|78"}`
	_, body := get(t, s, outputs.URL)
	if got := sorted(t, body); got != want {
		t.Errorf("the Worker sees %s, want %s", got, want)
	}
	script, _ := s.Script(r.Name)
	if script.Bindings["DATABASE_URL"].Type != "secret_text" {
		t.Error("the connection string is no secret")
	}
	tags := []string{"flaresmith-project-" + r.Mark.Project, "flaresmith-environment-" + r.Mark.Environment, "flaresmith-digest-1"}
	if diff := cmp.Diff(tags, script.Tags[:min(3, len(script.Tags))]); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}

	r.Digest = "2"
	apply(t, p, r, preview.Inputs{Bundle: bundle(hello)})
	if script, _ := s.Script(r.Name); len(script.Bindings) != 0 || script.Versions != 2 {
		t.Errorf("after an update without bindings there are %v in %d versions", script.Bindings, script.Versions)
	}
	wantGet(t, s, outputs.URL, "hello")
	r.Reset = true
	apply(t, p, r, preview.Inputs{Bundle: bundle(hello)})
	if script, _ := s.Script(r.Name); script.Versions != 3 {
		t.Errorf("a reset led to %d versions", script.Versions)
	}
}

// A database that was made anew has another password, and its Worker gets it although the digest stays.
func TestStaleConnectionString(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	r := resource(t)
	in := inputs(`export default { fetch(r, env) { return new Response(env.DATABASE_URL); } };`)
	apply(t, provider(t, s), r, in)
	in.Outputs.DatabaseURL = "postgres://app:another-password@db.example.com/app"
	wantGet(t, s, apply(t, provider(t, s), r, in).URL, in.Outputs.DatabaseURL.Reveal())
	script, _ := s.Script(r.Name)
	for _, tag := range script.Tags {
		if strings.Contains(tag, "another-password") {
			t.Errorf("a tag tells the password: %s", tag)
		}
	}
	before := writes(s)
	apply(t, provider(t, s), r, in)
	if after := writes(s); after != before || script.Versions != 2 {
		t.Errorf("%s writes became %s, with %d versions", before, after, script.Versions)
	}
}

// What a long-lived environment served is kept under an id that one can go back to, and is told again by who looks later; a preview keeps
// none.
func TestVersionsAreKept(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	r.Name = preview.CoreName("abcdefgh", preview.EnvironmentStaging)
	says := func(text string) preview.Inputs {
		return inputs(`export default { fetch(r, env) { return new Response("` + text + ` " + !!env.DATABASE_URL); } };`)
	}
	first := apply(t, p, r, says("one"))
	wantGet(t, s, first.URL, "one true")
	r.Digest, r.SHA = "2", strings.Repeat("0b", 20)
	second := apply(t, p, r, says("two"))
	wantGet(t, s, first.URL, "two true")
	if first.Version == "" || second.Version == "" || first.Version == second.Version {
		t.Fatalf("versions %q and %q", first.Version, second.Version)
	}
	before := writes(s)
	if again := apply(t, provider(t, s), r, says("two")); again.Version != second.Version || writes(s) != before {
		t.Errorf("unchanged: version %s, %s writes became %s", again.Version, before, writes(s))
	}
	seen, err := p.Observe(t.Context(), r)
	if err != nil || seen.Digest != "2" || seen.Outputs.Version != second.Version {
		t.Errorf("observed %+v, %v", seen, err)
	}

	body := fmt.Sprintf(`{"strategy": "percentage", "versions": [{"version_id": %q, "percentage": 100}]}`, first.Version)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/accounts/"+s.AccountID()+"/workers/scripts/"+r.Name+"/deployments", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("going back: %d", answer.StatusCode)
	}
	wantGet(t, s, first.URL, "one true")

	preview := resource(t)
	if out := apply(t, p, preview, says("three")); out.Version != "" {
		t.Errorf("a preview has the version %s", out.Version)
	}
}

// A deployment of a long-lived environment that fails in the middle is finished by the next one, and what served before does until then;
// going back to what was deployed before is no unchanged world.
func TestReleaseInterrupted(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for _, route := range []string{"PATCH /accounts/{account_id}/workers/scripts/{script_name}/script-settings", "POST /accounts/{account_id}/workers/scripts/{script_name}/versions",
		"POST /accounts/{account_id}/workers/scripts/{script_name}/deployments"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			s := world(t, nil)
			p := provider(t, s)
			r := resource(t)
			r.Name = preview.CoreName("abcdefgh", preview.EnvironmentProd)
			says := func(text string) preview.Inputs {
				return preview.Inputs{Bundle: bundle(`export default { fetch() { return new Response("` + text + `"); } };`)}
			}
			one := apply(t, p, r, says("one"))
			r.Digest = "2"
			s.SetFaults(fault.OnRoute(route, fault.Fault{Status: http.StatusBadRequest}))
			if _, err := p.Apply(t.Context(), r, says("two")); err == nil {
				t.Fatal("the fault did not show")
			}
			wantGet(t, s, one.URL, "one")
			s.SetFaults()
			r.Digest = "1"
			apply(t, p, r, says("one"))
			wantGet(t, s, one.URL, "one")
			r.Digest = "2"
			apply(t, p, r, says("two"))
			wantGet(t, s, one.URL, "two")
		})
	}
}

// sorted is a JSON object with its members in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}

// Static files are uploaded once, with a Worker or alone, and are served as the bundle says.
func TestAssets(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	source := fstest.MapFS{"public/index.html": {Data: []byte("<h1>home</h1>")}, "public/css/a b.css": {Data: []byte("a {}")}, "public/404.html": {Data: []byte("none")}}
	assets := &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundPage}
	for _, name := range []string{"/404.html", "/css/a b.css", "/index.html"} {
		content := source["public"+name].Data
		sum := sha256.Sum256(content)
		assets.Files = append(assets.Files, preview.Asset{Path: name, Size: int64(len(content)), Hash: hex.EncodeToString(sum[:])})
	}
	alone := preview.Inputs{Source: source, Bundle: &preview.Bundle{CompatibilityDate: "2026-01-01", Assets: assets, Digest: "a"}}
	r := resource(t)
	address := apply(t, p, r, alone).URL
	wantGet(t, s, address, "<h1>home</h1>")
	wantGet(t, s, address+"css/a%20b.css", "a {}")
	if status, body := get(t, s, address+"nothing"); status != http.StatusNotFound || body != "none" {
		t.Errorf("where nothing is: %d %s", status, body)
	}

	before := len(s.Requests())
	both := preview.Inputs{Source: source, Bundle: bundle(`export default { async fetch(r, env) { return new Response("worker:" + await (await env.FILES.fetch(new URL("/", r.url))).text()); } };`)}
	withBinding := *assets
	withBinding.Binding, withBinding.NotFound = "FILES", preview.NotFoundNone
	withBinding.WorkerFirstRoutes = []string{"/api/*"}
	both.Bundle.Assets = &withBinding
	other := resource(t)
	address = apply(t, p, other, both).URL
	wantGet(t, s, address, "<h1>home</h1>")
	wantGet(t, s, address+"api/x", "worker:<h1>home</h1>")
	if again := s.Requests()[before:]; slices.Contains(again, "POST /accounts/{account_id}/workers/assets/upload") {
		t.Errorf("the same files were uploaded again: %v", again)
	}

	source["public/index.html"] = &fstest.MapFile{Data: []byte("<h1>HOME</h1>")}
	assets.Files[2].Hash = strings.Repeat("0", 64)
	r.Digest = "2"
	if _, err := p.Apply(t.Context(), r, alone); err == nil || !strings.Contains(err.Error(), "not what the bundle says") {
		t.Errorf("a file that changed meanwhile: %v", err)
	}
}

// Two Workers may be bound to each other, and be deployed at once and in any order.
func TestBoundToEachOther(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := provider(t, s)
	api := resource(t)
	admin := api
	admin.Worker, admin.Name = "admin", preview.WorkerName(api.Name, "admin")
	const source = `export default { async fetch(r, env) {
  if (new URL(r.url).pathname == "/name") return new Response(env.NAME);
  return new Response(env.NAME + ">" + await (await env.OTHER.fetch("http://any/name")).text());
} };`
	of := func(name, to string) preview.Inputs {
		b := bundle(source)
		b.Vars, b.Services = map[string]string{"NAME": name}, map[string]string{"OTHER": to}
		return preview.Inputs{Bundle: b}
	}
	var both sync.WaitGroup
	var apiURL, adminURL string
	both.Go(func() {
		if o, err := p.Apply(t.Context(), api, of("api", "admin")); err != nil {
			t.Error(err)
		} else {
			apiURL = o.URL
		}
	})
	both.Go(func() {
		if o, err := p.Apply(t.Context(), admin, of("admin", "")); err != nil {
			t.Error(err)
		} else {
			adminURL = o.URL
		}
	})
	both.Wait()
	if t.Failed() {
		return
	}
	wantGet(t, s, apiURL, "api>admin")
	wantGet(t, s, adminURL, "admin>api")
	for _, r := range []preview.Resource{api, admin} {
		if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != "1" {
			t.Errorf("observed %+v, %v", o, err)
		}
	}
	for _, r := range []preview.Resource{api, admin} {
		if err := p.Delete(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	if found, err := p.List(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("left: %v %v", found, err)
	}
}

// A host that is seen late is waited for, but not for ever.
func TestHostThatLags(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, func(c *sim.Config) { c.Latency.Host = 300 * time.Millisecond })
	r := resource(t)
	wantGet(t, s, apply(t, provider(t, s), r, inputs(hello)).URL, "hello")

	hurried := configuration(s)
	hurried.Wait = time.Millisecond
	late := resource(t)
	p := with(t, hurried)
	apply(t, p, late, inputs(hello))
	if o, err := p.Observe(t.Context(), late); err != nil || o.Digest != "1" {
		t.Errorf("after the wait it is not finished: %+v, %v", o, err)
	}
}

// A Worker that can't run is its author's to fix, and what served before goes on.
func TestRefusedWorker(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	address := apply(t, p, r, inputs(hello)).URL
	bad := r
	bad.Digest = "2"
	in := inputs(`import { env } from "cloudflare:workers"; throw new Error("boom " + env.DATABASE_URL + " " + new URL(env.DATABASE_URL).password);`)
	_, err := p.Apply(t.Context(), bad, in)
	if preview.Classify(err) != preview.ClassInvalid || !strings.Contains(err.Error(), "boom *** ***") {
		t.Errorf("error %v, want an invalid one without secrets", err)
	}
	wantGet(t, s, address, "hello")
	if o, err := p.Observe(t.Context(), bad); err != nil || o.Digest != "1" {
		t.Errorf("observed %+v, %v; want the digest of what serves", o, err)
	}
	tests := []struct {
		name   string
		change func(*preview.Bundle)
	}{
		{"module", func(b *preview.Bundle) { b.Modules[0].Name, b.MainModule = `a"`, `a"` }},
		{"module called metadata", func(b *preview.Bundle) { b.Modules[0].Name, b.MainModule = "metadata", "metadata" }},
		{"main", func(b *preview.Bundle) { b.MainModule = "other.js" }},
		{"type", func(b *preview.Bundle) { b.Modules[0].Type = "python" }},
		{"date", func(b *preview.Bundle) { b.CompatibilityDate = "" }},
		{"variable", func(b *preview.Bundle) { b.Vars = map[string]string{"a b": ""} }},
		{"JSON", func(b *preview.Bundle) { b.JSONVars = map[string]string{"A": "{"} }},
		{"twice", func(b *preview.Bundle) {
			b.Vars, b.Services = map[string]string{"A": ""}, map[string]string{"A": "admin"}
		}},
		{"sibling", func(b *preview.Bundle) { b.Services = map[string]string{"A": "../x"} }},
	}
	before := writes(s)
	for _, tt := range tests {
		in := inputs(hello)
		tt.change(in.Bundle)
		if _, err := p.Apply(t.Context(), bad, in); preview.Classify(err) != preview.ClassInvalid {
			t.Errorf("%s: %v, want an invalid one", tt.name, err)
		}
	}
	if _, err := p.Apply(t.Context(), bad, preview.Inputs{Bundle: inputs(hello).Bundle}); err == nil {
		t.Error("a Worker without its connection string was uploaded")
	}
	if after := writes(s); after != before {
		t.Errorf("%s writes became %s", before, after)
	}
}

// A host that somebody turned off is noticed and turned on again.
func TestDrift(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	address := apply(t, p, r, inputs(hello)).URL
	s.Change(r.Name, func(c *sim.Script) { c.OnHost = false })
	if o, err := p.Observe(t.Context(), r); err != nil || !o.Owned || o.Digest != "" {
		t.Errorf("observed %+v, %v; want it unfinished", o, err)
	}
	apply(t, p, r, inputs(hello))
	wantGet(t, s, address, "hello")
}

// A script whose tags say two things, or one thing of somebody else, is not ours.
func TestNotOurs(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	for name, change := range map[string]func([]string) []string{
		"no mark":      func([]string) []string { return nil },
		"half a mark":  func(tags []string) []string { return tags[:1] },
		"two marks":    func(tags []string) []string { return append([]string{"flaresmith-project-other"}, tags...) },
		"another mark": func(tags []string) []string { return append(tags[1:], "flaresmith-project-other") },
	} {
		r := resource(t)
		apply(t, p, r, inputs(hello))
		s.Change(r.Name, func(c *sim.Script) { c.Tags = change(c.Tags) })
		before := writes(s)
		r.Digest = "2"
		if _, err := p.Apply(t.Context(), r, inputs(hello)); !errors.Is(err, preview.ErrConflict) {
			t.Errorf("%s: apply: %v", name, err)
		}
		if err := p.Delete(t.Context(), r); !errors.Is(err, preview.ErrConflict) {
			t.Errorf("%s: delete: %v", name, err)
		}
		if after := writes(s); after != before {
			t.Errorf("%s: %s writes became %s", name, before, after)
		}
	}
}

// A Worker that does not prove who it is counts as unfinished, and is asked at its host.
func TestVerify(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	in := inputs(`export default { fetch(r) { return new Response(new URL(r.url).pathname + r.headers.get("X-Question"), { status: 203 }); } };`)
	foreign := errors.New("foreign")
	said := ""
	in.Verify = func(ctx context.Context, ask preview.Ask) error {
		status, body, err := ask(ctx, "/who", map[string]string{"X-Question": "?"})
		said = fmt.Sprint(status, " ", string(body), " ", err)
		return foreign
	}
	if _, err := p.Apply(t.Context(), r, in); !errors.Is(err, foreign) || said != "203 /who? <nil>" {
		t.Fatalf("%v; the Worker said %s", err, said)
	}
	if o, err := p.Observe(t.Context(), r); err != nil || !o.Owned || o.Digest != "" {
		t.Errorf("%+v, %v", o, err)
	}
	in.Verify = func(context.Context, preview.Ask) error { return nil }
	apply(t, p, r, in)
	if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != r.Digest {
		t.Errorf("%+v, %v", o, err)
	}
}
