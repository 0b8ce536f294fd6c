package build

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
)

// realPackages is the npm client on a cache that stays between runs; tests skip where the
// registry can't be reached.
func realPackages(tb testing.TB, cache string) fetcher {
	tb.Helper()
	if cache == "" {
		cache = warmCache(tb)
	}
	client, err := npm.NewClient(npm.Config{CacheDir: cache})
	if err != nil {
		tb.Fatal(err)
	}
	const hono = "sha512-YG/fo7zlU3KwrBL5vDpWKisLYiM+nVstBQqfr7gCPbSYURnNEP9BDxEMz8KfsDR9JX0lJWDRNc6nXX31v7ZEyg=="
	if _, err := client.Fetch(tb.Context(), "hono", "4.10.4", hono, nil); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("the npm registry is needed: %v", err)
		}
		tb.Skipf("the npm registry can't be reached: %v", err)
	}
	return client
}

func warmCache(tb testing.TB) string {
	tb.Helper()
	folder, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(folder, "flaresmith-test", "npm")
}

// workerSource is the Worker of testdata as an unpacked archive.
func workerSource(tb testing.TB) *Source {
	tb.Helper()
	files := map[string]string{}
	root := os.DirFS("testdata/worker")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		files[name] = string(data)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return unpacked(tb, files)
}

func workerLayout() preview.Layout {
	return preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "wrangler.jsonc", DatabaseBinding: "DATABASE_URL"}}}
}

// TestBundleWorker compiles Hono, drizzle-orm and postgres.js from the real registry.
func TestBundleWorker(t *testing.T) {
	t.Parallel()
	packages := realPackages(t, "")
	src := os.DirFS("testdata/worker")
	first, err := New(Config{Packages: packages}).Bundle(t.Context(), src, workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(Config{Packages: packages}).Bundle(t.Context(), src, workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("a second build differs (-first +second):\n%s", diff)
	}
	code := string(first.Modules[0].Content)
	for _, want := range []string{"Notes, kept in Postgres.", `from "node:`, `import("cloudflare:sockets")`, "export {"} {
		if !strings.Contains(code, want) {
			t.Errorf("the bundle lacks %q", want)
		}
	}
	got := *first
	got.Modules, got.Digest = nil, ""
	want := preview.Bundle{
		MainModule:         "worker.js",
		CompatibilityDate:  "2025-10-01",
		CompatibilityFlags: []string{"nodejs_compat"},
		Vars:               map[string]string{"GREETING": "hello"},
		JSONVars:           map[string]string{"FEATURES": `{"limit":20,"list":true}`},
		DatabaseBinding:    "DATABASE_URL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	t.Logf("%d bytes", len(code))
}

func BenchmarkBundle(b *testing.B) {
	packages := realPackages(b, "")
	src := workerSource(b)
	b.Run("memory", func(b *testing.B) {
		builder := New(Config{Packages: packages})
		for b.Loop() {
			if _, err := builder.Bundle(b.Context(), src, workerLayout(), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("disk", func(b *testing.B) {
		for b.Loop() {
			if _, err := New(Config{Packages: packages}).Bundle(b.Context(), src, workerLayout(), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("process", func(b *testing.B) {
		process := isolated(b, warmCache(b))
		for b.Loop() {
			if _, err := process.Bundle(b.Context(), src, workerLayout(), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			cold := realPackages(b, b.TempDir())
			if _, err := New(Config{Packages: cold}).Bundle(b.Context(), src, workerLayout(), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
