package build

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// childVariable holds the npm cache of the process, or stuckCache for packages that never come.
const (
	childVariable = "FLARESMITH_TEST_BUILD_CHILD"
	stuckCache    = "stuck"
)

// TestMain lets the test binary be the process of Isolated.
func TestMain(m *testing.M) {
	if cache := os.Getenv(childVariable); cache != "" {
		var packages fetcher = stuck{}
		if cache != stuckCache {
			client, err := npm.NewClient(npm.Config{CacheDir: cache})
			if err != nil {
				os.Exit(1)
			}
			packages = client
		}
		if err := New(Config{Packages: packages}).Answer(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func isolated(t testing.TB, cache string) *Isolated {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Isolated{Timeout: 5 * time.Minute, Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), childVariable+"="+cache)
		return cmd
	}}
}

func unpacked(t testing.TB, files map[string]string) *Source {
	t.Helper()
	all := map[string]string{"wrangler.jsonc": plainConfig}
	maps.Copy(all, files)
	src, err := Unpack(t.Context(), bytes.NewReader(tarballOf(t, all, slices.Sorted(maps.Keys(all)))), filepath.Join(t.TempDir(), "source"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func TestIsolated(t *testing.T) {
	t.Parallel()
	src := unpacked(t, map[string]string{"src/index.ts": "import './b'; export default 1", "src/b.ts": "export {}"})
	got, err := isolated(t, stuckCache).Bundle(t.Context(), src, workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := New(Config{Packages: stuck{}}).Bundle(t.Context(), src, workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-in this process +isolated):\n%s", diff)
	}
}

func TestIsolatedProblems(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for name, text := range map[string]string{
		"syntax":            "export default (",
		"stack overflow":    "const x=" + strings.Repeat("a=>", 200_000) + "1",
		"stack of brackets": "const x=" + strings.Repeat("[", 1_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := unpacked(t, map[string]string{"src/index.ts": text})
			_, err := isolated(t, stuckCache).Bundle(t.Context(), src, workerLayout(), "")
			if problems := problemsOf(t, err); len(problems) != 1 {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

func TestIsolatedEnds(t *testing.T) {
	t.Parallel()
	src := unpacked(t, map[string]string{"src/index.ts": "import 'a'", "package-lock.json": lockOf(`"node_modules/a": {"version": "1.0.0", "integrity": "` + someSRI + `"}`)})
	i := isolated(t, stuckCache)
	i.Timeout = 20 * time.Second // half of it passes, and a busy machine may need some of the rest to start the process
	if _, err := i.Bundle(t.Context(), src, workerLayout(), ""); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("packages that never arrive: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := isolated(t, stuckCache).Bundle(ctx, src, workerLayout(), ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := isolated(t, stuckCache).Bundle(t.Context(), os.DirFS("."), workerLayout(), ""); err == nil || preview.Classify(err) != preview.ClassPermanent {
		t.Errorf("a source that is none: %v", err)
	}
}
