package postman_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postman"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/postman"
)

// A new preview takes three of Postman's requests, an unchanged one reads alone, and a push changes nothing but what it changes.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	pass := func() []string {
		t.Helper()
		before := len(s.Requests())
		observed, err := p.Observe(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if observed.Digest != r.Digest {
			if _, err := p.Apply(t.Context(), r, shop()); err != nil {
				t.Fatal(err)
			}
		}
		requests := slices.Clone(s.Requests()[before:])
		slices.Sort(requests[:min(len(requests), 2)]) // the look, whose requests are made at the same moment
		return requests
	}
	const workspace, environment, collection = "GET /workspaces/{id}", "/environments/{id}", "/collections/{id}"
	if diff := cmp.Diff([]string{workspace, "POST /collections", "POST /environments"}, pass()); diff != "" {
		t.Errorf("a new preview (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"GET " + environment, workspace}, pass()); diff != "" {
		t.Errorf("an unchanged preview (-want +got):\n%s", diff)
	}
	r.Digest = "2"
	if diff := cmp.Diff([]string{"GET " + environment, workspace, "PUT " + environment, "GET " + collection, "PUT " + collection, "PUT " + environment}, pass()); diff != "" {
		t.Errorf("a push (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sim.Change{}, s.LastChange(r.Name)); diff != "" {
		t.Errorf("a push that changes no request changes (-want +got):\n%s", diff)
	}
	if c, e := s.Named(s.Personal(), r.Name); c+e != 0 {
		t.Errorf("%d collections and %d environments landed in the personal workspace", c, e)
	}
	for _, want := range [][]string{{workspace, "GET " + environment}, {workspace}} { // the first one asks for the mark, the next one remembers it
		before := len(s.Requests())
		if found, err := p.List(t.Context()); err != nil || len(found) != 1 {
			t.Fatalf("list: %v %v", found, err)
		}
		if diff := cmp.Diff(want, s.Requests()[before:]); diff != "" {
			t.Errorf("a list (-want +got):\n%s", diff)
		}
	}
}

// TestLookIsConcurrent has each request of a look wait until the other one was asked for.
func TestLookIsConcurrent(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	apply(t, p, r, shop())
	asked := map[string]chan struct{}{"GET /workspaces/{id}": make(chan struct{}), "GET /environments/{id}": make(chan struct{})}
	s.SetFaults(func(request *http.Request) *fault.Fault {
		route := fault.RouteOf(request)
		close(asked[route])
		for _, other := range asked {
			select {
			case <-other:
			case <-time.After(3 * time.Minute):
				t.Errorf("%s is asked for alone", route)
			}
		}
		return nil
	})
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != r.Digest {
		t.Errorf("%+v, %v", observed, err)
	}
}

// Fifteen previews at the same moment are made with three requests each, within the limit.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const previews = 15
	s := world(t, sim.Config{Minute: 3 * previews, Latency: 20 * time.Millisecond})
	p := provider(t, s)
	var group sync.WaitGroup
	for range previews {
		r := resource(t)
		group.Go(func() {
			if _, err := p.Observe(t.Context(), r); err != nil {
				t.Error(err)
			}
			if _, err := p.Apply(t.Context(), r, shop()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := len(s.Requests()); n != 3*previews {
		t.Errorf("%d requests", n)
	}
}

// Whatever fails, and whenever, the next tries end with one collection and one environment that are up to date, and nothing
// of them is left after their deletion.
func TestFaults(t *testing.T) {
	t.Parallel()
	reads := map[string]fault.Fault{
		"500":     {Status: http.StatusInternalServerError},
		"429":     {Status: http.StatusTooManyRequests, Header: http.Header{"RetryAfter": {"1"}}},
		"garbage": {Status: http.StatusOK, Body: "<html>"},
		"dropped": {Drop: true},
	}
	changes := map[string]fault.Fault{
		"503":             {Status: http.StatusServiceUnavailable},
		"423":             {Status: http.StatusLocked},
		"429":             {Status: http.StatusTooManyRequests, Header: http.Header{"RetryAfter": {"1"}}},
		"garbage":         {Status: http.StatusOK, Body: "<html>"},
		"done, garbage":   {Status: http.StatusOK, Body: "<html>", After: true},
		"nothing done":    {Status: http.StatusOK, Body: "{}"},
		"done but 504":    {Status: http.StatusGatewayTimeout, After: true},
		"done, dropped":   {Drop: true, After: true},
		"dropped, undone": {Drop: true},
	}
	routes := map[string]map[string]fault.Fault{
		"GET /workspaces/{id}":      reads,
		"GET /environments/{id}":    reads,
		"GET /collections/{id}":     reads,
		"POST /collections":         changes,
		"POST /environments":        changes,
		"PUT /collections/{id}":     changes,
		"PUT /environments/{id}":    changes,
		"DELETE /collections/{id}":  changes,
		"DELETE /environments/{id}": changes,
	}
	for route, faults := range routes {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				t.Parallel()
				s := world(t, sim.Config{})
				p := provider(t, s)
				r := resource(t)
				live(t, s, p, r, func() { s.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, f))) })
			})
		}
	}
}

