package neon_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

// connect opens a session as a Worker would, but with the stand-in's certificates and way to its hosts.
func connect(ctx context.Context, s *sim.Server, uri string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(uri)
	if err != nil {
		return nil, errors.New("the connection string does not parse")
	}
	config.DialFunc = s.Dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.TLSConfig = &tls.Config{RootCAs: s.Certificates(), ServerName: config.Host, MinVersion: tls.VersionTLS12}
	config.Fallbacks = nil
	return pgx.ConnectConfig(ctx, config)
}

func apply(t *testing.T, p *neon.Branches, r preview.Resource) preview.Outputs {
	t.Helper()
	outputs, err := p.Apply(t.Context(), r, preview.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// refused reports that a login fails for its password.
func refused(t *testing.T, s *sim.Server, uri string) bool {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err == nil {
		_ = conn.Close(t.Context())
		return false
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "28P01" {
		t.Fatalf("login: %v", err)
	}
	return true
}

// The parent's password must not open the child, whether it is new, adopted or reset, nor the other way round.
func TestParentsPasswordDoesNotOpenTheChild(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	execute(t, s, s.RootURI(), `COMMENT ON DATABASE neondb IS '{"mark": {"project": "a", "environment": "production"}}'`) // a copy has it, too, at first
	p := provider(t, s)
	r := resource(t)
	check := func(when string, outputs preview.Outputs) {
		t.Helper()
		child := outputs.DatabaseURL.Reveal()
		u, err := url.Parse(child)
		if err != nil {
			t.Fatal("the connection string does not parse")
		}
		if !strings.Contains(u.Hostname(), "-pooler.") || u.Query().Get("sslmode") != "require" {
			t.Errorf("%s: the Worker's address is not the pooler's, or without TLS", when)
		}
		conn, err := connect(t.Context(), s, child)
		if err != nil {
			t.Fatalf("%s: the child: %v", when, err)
		}
		var comment string // that the Worker's identity is judged by
		if err := conn.QueryRow(t.Context(), `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`).Scan(&comment); err != nil {
			t.Fatalf("%s: the comment on the database: %v", when, err)
		}
		if got := preview.ParseDatabaseMark(comment); got != r.Mark || !outputs.DatabaseMarked {
			t.Errorf("%s: the database says that it is of %+v, and the outputs that it is marked: %t", when, got, outputs.DatabaseMarked)
		}
		_ = conn.Close(t.Context())
		parent, err := url.Parse(s.RootURI())
		if err != nil {
			t.Fatal("the parent's connection string does not parse")
		}
		own := u.User
		u.User = parent.User
		if !refused(t, s, u.String()) {
			t.Errorf("%s: the parent's password opens the child", when)
		}
		parent.User = own
		if !refused(t, s, parent.String()) {
			t.Errorf("%s: the child's password opens the parent", when)
		}
	}
	check("new", apply(t, p, r))
	r.Reset = true
	check("reset", apply(t, p, r))
	r.Reset = false
	check("after a restart", apply(t, provider(t, s), r))
}

// A new preview takes few of Neon's requests, an unchanged one reads alone.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := world(t, func(c *sim.Config) {
		c.Latency = sim.Latency{Branch: 700 * time.Millisecond, Compute: 500 * time.Millisecond}
	})
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Dial: s.Dial, Roots: s.Certificates()})
	if err != nil {
		t.Fatal(err)
	}
	r := resource(t)
	schema := schemaOf(r, "1")
	look := func() (database, migrated preview.Observed) {
		t.Helper()
		var group sync.WaitGroup
		var errs [2]error
		group.Go(func() { database, errs[0] = p.Observe(t.Context(), r) })
		group.Go(func() { migrated, errs[1] = p.Schema().Observe(t.Context(), schema) })
		group.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		return database, migrated
	}
	look()
	apply(t, p, r)
	migrate(t, p, schema, migrations())
	const project = "/projects/{project_id}"
	want := []string{"GET " + project + "/branches", "POST " + project + "/branches", "POST " + project + "/branches/{branch_id}/roles/{role_name}/reset_password",
		"PATCH " + project + "/branches/{branch_id}", "GET " + project + "/branches/{branch_id}/compare_schema", "PATCH " + project + "/endpoints/{endpoint_id}"}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("a new branch with its migrations (-want +got):\n%s", diff)
	}
	for range 2 {
		before := len(s.Requests())
		if database, migrated := look(); database.Digest != r.Digest || migrated.Digest != schema.Digest {
			t.Fatalf("observed %+v, %+v", database, migrated)
		}
		want := []string{"GET " + project + "/branches", "GET " + project + "/branches/{branch_id}/endpoints"}
		if diff := cmp.Diff(want, s.Requests()[before:]); diff != "" {
			t.Errorf("an unchanged branch (-want +got):\n%s", diff)
		}
	}
}

