package cloudflare_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

const parent = "shop"

// previewer makes previews of one Worker.
func previewer(t *testing.T, s *sim.Server) *cloudflare.Workers {
	t.Helper()
	c := configuration(s)
	c.Driver, c.ParentWorker = cloudflare.DriverPreviews, parent
	return with(t, c)
}

// call asks the stand-in as somebody else would, with JSON.
func call(t *testing.T, s *sim.Server, method, path string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/accounts/"+s.AccountID()+"/workers/workers"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
}

// remove deletes the parent Worker.
func remove(t *testing.T, s *sim.Server) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.URL()+"/accounts/"+s.AccountID()+"/workers/scripts/"+parent+"?force=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
}

// A preview has what its bundle has and nothing of the Worker that it is a preview of, which goes on as it was.
func TestPreviewInheritsNothing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	plant(t, s, parent, `export default { fetch() { return new Response("production"); } };`)
	call(t, s, http.MethodPatch, "/"+parent, map[string]any{"subdomain": map[string]bool{"previews_enabled": true},
		"previews_base_config": map[string]any{"env": map[string]any{"STRIPE_KEY": map[string]string{"type": "secret_text", "text": "of-production"}}}})
	before, _ := s.Script(parent)
	p := previewer(t, s)
	r := resource(t)
	r.Layout.Bindings = preview.Allowance{Account: true, Allow: []string{"kv:one"}}
	s.Add("kv_namespace", "one")
	in := withFile(inputs(`import { other } from "./lib/other.js"; export default { fetch(r, env) { return Response.json({ names: Object.keys(env).sort(), other, url: env.DATABASE_URL }); } };`), "file")
	in.Bundle.Modules = append(in.Bundle.Modules, preview.Module{Name: "./lib/other.js", Type: preview.ModuleES, Content: []byte("export const other = 'o';")})
	in.Bundle.Vars = map[string]string{"TEXT": "text", "DATABASE_URL": "a default that loses"}
	in.Bundle.JSONVars = map[string]string{"LIST": "[1]"}
	in.Bundle.Bindings = []preview.Binding{{Name: "CACHE", Kind: preview.BindKV, Target: "one"}}
	address := apply(t, p, r, in).URL
	if want := "http://" + r.Name + "-" + parent + ".sim.workers.localhost:"; !strings.HasPrefix(address, want) {
		t.Errorf("the preview is at %s", address)
	}
	wantGet(t, s, address+"api", `{"names":["CACHE","DATABASE_URL","LIST","TEXT"],"other":"o","url":"`+database.Reveal()+`"}`)
	wantGet(t, s, address+"a.txt", "file")
	seen, _ := s.Preview(parent, r.Name)
	if seen.Bindings["DATABASE_URL"].Type != "secret_text" {
		t.Error("the connection string is no secret")
	}
	tags := []string{"flaresmith-project-" + r.Mark.Project, "flaresmith-environment-" + r.Mark.Environment, "flaresmith-digest-1"}
	if diff := cmp.Diff(tags, seen.Tags[:min(3, len(seen.Tags))]); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	r.Digest = "2"
	apply(t, p, r, preview.Inputs{Bundle: bundle(`export default { fetch(r, env) { return Response.json(Object.keys(env)); } };`)})
	wantGet(t, s, address, "[]")
	if err := p.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
	after, _ := s.Script(parent)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the Worker itself (-before +after):\n%s", diff)
	}
}

// A preview that answers where it should not is not deployed to, and goes with its pull request all the same.
func TestPreviewElsewhere(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	c := configuration(s)
	c.Driver, c.ParentWorker, c.HostsURL = cloudflare.DriverPreviews, parent, "http://elsewhere.example"
	p, r := with(t, c), resource(t)
	if _, err := p.Apply(t.Context(), r, inputs(`export default {};`)); err == nil || !strings.Contains(err.Error(), "not below elsewhere.example") {
		t.Errorf("applied: %v", err)
	}
	if seen, err := p.Observe(t.Context(), r); err != nil || !seen.Exists || !seen.Owned || seen.Digest != "" || seen.Outputs.URL != "" {
		t.Errorf("observed: %+v, %v", seen, err)
	}
	if err := p.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
	if _, there := s.Preview(parent, r.Name); there {
		t.Error("it is still there")
	}
}

