package target

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

func TestSpecific(t *testing.T) {
	t.Parallel()
	paths := []string{"/{a}", "/users/{id}:activate", "/users/{id}.tar.gz", "/users/{id}.gz", "/users/:all", "/users/{id}", "/users/{id}/posts", "/users/me", "/users", "/users/{id}/posts/new", "/users/{id}/posts/{post}", "/"}
	slices.SortStableFunc(paths, func(a, b string) int { return specific(&ir.Operation{Path: a}, &ir.Operation{Path: b}) })
	want := []string{"/", "/users", "/users/me", "/users/{id}:activate", "/users/{id}.tar.gz", "/users/:all", "/users/{id}.gz", "/users/{id}", "/users/{id}/posts", "/users/{id}/posts/new", "/users/{id}/posts/{post}", "/{a}"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestPartName(t *testing.T) {
	t.Parallel()
	taken := map[string]bool{}
	var got []string
	for _, name := range []string{"001-shop", "002-shop", "001-shop/admin", "api", "003"} {
		got = append(got, partName(name, taken))
	}
	if diff := cmp.Diff([]string{"shop", "shop2", "shopAdmin", "api", "schema"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
