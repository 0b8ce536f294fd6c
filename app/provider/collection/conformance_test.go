package collection_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/collection"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

var _ reconcile.Provider = (*collection.Provider)(nil)

func TestConformance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(t *testing.T) *collection.Provider {
		p, err := collection.New(collection.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	n := 0
	providertest.Run(t, providertest.Suite{
		Provider: start(t),
		Resource: func(*testing.T) preview.Resource {
			n++
			return preview.Resource{
				Kind: preview.KindCollection, Name: fmt.Sprintf("preview-conform1-pr-%d", n), Layout: preview.Layout{Collections: "postman"},
				Mark: preview.Mark{Project: "p", Environment: fmt.Sprintf("e%d", n)},
			}
		},
		Inputs: func(*testing.T, preview.Resource) preview.Inputs {
			return preview.Inputs{
				Source:  fstest.MapFS{"postman/shop.json": {Data: []byte(`{"info":{"name":"Shop","schema":"https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},"item":[{"name":"x","request":"{{baseUrl}}/"}]}`)}},
				Outputs: preview.Outputs{URL: "http://x.localhost/"},
			}
		},
		Snapshot: func(t *testing.T, r preview.Resource) string { return snapshot(t, filepath.Join(dir, r.Name)) },
		Plant: func(t *testing.T, r preview.Resource) {
			if err := os.MkdirAll(filepath.Join(dir, r.Name, "mine"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(dir, r.Name)) })
		},
		Restart: func(t *testing.T) providertest.Provider { return start(t) },
	})
}

// snapshot describes every file by its time of change.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintf(&b, "%s %d %s\n", path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