// Whatever fails, and whenever, the next tries end with exactly one branch, and nothing of it is left after its deletion.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	const project = "/projects/{project_id}"
	reads := map[string]fault.Fault{
		"500":     {Status: http.StatusInternalServerError},
		"429":     {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"garbage": {Status: http.StatusOK, Body: "<html>"},
		"dropped": {Drop: true},
	}
	changes := map[string]fault.Fault{
		"503":           {Status: http.StatusServiceUnavailable},
		"423":           {Status: http.StatusLocked},
		"garbage":       {Status: http.StatusOK, Body: "<html>"},
		"done but 504":  {Status: http.StatusGatewayTimeout, After: true},
		"done, dropped": {Drop: true, After: true},
	}
	routes := map[string]map[string]fault.Fault{
		"GET " + project + "/branches":                                               reads,
		"GET " + project + "/operations/{operation_id}":                              reads,
		"POST " + project + "/branches":                                              changes,
		"POST " + project + "/branches/{branch_id}/roles/{role_name}/reset_password": changes,
		"PATCH " + project + "/branches/{branch_id}":                                 changes,
		"DELETE " + project + "/branches/{branch_id}":                                changes,
	}
	for route, faults := range routes {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				p := provider(t, s)
				r := resource(t)
				s.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, f)))
				defer s.SetFaults()
				eventually(t, "apply", func() error {
					_, err := p.Apply(t.Context(), r, preview.Inputs{})
					return err
				})
				if n := s.BranchesNamed(r.Name); n != 1 {
					t.Errorf("%d branches", n)
				}
				observed, err := p.Observe(t.Context(), r)
				if err != nil || observed.Digest != "1" {
					t.Errorf("observed %+v, %v", observed, err)
				}
				eventually(t, "delete", func() error { return p.Delete(t.Context(), r) })
				if n := s.BranchesNamed(r.Name); n != 0 {
					t.Errorf("%d branches are left", n)
				}
			})
		}
	}
}

// eventually tries as the reconciler does: what is transient again, and nothing else.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 6 {
		if err = try(); err == nil {
			return
		}
		if preview.Classify(err) != preview.ClassTransient {
			t.Fatalf("%s: class %s: %v", what, preview.Classify(err), err)
		}
		if strings.Contains(err.Error(), "npg_") || strings.Contains(err.Error(), apiKey) {
			t.Fatalf("%s: a secret in %v", what, err)
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// Another lifetime moves Neon's own end of the branch with one request, and changes nothing else of it.
func TestLifetime(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	first := apply(t, p, r)
	now := time.Now()
	for _, step := range []struct {
		name   string
		ends   time.Time
		extend bool
	}{
		{"it never ends", time.Time{}, false},
		{"it gets an end", now.Add(72 * time.Hour), true},
		{"a few minutes more", now.Add(72*time.Hour + 10*time.Minute), false},
		{"extended", now.Add(96 * time.Hour), true},
		{"longer than Neon takes", now.Add(90 * 24 * time.Hour), true},
		{"still longer", now.Add(120 * 24 * time.Hour), false},
		{"it never ends again", time.Time{}, true},
	} {
		r.ExpiresAt = step.ends
		observed, err := p.Observe(t.Context(), r)
		if err != nil || observed.Digest != r.Digest || observed.Extend != step.extend {
			t.Errorf("%s: observed %+v, %v", step.name, observed, err)
		}
		before := len(s.Requests())
		if again := apply(t, p, r); again.DatabaseURL != first.DatabaseURL {
			t.Errorf("%s: the address is another", step.name)
		}
		writes := slices.DeleteFunc(s.Requests()[before:], func(request string) bool { return strings.HasPrefix(request, "GET ") })
		if want := map[bool]int{true: 1}[step.extend]; len(writes) != want {
			t.Errorf("%s: wrote %v, want %d requests", step.name, writes, want)
		}
		if observed, err := p.Observe(t.Context(), r); err != nil || observed.Extend {
			t.Errorf("%s: afterwards %+v, %v", step.name, observed, err)
		}
	}
}

// What fails for good is said, and is no reason to try again at once.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	r := resource(t)
	wrong, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: "napi_wrong", ProjectID: s.ProjectID()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Apply(t.Context(), r, preview.Inputs{}); preview.Classify(err) != preview.ClassPermanent || strings.Contains(fmt.Sprint(err), "napi_wrong") {
		t.Errorf("a wrong key: %v", err)
	}
	r.Parent = "no-such-branch"
	if _, err := provider(t, s).Apply(t.Context(), r, preview.Inputs{}); preview.Classify(err) != preview.ClassNotFound {
		t.Errorf("a parent that is not there: %v", err)
	}
}

// Nothing of production is ever taken for a preview, whatever it is called and marked with.
func TestNeverProduction(t *testing.T) {
	t.Parallel()
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
		p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Production: named.production})
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
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Production: "production", Look: look, Dial: s.Dial, Roots: s.Certificates()})
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
