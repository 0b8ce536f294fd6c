package cloudflare_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	sdk "github.com/cloudflare/cloudflare-go"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

func onPages(t *testing.T, s *sim.Server) *cloudflare.Workers {
	t.Helper()
	c := configuration(s)
	c.Driver = cloudflare.DriverPages
	return with(t, c)
}

// assetsOf are the files below public.
func assetsOf(source fstest.MapFS) *preview.Assets {
	a := &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundNone}
	for name, file := range source {
		sum := sha256.Sum256(file.Data)
		a.Files = append(a.Files, preview.Asset{Path: strings.TrimPrefix(name, "public"), Size: int64(len(file.Data)), Hash: hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(a.Files, func(a, b preview.Asset) int { return strings.Compare(a.Path, b.Path) })
	return a
}

// Everything that a bundle has arrives in its own preview alone, the connection string as a secret, and of an earlier deployment nothing stays.
func TestPagesWhatArrives(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	one, two := resource(t), resource(t)
	const source = `export default { fetch(r, { ASSETS, ...env }) { return Response.json(env); } };`
	in := inputs(source)
	in.Bundle.Vars = map[string]string{"QUOTE": `a"b`, "DATABASE_URL": "a default that loses"}
	in.Bundle.JSONVars = map[string]string{"LIST": `[1,{"a":null}]`}
	first := apply(t, p, one, in)
	other := inputs(source)
	other.Outputs.DatabaseURL = "postgres://app:of-the-other@db.example.com/app"
	second := apply(t, p, two, other)
	_, body := get(t, s, first.URL)
	if got, want := sorted(t, body), `{"DATABASE_URL":"`+database.Reveal()+`","LIST":[1,{"a":null}],"QUOTE":"a\"b"}`; got != want {
		t.Errorf("the first sees %s, want %s", got, want)
	}
	wantGet(t, s, second.URL, `{"DATABASE_URL":"`+other.Outputs.DatabaseURL.Reveal()+`"}`)
	seen, _ := s.PagesProject(one.Name)
	if len(seen.Deployments) != 1 || seen.Deployments[0].Bindings["DATABASE_URL"].Type != "secret_text" || seen.Deployments[0].Branch != "preview" ||
		!strings.Contains(seen.Deployments[0].Message, one.Mark.Environment) {
		t.Errorf("deployments %+v", seen.Deployments)
	}

	in.Outputs.DatabaseURL = "postgres://app:anew@db.example.com/app" // the digest stays
	apply(t, p, one, in)
	if _, body := get(t, s, first.URL); !strings.Contains(body, ":anew@") {
		t.Errorf("after the database was made anew the Worker sees %s", body)
	}
	one.Digest = "2"
	apply(t, p, one, preview.Inputs{Bundle: bundle(source)})
	wantGet(t, s, first.URL, `{}`)
	if seen, _ := s.PagesProject(one.Name); len(seen.Deployments) != 1 || len(seen.Vars["preview"]) != 0 {
		t.Errorf("after an update without a database: %+v", seen)
	}
	before := writes(s)
	apply(t, p, one, preview.Inputs{Bundle: bundle(source)})
	if after := writes(s); after != before {
		t.Errorf("%s writes became %s", before, after)
	}
	seen, _ = s.PagesProject(one.Name)
	for _, text := range []string{password, "of-the-other", ":anew@"} {
		if strings.Contains(fmt.Sprint(seen.Vars["production"], seen.Deployments), text) {
			t.Errorf("what is kept beside the preview tells %s", text)
		}
	}
}

// Of what a long-lived environment served before Pages has nothing to go back to, so no version is told.
func TestPagesKeepsNoVersions(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	r.Name = preview.CoreName("abcdefgh", preview.EnvironmentProd)
	apply(t, p, r, inputs(hello))
	before, _ := s.PagesProject(r.Name)
	r.Digest = "2"
	if out := apply(t, p, r, inputs(hello)); out.Version != "" {
		t.Errorf("the version %s is told", out.Version)
	}
	after, _ := s.PagesProject(r.Name)
	if len(before.Deployments) != 1 || len(after.Deployments) != 1 || before.Deployments[0].ID == after.Deployments[0].ID {
		t.Errorf("deployments %+v became %+v", before.Deployments, after.Deployments)
	}
	if seen, err := p.Observe(t.Context(), r); err != nil || seen.Digest != "2" || seen.Outputs.Version != "" {
		t.Errorf("observed %+v, %v", seen, err)
	}
}

// Static files are served as Workers serve them, although Pages leaves that to the code.
func TestPagesAssets(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	source := fstest.MapFS{"public/index.html": {Data: []byte("home")}, "public/a b.css": {Data: []byte("a {}")}, "public/api/raw.txt": {Data: []byte("raw")}}
	alone := preview.Inputs{Source: source, Bundle: &preview.Bundle{CompatibilityDate: "2026-01-01", Assets: assetsOf(source), Digest: "a"}}
	r := resource(t)
	address := apply(t, p, r, alone).URL
	wantGet(t, s, address, "home")
	wantGet(t, s, address+"a%20b.css", "a {}")
	if status, body := get(t, s, address+"nothing"); status != http.StatusNotFound || body != "" {
		t.Errorf("where nothing is: %d %q", status, body)
	}
	app := *alone.Bundle.Assets
	app.NotFound = preview.NotFoundApp
	r.Digest = "2"
	apply(t, p, r, preview.Inputs{Source: source, Bundle: &preview.Bundle{CompatibilityDate: "2026-01-01", Assets: &app, Digest: "b"}})
	wantGet(t, s, address+"nothing", "home")

	both := inputs(`export default { async fetch(r, env) { return new Response("worker:" + await (await env.ASSETS.fetch(new URL("/", r.url))).text()); } };`)
	both.Source, both.Bundle.Assets = source, assetsOf(source)
	both.Bundle.Assets.Binding, both.Bundle.Assets.WorkerFirstRoutes = "ASSETS", []string{"/api/*"}
	address = apply(t, p, resource(t), both).URL
	wantGet(t, s, address, "home")
	wantGet(t, s, address+"a%20b.css", "a {}")
	wantGet(t, s, address+"api/raw.txt", "worker:home")
	wantGet(t, s, address+"else", "worker:home")
	both.Bundle.Assets.WorkerFirst = true
	wantGet(t, s, apply(t, p, resource(t), both).URL+"a%20b.css", "worker:home")
}

// What Pages can't do, and a Worker that does not start, are its author's to fix, and nothing of them is told.
func TestPagesRefused(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	for name, change := range map[string]func(*preview.Bundle){
		"service": func(b *preview.Bundle) { b.Services = map[string]string{"API": "api"} },
		"binding": func(b *preview.Bundle) { b.Assets = &preview.Assets{Binding: "FILES", HTML: preview.HTMLAuto} },
		"HTML":    func(b *preview.Bundle) { b.Assets = &preview.Assets{HTML: preview.HTMLNone} },
	} {
		in := inputs(hello)
		change(in.Bundle)
		if _, err := p.Apply(t.Context(), r, in); preview.Classify(err) != preview.ClassInvalid {
			t.Errorf("%s: %v, want an invalid one", name, err)
		}
	}
	if n := writes(s); n != "0" {
		t.Errorf("%s writes", n)
	}
	address := apply(t, p, r, inputs(hello)).URL
	r.Digest = "2"
	_, err := p.Apply(t.Context(), r, inputs(`import { env } from "cloudflare:workers"; throw new Error("boom " + env.DATABASE_URL + " " + new URL(env.DATABASE_URL).password);`))
	if preview.Classify(err) != preview.ClassInvalid || !strings.Contains(err.Error(), "boom *** ***") {
		t.Errorf("error %v, want an invalid one without secrets", err)
	}
	wantGet(t, s, address, "hello")
	if seen, _ := s.PagesProject(r.Name); len(seen.Deployments) != 1 {
		t.Errorf("deployments: %+v", seen.Deployments)
	}
}

// An unproven deployment is unfinished; the proof is asked for at its own host, and the older ones are there until it is given.
func TestPagesVerify(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, func(c *sim.Config) { c.Latency.Host = 100 * time.Millisecond })
	p := onPages(t, s)
	r := resource(t)
	in := inputs(`export default { fetch(r) { return new Response(new URL(r.url).hostname.split(".")[0] + r.headers.get("X-Question")); } };`)
	foreign := errors.New("foreign")
	said := ""
	in.Verify = func(ctx context.Context, ask preview.Ask) error {
		status, body, err := ask(ctx, "/who", map[string]string{"X-Question": "?"})
		said = fmt.Sprint(status, " ", string(body), " ", err)
		return foreign
	}
	_, err := p.Apply(t.Context(), r, in)
	seen, _ := s.PagesProject(r.Name)
	if !errors.Is(err, foreign) || len(seen.Deployments) != 1 || said != "200 "+seen.Deployments[0].ID[:8]+"? <nil>" {
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

// A deployment that somebody removed or replaced is noticed, and a project with half a mark is not ours.
func TestPagesDrift(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	address := apply(t, p, r, inputs(hello)).URL
	seen, _ := s.PagesProject(r.Name)
	if err := vendor(t, s).DeletePagesDeployment(t.Context(), sdk.AccountIdentifier(s.AccountID()), sdk.DeletePagesDeploymentParams{ProjectName: r.Name, DeploymentID: seen.Deployments[0].ID, Force: true}); err != nil {
		t.Fatal(err)
	}
	if o, err := p.Observe(t.Context(), r); err != nil || !o.Owned || o.Digest != "" {
		t.Errorf("observed %+v, %v; want it unfinished", o, err)
	}
	apply(t, p, r, inputs(hello))
	wantGet(t, s, address, "hello")
	s.ChangePages(r.Name, "production", "FLARESMITH_PROJECT", "")
	before := writes(s)
	r.Digest = "2"
	if _, err := p.Apply(t.Context(), r, inputs(hello)); !errors.Is(err, preview.ErrConflict) {
		t.Errorf("apply: %v", err)
	}
	if err := p.Delete(t.Context(), r); !errors.Is(err, preview.ErrConflict) || writes(s) != before {
		t.Errorf("delete: %v", err)
	}
}

// A project that Pages does not delete for its many deployments is emptied first, by force where an alias leads there.
func TestPagesManyDeployments(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	apply(t, p, r, inputs(hello))
	s.SetFaults(fault.Nth(1, 1, fault.OnRoute("DELETE "+pagesProject, fault.Fault{Status: http.StatusConflict,
		Body: `{"success":false,"errors":[{"code":8000076,"message":"Your project has too many deployments to be deleted."}],"result":null}`})))
	if err := p.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, left := s.PagesProject(r.Name); left || !slices.Contains(s.Requests(), "DELETE "+pagesProject+"/deployments/{id}") {
		t.Errorf("left: %t after %v", left, s.Requests())
	}
}
