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
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

func onPages(t *testing.T, s *sim.Server) *cloudflare.Workers {
	t.Helper()
	c := configuration(s)
	c.Driver = cloudflare.DriverPages
	return with(t, c)
}

func TestPagesConformance(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	providertest.Run(t, providertest.Suite{
		Provider: onPages(t, s),
		Resource: resource,
		Inputs:   func(*testing.T, preview.Resource) preview.Inputs { return inputs(hello) },
		Snapshot: func(*testing.T, preview.Resource) string { return writes(s) },
		Plant: func(t *testing.T, r preview.Resource) {
			t.Helper()
			api, err := sdk.NewWithAPIToken(token, sdk.BaseURL(s.URL()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := api.CreatePagesProject(t.Context(), sdk.AccountIdentifier(s.AccountID()), sdk.CreatePagesProjectParams{Name: r.Name, ProductionBranch: "main"}); err != nil {
				t.Fatal(err)
			}
		},
		Restart: func(t *testing.T) providertest.Provider {
			t.Helper()
			return onPages(t, s)
		},
	})
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

const pagesRoute = account + "/pages/projects/{project_name}"

// Whatever fails, and whenever, the next tries end with one finished deployment, never in production, and nothing is left of it after its deletion.
func TestPagesFaults(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	unavailable, garbage := fault.Fault{Status: http.StatusServiceUnavailable}, fault.Fault{Status: http.StatusOK, Body: "<html>"}
	reads := map[string]fault.Fault{
		"500": {Status: http.StatusInternalServerError}, "garbage": garbage, "dropped": {Drop: true},
		"unknown":   {Status: http.StatusBadRequest, Body: `{"success":false,"errors":[{"code":8000000,"message":"An unknown error occurred."}],"result":null}`},
		"429":       {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"no result": {Status: http.StatusOK, Body: `{"success":false,"errors":[],"messages":[],"result":null}`},
	}
	changes := map[string]fault.Fault{
		"503": unavailable, "garbage": garbage,
		"not yet there": {Status: http.StatusNotFound, Body: `{"success":false,"errors":[{"code":8000007,"message":"Project not found."}],"result":null}`},
		"done but 504":  {Status: http.StatusGatewayTimeout, After: true},
		"done, dropped": {Drop: true, After: true},
		"done, garbage": {Status: http.StatusOK, Body: "{", After: true},
	}
	for route, faults := range map[string]map[string]fault.Fault{
		"GET " + pagesRoute:                          reads,
		"GET " + pagesRoute + "/upload-token":        reads,
		"GET " + pagesRoute + "/deployments":         reads,
		"POST " + account + "/pages/projects":        changes,
		"PATCH " + pagesRoute:                        changes,
		"POST /pages/assets/check-missing":           changes,
		"POST /pages/assets/upload":                  changes,
		"POST /pages/assets/upsert-hashes":           changes,
		"POST " + pagesRoute + "/deployments":        changes,
		"DELETE " + pagesRoute + "/deployments/{id}": changes,
		"DELETE " + pagesRoute:                       changes,
	} {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				p := onPages(t, s)
				r := resource(t)
				in := inputs(hello)
				in.Source = fstest.MapFS{"public/a.txt": {Data: []byte(r.Name)}}
				in.Bundle.Assets = assetsOf(in.Source.(fstest.MapFS))
				s.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, f)))
				defer s.SetFaults()
				for _, digest := range []string{"1", "2"} { // the second one removes the first
					r.Digest = digest
					eventually(t, "apply", func() error {
						_, err := p.Apply(t.Context(), r, in)
						return err
					})
					if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != digest {
						t.Errorf("observed %+v, %v", observed, err)
					}
					if seen, _ := s.PagesProject(r.Name); len(seen.Deployments) != 1 || seen.Deployments[0].Environment != "preview" {
						t.Errorf("deployments: %+v", seen.Deployments)
					}
				}
				eventually(t, "delete", func() error { return p.Delete(t.Context(), r) })
				if _, left := s.PagesProject(r.Name); left {
					t.Error("the project is left")
				}
			})
		}
	}
}