// live makes, changes and removes one under faults that fault sets before each.
func live(t *testing.T, s *sim.Server, p *postman.Provider, r preview.Resource, fault func()) {
	t.Helper()
	for _, digest := range []string{"1", "2"} {
		r.Digest = digest
		fault()
		eventually(t, "apply "+digest, func() error {
			observed, err := p.Observe(t.Context(), r)
			if err != nil {
				return err
			}
			if observed.Digest == digest {
				return nil
			}
			if _, err = p.Apply(t.Context(), r, shop()); err != nil {
				return err
			}
			return preview.Transient(errors.New("look again"))
		})
		s.SetFaults()
		if c, e := s.Named(s.Team(), r.Name); c != 1 || e != 1 {
			t.Errorf("digest %s: %d collections and %d environments", digest, c, e)
		}
	}
	fault()
	eventually(t, "delete", func() error { return p.Delete(t.Context(), r) })
	s.SetFaults()
	if c, e := s.Named(s.Team(), r.Name); c+e != 0 {
		t.Errorf("%d collections and %d environments are left", c, e)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Exists {
		t.Errorf("after the deletion %+v, %v", observed, err)
	}
}

// eventually tries as the reconciler does: what is transient again, and nothing else.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 8 {
		if err = try(); err == nil {
			return
		}
		if preview.Classify(err) != preview.ClassTransient {
			t.Fatalf("%s: class %s: %v", what, preview.Classify(err), err)
		}
		if strings.Contains(err.Error(), apiKey) {
			t.Fatalf("%s: a secret in %v", what, err)
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// A change that is always refused leaves what there was, without a digest that is not true.
func TestRefusedAlways(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"PUT /environments/{id}", "PUT /collections/{id}", "GET /collections/{id}"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			s := world(t, sim.Config{})
			p := provider(t, s)
			r := resource(t)
			if _, err := p.Apply(t.Context(), r, shop()); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(fault.OnRoute(route, fault.Fault{Status: http.StatusForbidden}))
			r.Digest = "2"
			if _, err := p.Apply(t.Context(), r, shop()); preview.Classify(err) != preview.ClassPermanent || err == nil {
				t.Errorf("apply: %v", err)
			}
			s.SetFaults()
			// An environment that could not be changed still tells the truth: nothing was.
			want := map[bool]string{true: "1", false: ""}[strings.HasPrefix(route, "PUT /environments")]
			if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != want {
				t.Errorf("observed %+v, %v", observed, err)
			}
		})
	}
}

// When the month's requests are used up, nobody asks any more, and the error says so.
func TestMonthUsedUp(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	var log bytes.Buffer
	p, err := postman.New(postman.Config{APIURL: s.URL(), APIKey: apiKey, WorkspaceID: s.Team(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r := resource(t)
	s.SetMonth(2) // for the look and the collection; the environment is too much
	_, err = p.Apply(t.Context(), r, shop())
	var transient *preview.TransientError
	if !errors.As(err, &transient) || transient.After < 50*time.Minute || !strings.Contains(err.Error(), "used up for this month") {
		t.Errorf("apply: %v", err)
	}
	before := len(s.Requests())
	if _, err := p.Observe(t.Context(), r); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("observe: %v", err)
	}
	if after := len(s.Requests()); after != before {
		t.Errorf("%d requests were made all the same", after-before)
	}
	if !strings.Contains(log.String(), "used up") || strings.Contains(log.String(), apiKey) {
		t.Errorf("log: %s", log.String())
	}
	// What was begun is found and finished when there are requests again.
	s.SetMonth(100)
	if _, err := provider(t, s).Apply(t.Context(), r, shop()); err != nil {
		t.Fatal(err)
	}
	if c, e := s.Named(s.Team(), r.Name); c != 1 || e != 1 {
		t.Errorf("%d collections and %d environments", c, e)
	}
	if answer := s.Requests(); !slices.Contains(answer, "PUT /collections/{id}") {
		t.Errorf("the collection was not taken over: %v", answer)
	}
}

// What fails for good is said, and is no reason to try again at once.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	r := resource(t)
	wrong, err := postman.New(postman.Config{APIURL: s.URL(), APIKey: "PMAK-wrong", WorkspaceID: s.Team()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Apply(t.Context(), r, shop()); preview.Classify(err) != preview.ClassPermanent || err == nil || strings.Contains(err.Error(), "PMAK-wrong") {
		t.Errorf("a wrong key: %v", err)
	}
	elsewhere, err := postman.New(postman.Config{APIURL: s.URL(), APIKey: apiKey, WorkspaceID: "00000000-0000-4000-8000-000000000000"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Apply(t.Context(), r, shop()); preview.Classify(err) != preview.ClassNotFound {
		t.Errorf("a workspace that is not there: %v", err)
	}
	s.SetFaults(fault.OnRoute("GET /workspaces/{id}", fault.Fault{Status: http.StatusTooManyRequests, Body: `{"error":{"name":"serviceLimitExhausted"}}`}))
	plain := over(t, s, http.DefaultTransport)
	if _, err := plain.Apply(t.Context(), r, shop()); preview.Classify(err) != preview.ClassTransient || !strings.Contains(err.Error(), "used up for this month") {
		t.Errorf("a month that is used up, without headers: %v", err)
	}
	s.SetFaults(fault.OnRoute("POST /collections", fault.Fault{Status: http.StatusBadRequest, Body: `{"error":{"name":"malformedRequestError","message":"Found 1 errors"}}`}))
	if _, err := provider(t, s).Apply(t.Context(), r, shop()); preview.Classify(err) != preview.ClassInvalid || !strings.Contains(err.Error(), "Found 1 errors") {
		t.Errorf("a collection that Postman does not take: %v", err)
	}
}
