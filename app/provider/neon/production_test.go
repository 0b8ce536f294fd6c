package neon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

// Nothing of production is ever taken for a preview, whatever it is called and marked with.
func TestNeverProduction(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	tests := []struct {
		name  string
		trick func(*sim.Branch)
	}{
		{"the default branch", func(b *sim.Branch) { b.Default = true }},
		{"a protected branch", func(b *sim.Branch) { b.Protected = true }},
		{"a root", func(b *sim.Branch) { b.Parent = "" }},
	}
	s := world(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := provider(t, s)
			r := resource(t)
			apply(t, p, r)
			s.Change(r.Name, tt.trick)
			before := writes(s)
			if _, err := p.Apply(t.Context(), r, preview.Inputs{}); !errors.Is(err, preview.ErrConflict) {
				t.Errorf("apply: %v", err)
			}
			if err := p.Delete(t.Context(), r); !errors.Is(err, preview.ErrConflict) {
				t.Errorf("delete: %v", err)
			}
			found, err := p.List(t.Context())
			if err != nil || slices.ContainsFunc(found, func(f preview.Found) bool { return f.Name == r.Name }) {
				t.Errorf("list: %v %v", found, err)
			}
			if after := writes(s); after != before {
				t.Errorf("%s writes became %s", before, after)
			}
		})
	}
	// The parent of a branch is "main", by id.
	child := resource(t)
	apply(t, provider(t, s), child)
	main := ""
	s.Change(child.Name, func(b *sim.Branch) { main = b.Parent })
	for _, named := range []struct{ production, parent string }{{main, "main"}, {"main", main}, {"main", "main"}, {main, main}} {
		p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Production: []string{named.production}})
		if err != nil {
			t.Fatal(err)
		}
		r, before := resource(t), writes(s)
		r.Parent = named.parent
		if _, err := p.Apply(t.Context(), r, preview.Inputs{}); err == nil || !strings.Contains(err.Error(), "production") || writes(s) != before {
			t.Errorf("%+v: %v", named, err)
		}
		if findings := p.Diagnose(t.Context(), []string{named.parent}); len(findings) != 2 || findings[1].OK {
			t.Errorf("%+v: %+v", named, findings)
		}
	}
	r := resource(t)
	forbidding, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Forbidden: []string{r.Name}})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, provider(t, s), r)
	if err := forbidding.Delete(t.Context(), r); !errors.Is(err, preview.ErrConflict) {
		t.Errorf("delete of a branch that the operator names: %v", err)
	}
}

// Names move, and nobody gets production or somebody else's branch by that: not as a preview's branch, not as its parent.
func TestRenamed(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	rename := func(from, to string) {
		t.Helper()
		if !slices.Contains(s.Names(), from) {
			t.Fatalf("there is no branch %q", from)
		}
		s.Change(from, func(b *sim.Branch) { b.Name = to })
	}
	first := resource(t)
	apply(t, provider(t, s), first)
	s.Change(first.Name, func(b *sim.Branch) { b.Name = "production" })
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Production: []string{"production"}, Look: look, Dial: s.Dial, Roots: s.Certificates()})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, r preview.Resource, p *neon.Branches, says string) {
		t.Helper()
		before := writes(s)
		if _, err := p.Apply(t.Context(), r, preview.Inputs{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: apply: %v", what, err)
		}
		if after := writes(s); after != before {
			t.Errorf("%s: %s writes became %s", what, before, after)
		}
	}
	child := resource(t)
	apply(t, p, child) // and where production is has been seen

	// Production is called otherwise now, and another branch has its name.
	rename("production", "reports")
	other := resource(t)
	other.Parent = "reports"
	refused("production by its new name", other, p, "production")
	decoy := resource(t)
	apply(t, provider(t, s), decoy)
	rename(decoy.Name, "production")
	refused("production by its new name, beside another production", other, p, "production")
	rename("production", decoy.Name)
	rename("reports", "production")

	// A preview's branch that somebody renamed is nobody's, and no parent.
	rename(child.Name, "archive")
	if seen, err := p.Observe(t.Context(), child); err != nil || seen.Exists {
		t.Errorf("a renamed branch is seen: %+v %v", seen, err)
	}
	before := writes(s)
	if err := p.Delete(t.Context(), child); err != nil || writes(s) != before || !slices.Contains(s.Names(), "archive") {
		t.Errorf("a renamed branch was deleted: %v", err)
	}
	other.Parent = "archive"
	refused("a preview's branch as a parent", other, p, "preview's branch")

	// Another environment's branch gets a preview's name.
	other.Parent = "main"
	rename("archive", other.Name)
	refused("somebody else's branch", other, p, other.Name)
	if err := p.Delete(t.Context(), other); !errors.Is(err, preview.ErrConflict) || !slices.Contains(s.Names(), other.Name) {
		t.Errorf("somebody else's branch is deleted: %v", err)
	}
}

