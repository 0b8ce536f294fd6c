package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

const childVariable = "FLARESMITH_TEST_BUILD_CHILD"

// TestMain lets the test binary be the process of Isolated.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := New(Config{Packages: stuck{}}).Answer(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func isolated(t *testing.T) *Isolated {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Isolated{Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), childVariable+"=1")
		return cmd
	}}
}

func unpacked(t *testing.T, files map[string]string) *Source {
	t.Helper()
	entries := []string{"wrangler.jsonc"}
	all := map[string]string{"wrangler.jsonc": plainConfig}
	for name, text := range files {
		all[name] = text
		entries = append(entries, name)
	}
	src, err := Unpack(t.Context(), bytes.NewReader(tarballOf(t, all, entries)), filepath.Join(t.TempDir(), "source"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func TestIsolated(t *testing.T) {
	t.Parallel()
	src := unpacked(t, map[string]string{"src/index.ts": "import './b'; export default 1", "src/b.ts": "export {}"})
	got, err := isolated(t).Bundle(t.Context(), src, workerLayout())
	if err != nil {
		t.Fatal(err)
	}
	want, err := New(Config{Packages: stuck{}}).Bundle(t.Context(), src, workerLayout())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-in this process +isolated):\n%s", diff)
	}
}

func TestIsolatedProblems(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"syntax":            "export default (",
		"stack overflow":    "const x=" + strings.Repeat("a=>", 200_000) + "1",
		"stack of brackets": "const x=" + strings.Repeat("[", 1_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := unpacked(t, map[string]string{"src/index.ts": text})
			_, err := isolated(t).Bundle(t.Context(), src, workerLayout())
			if problems := problemsOf(t, err); len(problems) != 1 {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

func TestIsolatedEnds(t *testing.T) {
	t.Parallel()
	src := unpacked(t, map[string]string{"src/index.ts": "import 'a'", "package-lock.json": lockOf(`"node_modules/a": {"version": "1.0.0", "integrity": "` + someSRI + `"}`)})
	i := isolated(t)
	i.Timeout = 3 * time.Second
	if _, err := i.Bundle(t.Context(), src, workerLayout()); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("packages that never arrive: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := isolated(t).Bundle(ctx, src, workerLayout()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := isolated(t).Bundle(t.Context(), os.DirFS("."), workerLayout()); err == nil || preview.Classify(err) != preview.ClassPermanent {
		t.Errorf("a source that is none: %v", err)
	}
}
