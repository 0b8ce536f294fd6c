package cloudflare_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/cloudflare/cloudflare-go"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// Routes of Cloudflare's.
const (
	account       = "/accounts/{account_id}"
	script        = account + "/workers/scripts/{script_name}"
	previews      = account + "/workers/workers/{script_name}/previews"
	pagesProjects = account + "/pages/projects"
	pagesProject  = pagesProjects + "/{project_name}"
)

// under is a driver with what its tests at the stand-in must know.
type under struct {
	provider func(*testing.T, *sim.Server) *cloudflare.Workers
	// plant makes what is not ours where the driver would make a Worker of that name.
	plant func(t *testing.T, s *sim.Server, name string)
	// left reports whether anything of a name is there.
	left func(s *sim.Server, name string) bool
	// single complains where a finished Worker is not exactly one; may be nil.
	single func(t *testing.T, s *sim.Server, name string)
	// reads and changes are the routes that can fail; the last one deletes.
	reads, changes []string
	// unknown is the code of an error that nobody knows, notYet are those of what is there and can't be found for a moment.
	unknown int
	notYet  []int
	// anew is called before each fault; may be nil.
	anew func(*testing.T, *sim.Server)
	// crashes are the routes at which a process can end, with the digests whose Apply asks for them: 1 is new, 2 an update.
	crashes map[string]string
}

func drivers() map[cloudflare.Driver]under {
	return map[cloudflare.Driver]under{
		cloudflare.DriverScripts: {
			provider: provider,
			plant:    func(t *testing.T, s *sim.Server, name string) { t.Helper(); plant(t, s, name, hello) },
			left: func(s *sim.Server, name string) bool {
				_, left := s.Script(name)
				return left
			},
			reads: []string{"GET " + account + "/workers/workers/{script_name}", "GET " + account + "/workers/subdomain"},
			changes: []string{"POST " + script + "/assets-upload-session", "POST " + account + "/workers/assets/upload", "PUT " + script,
				"POST " + script + "/subdomain", "PATCH " + script + "/script-settings", "DELETE " + script},
			unknown: 10013, notYet: []int{10007},
			crashes: map[string]string{"PUT " + script: "12", "POST " + script + "/subdomain": "12", "PATCH " + script + "/script-settings": "12"},
		},
		cloudflare.DriverPreviews: {
			provider: previewer,
			plant: func(t *testing.T, s *sim.Server, name string) {
				t.Helper()
				call(t, s, http.MethodPost, "/"+parent+"/previews", map[string]any{"name": name})
			},
			left:  func(s *sim.Server, name string) bool { return slices.Contains(s.Previews(parent), name) },
			reads: []string{"GET " + previews + "/{preview}"},
			changes: []string{"POST " + account + "/workers/workers", "POST " + previews, "POST " + script + "/assets-upload-session",
				"POST " + account + "/workers/assets/upload", "POST " + previews + "/{preview}/deployments",
				"PATCH " + previews + "/{preview}", "DELETE " + previews + "/{preview}"},
			unknown: 10013, notYet: []int{10007, 10025},
			anew: func(t *testing.T, s *sim.Server) { // without a parent, which the first one makes
				t.Helper()
				if _, there := s.Script(parent); there {
					remove(t, s)
				}
			},
			crashes: map[string]string{"POST " + previews: "1", "POST " + previews + "/{preview}/deployments": "12", "PATCH " + previews + "/{preview}": "12"},
		},
		cloudflare.DriverPages: {
			provider: onPages,
			plant: func(t *testing.T, s *sim.Server, name string) {
				t.Helper()
				if _, err := vendor(t, s).CreatePagesProject(t.Context(), sdk.AccountIdentifier(s.AccountID()), sdk.CreatePagesProjectParams{Name: name, ProductionBranch: "main"}); err != nil {
					t.Fatal(err)
				}
			},
			left: func(s *sim.Server, name string) bool {
				_, left := s.PagesProject(name)
				return left
			},
			single: func(t *testing.T, s *sim.Server, name string) {
				t.Helper()
				if seen, _ := s.PagesProject(name); len(seen.Deployments) != 1 || seen.Deployments[0].Environment != "preview" {
					t.Errorf("deployments: %+v", seen.Deployments)
				}
			},
			reads: []string{"GET " + pagesProject, "GET " + pagesProject + "/upload-token", "GET " + pagesProject + "/deployments"},
			changes: []string{"POST " + pagesProjects, "PATCH " + pagesProject, "POST /pages/assets/check-missing", "POST /pages/assets/upload", "POST /pages/assets/upsert-hashes",
				"POST " + pagesProject + "/deployments", "DELETE " + pagesProject + "/deployments/{id}", "DELETE " + pagesProject},
			unknown: 8000000, notYet: []int{8000007},
			crashes: map[string]string{"POST " + pagesProjects: "1", "PATCH " + pagesProject: "12", "POST " + pagesProject + "/deployments": "12",
				"GET " + pagesProject + "/deployments": "2"},
		},
	}
}

