package neon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

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
	t.Run("a removed branch's name", func(t *testing.T) { keptName(t, s) })
	for route, faults := range routes {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				if !strings.Contains(name, "dropped") {
					racetest.OneAfterTheOther(t)
				}
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

// keptName: the name of a branch that was removed may be taken a little longer than it can be seen. What takes its place waits for it.
func keptName(t *testing.T, s *sim.Server) {
	t.Helper()
	p, r := provider(t, s), resource(t)
	apply(t, p, r)
	taken := fault.Fault{Status: http.StatusConflict}
	for digest, route := range map[string]string{"2": "POST /projects/{project_id}/branches", "3": "PATCH /projects/{project_id}/branches/{branch_id}"} {
		s.SetFaults(fault.Nth(1, 2, fault.OnRoute(route, taken)))
		r.Digest = digest
		apply(t, p, r)
		s.SetFaults()
		if n := s.BranchesNamed(r.Name); n != 1 {
			t.Errorf("%d branches after %s", n, route)
		}
	}
	// A reset gives the branch the name of one under construction, which may have just been removed.
	s.SetFaults(fault.Nth(1, 2, fault.OnRoute("PATCH /projects/{project_id}/branches/{branch_id}", taken)))
	r.Reset = true
	apply(t, p, r)
	s.SetFaults()
	if err := p.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// eventually tries as the reconciler does: what is transient again, and nothing else.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	pause := look
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(pause) {
		pause = min(2*pause, time.Second)
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

// What fails for good is said, and is no reason to try again at once.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
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

// What a preview's own code did to its branch, as making a second database, keeps it neither from being looked at, deleted or reset.
func TestUnusableBranch(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	r := resource(t)
	apply(t, provider(t, s), r)
	p := provider(t, s) // which has no connection string yet
	s.SetFaults(fault.OnRoute("GET /projects/{project_id}/branches/{branch_id}/databases", fault.Fault{Status: http.StatusOK,
		Body: `{"databases": [{"name": "neondb", "owner_name": "a"}, {"name": "more", "owner_name": "a"}]}`}))
	if seen, err := p.Observe(t.Context(), r); err != nil || !seen.Exists || !seen.Owned || seen.Digest != "" || seen.Outputs.DatabaseURL != "" {
		t.Errorf("observed: %+v, %v", seen, err)
	}
	if _, err := p.Apply(t.Context(), r, preview.Inputs{}); preview.Classify(err) != preview.ClassPermanent || !strings.Contains(err.Error(), "2 databases") {
		t.Errorf("applied: %v", err)
	}
	s.SetFaults()
	if seen, err := p.Observe(t.Context(), r); err != nil || seen.Digest != r.Digest {
		t.Errorf("observed afterwards: %+v, %v", seen, err)
	}

	// Somebody resets it, so that it has to be looked whose passwords it has, and deletes its compute.
	resetByHand(t, s, r.Name)
	settled(t, s)
	s.SetFaults(fault.OnRoute("GET /projects/{project_id}/branches/{branch_id}/endpoints", fault.Fault{Status: http.StatusOK, Body: `{"endpoints": []}`}))
	if seen, err := p.Observe(t.Context(), r); err != nil || !seen.Exists || !seen.Owned || seen.Digest != "" {
		t.Errorf("observed without a compute: %+v, %v", seen, err)
	}
	if err := p.Delete(t.Context(), r); err != nil || s.BranchesNamed(r.Name) != 0 {
		t.Errorf("deleted without a compute: %v", err)
	}
	s.SetFaults()
}
