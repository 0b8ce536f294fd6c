package neon_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	providertest.RetryAfter(t, func(address string) (providertest.Provider, error) {
		return neon.New(neon.Config{APIURL: address, APIKey: apiKey, ProjectID: "p"})
	})
}

func TestNoRedirect(t *testing.T) {
	t.Parallel()
	providertest.NoRedirect(t, func(address string) (providertest.Provider, error) {
		return neon.New(neon.Config{APIURL: address, APIKey: apiKey, ProjectID: "p"})
	})
}

// A new preview takes few of Neon's requests, an unchanged one reads alone.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := world(t, func(c *sim.Config) {
		c.Latency = sim.Latency{Branch: 700 * time.Millisecond, Compute: 500 * time.Millisecond}
	})
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Fresh: time.Hour, Dial: s.Dial, Roots: s.Certificates()})
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
	looks := func(r string) bool { return r == "GET "+project+"/operations/{operation_id}" } // where a login takes too long
	if diff := cmp.Diff(want, slices.DeleteFunc(s.Requests(), looks)); diff != "" {
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