// If Cloudflare gave a preview something of the Worker's although it was told not to, the preview would go.
func TestPreviewThatInherits(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := previewer(t, s)
	r := resource(t)
	s.SetFaults(fault.OnRoute("POST "+previews+"/{preview}/deployments", fault.Fault{Status: http.StatusOK, After: true,
		Body: `{"success":true,"errors":[],"messages":[],"result":{"env":{"DATABASE_URL":{"type":"secret_text"},"STRIPE_KEY":{"type":"secret_text"}}}}`}))
	defer s.SetFaults()
	if _, err := p.Apply(t.Context(), r, inputs(hello)); preview.Classify(err) != preview.ClassPermanent || !strings.Contains(err.Error(), `inherited the binding "STRIPE_KEY"`) {
		t.Errorf("error %v", err)
	}
	if left := s.Previews(parent); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A preview without our mark is never written to.
func TestPreviewsNotOurs(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := previewer(t, s)
	for name, change := range map[string]func([]string) []string{
		"no mark":      func([]string) []string { return nil },
		"half a mark":  func(tags []string) []string { return tags[:1] },
		"two marks":    func(tags []string) []string { return append([]string{"flaresmith-project-other"}, tags...) },
		"another mark": func(tags []string) []string { return append(tags[1:], "flaresmith-project-other") },
	} {
		r := resource(t)
		apply(t, p, r, inputs(hello))
		s.ChangePreview(parent, r.Name, func(c *sim.Script) { c.Tags = change(c.Tags) })
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
	r := resource(t)
	call(t, s, http.MethodPost, "/"+parent+"/previews", map[string]any{"name": strings.ToUpper(r.Name)})
	if o, err := p.Observe(t.Context(), r); err != nil || !o.Exists || o.Owned {
		t.Errorf("our name is another one's slug: observed %+v, %v", o, err)
	}
}

// What can't run or can't be a preview is its author's to fix, and what served before goes on and counts as finished.
func TestPreviewsRefused(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := previewer(t, s)
	r := resource(t)
	address := apply(t, p, r, inputs(hello)).URL
	bad := r
	bad.Digest = "2"
	_, err := p.Apply(t.Context(), bad, inputs(`import { env } from "cloudflare:workers"; throw new Error("boom " + env.DATABASE_URL + " " + new URL(env.DATABASE_URL).password);`))
	if preview.Classify(err) != preview.ClassInvalid || !strings.Contains(err.Error(), "boom *** ***") {
		t.Errorf("error %v, want an invalid one without secrets", err)
	}
	wantGet(t, s, address, "hello")
	if o, err := p.Observe(t.Context(), bad); err != nil || o.Digest != "1" {
		t.Errorf("observed %+v, %v; want the digest of what serves", o, err)
	}
	before := writes(s)
	for name, change := range map[string]func(*preview.Bundle){
		`"ADMIN" leads to another Worker of the preview`: func(b *preview.Bundle) { b.Services = map[string]string{"ADMIN": "admin"} },
		`the kv "production", which bindings.allow`: func(b *preview.Bundle) {
			b.Bindings = []preview.Binding{{Name: "X", Kind: preview.BindKV, Target: "production"}}
		},
	} {
		in := inputs(hello)
		change(in.Bundle)
		if _, err := p.Apply(t.Context(), bad, in); preview.Classify(err) != preview.ClassInvalid || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%v does not say that %s", err, name)
		}
	}
	if after := writes(s); after != before {
		t.Errorf("%s writes became %s", before, after)
	}
}

// A Worker that does not prove who it is counts as unfinished, a host that is turned off, too, and an evicted preview is made again.
func TestPreviewsUnfinished(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, func(c *sim.Config) { c.Previews = 1 })
	p := previewer(t, s)
	r := resource(t)
	in := inputs(`export default { fetch(r) { return new Response(new URL(r.url).pathname + r.headers.get("X-Question"), { status: 203 }); } };`)
	foreign := errors.New("foreign")
	said := ""
	in.Verify = func(ctx context.Context, ask preview.Ask) error {
		status, body, err := ask(ctx, "/who", map[string]string{"X-Question": "?"})
		said = fmt.Sprint(status, " ", string(body), " ", err)
		return foreign
	}
	wantDigest := func(what, want string) {
		t.Helper()
		if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != want {
			t.Errorf("%s: observed %+v, %v", what, o, err)
		}
	}
	if _, err := p.Apply(t.Context(), r, in); !errors.Is(err, foreign) || said != "203 /who? <nil>" {
		t.Fatalf("%v; the Worker said %s", err, said)
	}
	wantDigest("a foreign Worker", "")
	in.Verify = func(context.Context, preview.Ask) error { return nil }
	apply(t, p, r, in)
	wantDigest("a Worker of ours", "1")
	urls := func(on bool) {
		call(t, s, http.MethodPatch, "/"+parent, map[string]any{"subdomain": map[string]bool{"previews_enabled": on}})
	}
	urls(false)
	wantDigest("without a host", "")
	if _, err := p.Apply(t.Context(), r, in); preview.Classify(err) != preview.ClassPermanent || !strings.Contains(fmt.Sprint(err), "turn preview URLs on") {
		t.Errorf("without a host: %v", err)
	}
	urls(true)
	apply(t, p, r, in)
	wantDigest("with its host", "1")
	apply(t, p, resource(t), inputs(hello))
	wantDigest("evicted", "")
	apply(t, p, r, in)
	wantDigest("made again", "1")
}
