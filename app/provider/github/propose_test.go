package github

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of a repository that is too large to be listed, the root is always known; links and folders are no files.
func TestFilesOfALargeRepository(t *testing.T) {
	t.Parallel()
	app := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		entries := `{"path":"a","type":"tree","mode":"040000"},{"path":"wrangler.jsonc","type":"blob","mode":"100644"},{"path":"link","type":"blob","mode":"120000"}`
		if r.URL.Query().Has("recursive") {
			entries = `{"path":"a","type":"tree","mode":"040000"},{"path":"a/run","type":"blob","mode":"100755"}`
		}
		fmt.Fprintf(w, `{"sha":"x","truncated":%t,"tree":[%s]}`, r.URL.Query().Has("recursive"), entries)
	})
	got, err := app.Files(t.Context(), project, "0123456789abcdef0123456789abcdef01234567")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wrangler.jsonc", "a/run"}, got); diff != "" {
		t.Error(diff)
	}
}