// A crash at any point leaves nothing that looks finished.
func TestPagesCrashes(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	for _, route := range []string{"POST " + account + "/pages/projects", "PATCH " + pagesRoute, "POST " + pagesRoute + "/deployments", "GET " + pagesRoute + "/deployments"} {
		r := resource(t)
		for _, digest := range []string{"1", "2"} {
			r.Digest = digest
			switch first := strings.HasSuffix(route, "/pages/projects"); {
			case digest == "2" && first:
				continue // there is one by then
			case digest == "1" && strings.HasSuffix(route, "/deployments") && strings.HasPrefix(route, "GET "):
				apply(t, onPages(t, s), r, inputs(hello)) // nothing is before it that could be removed
				continue
			}
			ctx, crash := context.WithCancel(t.Context())
			s.SetFaults(func(request *http.Request) *fault.Fault {
				if fault.RouteOf(request) != route {
					return nil
				}
				crash()
				return &fault.Fault{Delay: time.Minute} // until nobody waits for the answer
			})
			_, err := onPages(t, s).Apply(ctx, r, inputs(hello))
			s.SetFaults()
			crash()
			if err == nil {
				t.Fatalf("%s was not asked for", route)
			}
			p := onPages(t, s)
			if o, err := p.Observe(t.Context(), r); err != nil || o.Exists && !o.Owned || o.Digest == digest {
				t.Errorf("%s: observed %+v, %v", route, o, err)
			}
			apply(t, p, r, inputs(hello))
			if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != digest {
				t.Errorf("%s: after the next apply %+v, %v", route, o, err)
			}
		}
	}
}

// Everything that a bundle has arrives in its own preview alone, the connection string as a secret, and of an earlier deployment nothing stays.
func TestPagesWhatArrives(t *testing.T) {
	t.Parallel()
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

// Static files are served as Workers serve them, although Pages leaves that to the code.
func TestPagesAssets(t *testing.T) {
	t.Parallel()
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
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	address := apply(t, p, r, inputs(hello)).URL
	seen, _ := s.PagesProject(r.Name)
	api, err := sdk.NewWithAPIToken(token, sdk.BaseURL(s.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if err := api.DeletePagesDeployment(t.Context(), sdk.AccountIdentifier(s.AccountID()), sdk.DeletePagesDeploymentParams{ProjectName: r.Name, DeploymentID: seen.Deployments[0].ID, Force: true}); err != nil {
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

// A new preview takes few requests, an unchanged one reads once.
func TestPagesRequests(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	took := func(what string, most int, do func()) {
		before := len(s.Requests())
		do()
		requests := s.Requests()[before:]
		t.Logf("%s: %d", what, len(requests))
		if len(requests) > most {
			t.Errorf("%s took %d requests: %v", what, len(requests), requests)
		}
	}
	look := func() {
		if o, err := p.Observe(t.Context(), r); err != nil {
			t.Fatalf("observed %+v, %v", o, err)
		}
	}
	took("a new preview", 5, func() { look(); apply(t, p, r, inputs(hello)) })
	withFiles := inputs(hello)
	files := fstest.MapFS{"public/a.txt": {Data: []byte("a")}}
	withFiles.Source, withFiles.Bundle.Assets = files, assetsOf(files)
	r, first := resource(t), r
	took("one with static files", 8, func() { look(); apply(t, p, r, withFiles) })
	r = first
	took("an unchanged one", 1, look)
	r.Digest = "2"
	took("an update", 7, func() { look(); apply(t, p, r, inputs(hello)) })
	took("a teardown", 3, func() {
		if err := p.Delete(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	})
}

// A project that Pages does not delete for its many deployments is emptied first, by force where an alias leads there.
func TestPagesManyDeployments(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := onPages(t, s)
	r := resource(t)
	apply(t, p, r, inputs(hello))
	s.SetFaults(fault.Nth(1, 1, fault.OnRoute("DELETE "+pagesRoute, fault.Fault{Status: http.StatusConflict,
		Body: `{"success":false,"errors":[{"code":8000076,"message":"Your project has too many deployments to be deleted."}],"result":null}`})))
	if err := p.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, left := s.PagesProject(r.Name); left || !slices.Contains(s.Requests(), "DELETE "+pagesRoute+"/deployments/{id}") {
		t.Errorf("left: %t after %v", left, s.Requests())
	}
}