// underEach runs a test for every driver, each at a stand-in of its own.
func underEach(t *testing.T, change func(*sim.Config), test func(t *testing.T, d under, s *sim.Server)) {
	t.Helper()
	for name, d := range drivers() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			test(t, d, world(t, change))
		})
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	underEach(t, nil, func(t *testing.T, d under, s *sim.Server) {
		call(t, s, http.MethodPost, "", map[string]any{"name": parent, "subdomain": map[string]bool{"previews_enabled": true}}) // there must be one to plant at
		providertest.Run(t, providertest.Suite{
			Provider: d.provider(t, s),
			Resource: resource,
			Inputs:   func(*testing.T, preview.Resource) preview.Inputs { return inputs(hello) },
			Snapshot: func(*testing.T, preview.Resource) string { return writes(s) },
			Plant: func(t *testing.T, r preview.Resource) {
				t.Helper()
				d.plant(t, s, r.Name)
			},
			Restart: func(t *testing.T) providertest.Provider {
				t.Helper()
				return d.provider(t, s)
			},
		})
	})
}

// faults are those of reads and of changes.
func (d under) faults() (reads, changes map[string]fault.Fault) {
	reads = map[string]fault.Fault{
		"500":       {Status: http.StatusInternalServerError},
		"unknown":   saying(http.StatusBadRequest, d.unknown),
		"429":       {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"garbage":   {Status: http.StatusOK, Body: "<html>"},
		"no result": {Status: http.StatusOK, Body: `{"success":false,"errors":[],"messages":[],"result":null}`},
		"dropped":   {Drop: true},
	}
	changes = map[string]fault.Fault{
		"503":           {Status: http.StatusServiceUnavailable},
		"garbage":       {Status: http.StatusOK, Body: "<html>"},
		"done but 504":  {Status: http.StatusGatewayTimeout, After: true},
		"done, dropped": {Drop: true, After: true},
		"done, garbage": {Status: http.StatusOK, Body: "{", After: true},
	}
	for _, code := range d.notYet {
		changes[fmt.Sprint("not yet there ", code)] = saying(http.StatusNotFound, code)
	}
	return reads, changes
}

// saying is an answer with a code of Cloudflare's.
func saying(status, code int) fault.Fault {
	return fault.Fault{Status: status, Body: fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":"No."}],"result":null}`, code)}
}

// Whatever fails, and whenever, the next tries end with exactly one finished Worker, of an update, too, and nothing of it is left
// after its deletion.
func TestFaults(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	underEach(t, nil, func(t *testing.T, d under, s *sim.Server) {
		reads, changes := d.faults()
		try := func(routes []string, faults map[string]fault.Fault) {
			for _, route := range routes {
				for name, f := range faults {
					t.Run(route+" "+name, func(t *testing.T) { d.survives(t, s, route, f) })
				}
			}
		}
		try(d.reads, reads)
		try(d.changes, changes)
	})
}

func (d under) survives(t *testing.T, s *sim.Server, route string, f fault.Fault) {
	t.Helper()
	if d.anew != nil {
		d.anew(t, s)
	}
	p := d.provider(t, s)
	r := resource(t)
	failing, failed := fault.Nth(1, 1, fault.OnRoute(route, f)), false
	s.SetFaults(func(request *http.Request) *fault.Fault {
		now := failing(request)
		failed = failed || now != nil
		return now
	})
	defer s.SetFaults()
	for _, digest := range []string{"1", "2"} {
		r.Digest = digest
		in := withFile(inputs(hello), r.Name+digest)
		eventually(t, "apply", func() error {
			_, err := p.Apply(t.Context(), r, in)
			return err
		})
		if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != digest {
			t.Errorf("observed %+v, %v", o, err)
		}
		if d.single != nil {
			d.single(t, s, r.Name)
		}
	}
	eventually(t, "delete", func() error { return p.Delete(t.Context(), r) })
	if d.left(s, r.Name) {
		t.Error("it is left")
	}
	if !failed {
		t.Error("nothing failed")
	}
}

// A crash at any point of an Apply, and of a later update, leaves nothing that looks finished.
func TestCrashes(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	underEach(t, nil, func(t *testing.T, d under, s *sim.Server) {
		for route, digests := range d.crashes {
			r := resource(t)
			for _, digest := range []string{"1", "2"} {
				r.Digest = digest
				ctx, crash := context.WithCancel(t.Context())
				asked := false
				s.SetFaults(func(request *http.Request) *fault.Fault {
					if fault.RouteOf(request) != route {
						return nil
					}
					asked = true
					crash()
					return &fault.Fault{Delay: time.Minute} // until nobody waits for the answer
				})
				_, err := d.provider(t, s).Apply(ctx, r, inputs(hello))
				s.SetFaults()
				crash()
				if want := strings.Contains(digests, digest); asked != want || asked != (err != nil) {
					t.Fatalf("%s was asked for: %t, want %t: %v", route, asked, want, err)
				}
				if !asked {
					continue
				}
				p := d.provider(t, s)
				if o, err := p.Observe(t.Context(), r); err != nil || o.Exists && !o.Owned || o.Digest == digest {
					t.Errorf("%s: observed %+v, %v", route, o, err)
				}
				apply(t, p, r, inputs(hello))
				if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != digest {
					t.Errorf("%s: after the next apply %+v, %v", route, o, err)
				}
			}
		}
	})
}

// What is listed has a mark of ours. A deletion that is said to be done and is not is asked for again: who deletes comes back when nothing is
// there any more.
func TestListedAndDeleted(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	underEach(t, nil, func(t *testing.T, d under, s *sim.Server) {
		p := d.provider(t, s)
		r, other := resource(t), resource(t)
		apply(t, p, r, inputs(hello))
		d.plant(t, s, other.Name)
		want := []preview.Found{{Kind: preview.KindWorker, Name: r.Name, Mark: r.Mark}}
		if found, err := p.List(t.Context()); err != nil || !slices.Equal(found, want) {
			t.Errorf("listed %v, %v; want %v", found, err, want)
		}
		s.SetFaults(fault.Nth(1, 1, fault.OnRoute(d.changes[len(d.changes)-1], fault.Fault{Status: http.StatusOK, Body: `{"success":true,"errors":[],"messages":[],"result":null}`})))
		defer s.SetFaults()
		if err := p.Delete(t.Context(), r); err != nil || d.left(s, r.Name) {
			t.Errorf("it is left: %t, %v", d.left(s, r.Name), err)
		}
		if !d.left(s, other.Name) {
			t.Error("what is not ours is gone")
		}
	})
}

// A new preview takes few of Cloudflare's requests, an unchanged one reads alone, and a teardown takes three.
func TestRequests(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	underEach(t, nil, func(t *testing.T, d under, s *sim.Server) {
		p := d.provider(t, s)
		apply(t, p, resource(t), inputs(hello)) // the first of all makes more
		r := resource(t)
		in := withFile(inputs(hello), "a")
		took := func(what string, most int, do func()) []string {
			before := len(s.Requests())
			do()
			requests := s.Requests()[before:]
			t.Logf("%s took %d requests", what, len(requests))
			if len(requests) > most {
				t.Errorf("%s took %d requests: %v", what, len(requests), requests)
			}
			return requests
		}
		look := func() {
			if _, err := p.Observe(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		took("a new preview", 5, func() { look(); apply(t, p, r, inputs(hello)) })
		r = resource(t)
		took("a new preview with static files", 8, func() { look(); apply(t, p, r, in) })
		for what, do := range map[string]func(){"looking at": look, "applying": func() { apply(t, p, r, in) }} {
			unchanged := took(what+" an unchanged preview", 1, do)
			if slices.ContainsFunc(unchanged, func(request string) bool { return !strings.HasPrefix(request, "GET ") }) {
				t.Errorf("an unchanged preview took %v", unchanged)
			}
		}
		r.Digest = "2"
		took("an update", 7, func() { look(); apply(t, p, r, inputs(hello)) })
		took("a teardown", 3, func() {
			if err := p.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// Fifteen previews that are opened at the same moment, the first ones of the account, all get there under Cloudflare's limits, which are
// never run into.
func TestFifteenAtOnce(t *testing.T) {
	t.Parallel()
	limited := func(c *sim.Config) {
		c.Unlimited = false
		c.Latency.Call, c.Latency.Host = 50*time.Millisecond, 100*time.Millisecond
	}
	underEach(t, limited, func(t *testing.T, d under, s *sim.Server) {
		p := d.provider(t, s)
		in := withFile(preview.Inputs{Bundle: &preview.Bundle{CompatibilityDate: "2026-01-01", Digest: "a"}}, "home")
		const count = 15
		var all sync.WaitGroup
		began := time.Now()
		for range count {
			r := resource(t)
			all.Go(func() {
				if _, err := p.Observe(t.Context(), r); err != nil {
					t.Error(err)
				}
				if _, err := p.Apply(t.Context(), r, in); err != nil {
					t.Error(err)
				}
				if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != "1" {
					t.Errorf("observed %+v, %v", o, err)
				}
			})
		}
		all.Wait()
		t.Logf("%d previews in %v with %d requests", count, time.Since(began), len(s.Requests()))
		if n := s.Limited(); n != 0 {
			t.Errorf("%d requests ran into the limits", n)
		}
		if found, err := p.List(t.Context()); err != nil || len(found) != count {
			t.Errorf("listed %d, %v", len(found), err)
		}
	})
}