// A parent that becomes protected is no parent any more: the next pass is refused before it writes.
func TestParentBecomesProtected(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	apply(t, p, resource(t))
	s.Change("main", func(b *sim.Branch) { b.Protected = true })
	r, before := resource(t), writes(s)
	if _, err := p.Apply(t.Context(), r, preview.Inputs{}); err == nil || !strings.Contains(err.Error(), "protected") || writes(s) != before {
		t.Errorf("%v; %s writes became %s", err, before, writes(s))
	}
	s.Change("main", func(b *sim.Branch) { b.Protected = false })
	apply(t, p, r)

	// In the middle of a pass, as soon as what the pass has read no longer counts.
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Fresh: time.Nanosecond, Dial: s.Dial, Roots: s.Certificates()})
	if err != nil {
		t.Fatal(err)
	}
	r = resource(t)
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Exists {
		t.Fatalf("observed %+v, %v", observed, err)
	}
	s.Change("main", func(b *sim.Branch) { b.Protected = true })
	before = writes(s)
	if _, err := p.Apply(t.Context(), r, preview.Inputs{}); err == nil || !strings.Contains(err.Error(), "protected") || writes(s) != before {
		t.Errorf("in the middle of a pass: %v; %s writes became %s", err, before, writes(s))
	}
}

// While the data of an anonymised branch is being masked, nothing is branched from it, and nothing reset to it: it is what it was copied from.
func TestParentIsMasked(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	there := resource(t)
	apply(t, p, there)
	there.Reset = true
	for _, state := range []string{"created", "initialized", "anonymizing", "error"} {
		s.Change("main", func(b *sim.Branch) { b.Masking = state })
		before := writes(s)
		for _, r := range []preview.Resource{resource(t), there} {
			if _, err := p.Apply(t.Context(), r, preview.Inputs{}); preview.Classify(err) != preview.ClassTransient || !errors.Is(err, preview.ErrUnmasked) {
				t.Errorf("%s: %v", state, err)
			}
		}
		if after := writes(s); after != before {
			t.Errorf("%s: %s writes became %s", state, before, after)
		}
	}
	s.Change("main", func(b *sim.Branch) { b.Masking = "anonymized" })
	apply(t, p, resource(t))
	apply(t, p, there)

	// Another branch has the parent's name by now: a reset starts from it, not from the one before, also when it is the second try of one.
	main, cut := "", resource(t)
	apply(t, p, cut)
	cut.Reset = true
	s.Change(there.Name, func(b *sim.Branch) { main, b.Parent = b.Parent, "br-former" })
	s.Change(cut.Name, func(b *sim.Branch) { b.Name, b.Parent = b.Name+"_new", "br-former" })
	for _, r := range []preview.Resource{there, cut} {
		_, err := p.Apply(t.Context(), r, preview.Inputs{})
		for deadline := time.Now().Add(time.Minute); preview.Classify(err) == preview.ClassTransient && time.Now().Before(deadline); {
			<-time.After(look) // a name is taken until its branch is gone
			_, err = p.Apply(t.Context(), r, preview.Inputs{})
		}
		now := ""
		s.Change(r.Name, func(b *sim.Branch) { now = b.Parent })
		if err != nil || now != main || s.BranchesNamed(r.Name) != 1 {
			t.Errorf("%s: %v, its parent is %q, and there are %d branches", r.Name, err, now, s.BranchesNamed(r.Name))
		}
	}
}

// A connection string that leads to another branch's compute, production's here, is not bound to a preview, nor is anybody logged in with it.
func TestConnectionStringOfProduction(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	execute(t, s, s.RootURI(), `COMMENT ON DATABASE neondb IS 'of production'`)
	mistaken := func(path string) *neon.Branches {
		p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(),
			Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
				answer, err := http.DefaultTransport.RoundTrip(request)
				if err != nil || !strings.HasSuffix(request.URL.Path, path) || answer.StatusCode >= http.StatusBadRequest {
					return answer, err
				}
				defer func() { _ = answer.Body.Close() }()
				var said map[string]any
				if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
					return nil, err
				}
				if _, ok := said["uri"]; ok {
					said["uri"] = s.RootURI()
				}
				if list, ok := said["connection_uris"].([]any); ok {
					for _, one := range list {
						one.(map[string]any)["connection_uri"] = s.RootURI()
					}
				}
				text, err := json.Marshal(said)
				answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
				return answer, err
			})})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	refused := func(when string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "another branch's compute") || strings.Contains(err.Error(), "npg_") {
			t.Errorf("%s: %v", when, err)
		}
		if said := value(t, s, s.RootURI(), comment); said != "of production" {
			t.Errorf("%s: the comment on production's database is %q", when, said)
		}
	}
	r := resource(t)
	_, err := mistaken("/branches").Apply(t.Context(), r, preview.Inputs{})
	refused("a new branch", err)
	_, err = mistaken("/connection_uri").Apply(t.Context(), r, preview.Inputs{})
	refused("a branch that is gone on with", err)
	apply(t, provider(t, s), r)
	restarted := mistaken("/connection_uri")
	if seen, err := restarted.Observe(t.Context(), r); err != nil || seen.Digest != "" || seen.Outputs.DatabaseURL != "" {
		t.Errorf("observed after a restart: %+v, %v", seen, err)
	}
	_, err = restarted.Apply(t.Context(), r, preview.Inputs{})
	refused("after a restart", err)
}
