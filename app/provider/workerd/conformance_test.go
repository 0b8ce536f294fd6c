package workerd_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	"github.com/flaresmith/flaresmith/app/provider/workerd"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

var _ reconcile.Provider = (*workerd.Runtime)(nil)

func TestConformance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(t *testing.T) *workerd.Runtime {
		rt, err := workerd.New(workerd.Config{Binary: embeddedtest.Workerd(t), Dir: dir, StartTimeout: 2 * time.Minute, SwitchUser: os.Geteuid() == 0})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			if err := rt.Close(ctx); err != nil {
				t.Error(err)
			}
		})
		return rt
	}
	n := 0
	providertest.Run(t, providertest.Suite{
		Provider: start(t),
		Resource: func(*testing.T) preview.Resource {
			n++
			return preview.Resource{
				Kind: preview.KindWorker, Name: fmt.Sprintf("preview-conform1-pr-%d", n),
				Mark: preview.Mark{Project: "p", Environment: fmt.Sprintf("e%d", n)},
			}
		},
		Inputs: func(*testing.T, preview.Resource) preview.Inputs {
			source := `export default { fetch() { return new Response("hi"); } };`
			return preview.Inputs{Bundle: &preview.Bundle{
				MainModule: "index.js", Modules: []preview.Module{{Name: "index.js", Type: preview.ModuleES, Content: []byte(source)}},
				CompatibilityDate: "2026-01-01", Digest: "b",
			}}
		},
		Snapshot: func(t *testing.T, r preview.Resource) string { return snapshot(t, filepath.Join(dir, r.Name)) },
		Plant: func(t *testing.T, r preview.Resource) {
			if err := os.MkdirAll(filepath.Join(dir, r.Name, "g-x"), 0o700); err != nil {
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
