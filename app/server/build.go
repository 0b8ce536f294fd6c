package server

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"runtime"

	"github.com/flaresmith/flaresmith/app/build"
	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

// BundleCommand is the first argument with which this program calls itself for one build; the
// second is the folder of the npm cache. The program must then call Bundle.
const BundleCommand = "bundle"

// builder is the build package as a pass needs it: each source tree in a folder of its own, each
// bundle in a process of its own.
type builder struct {
	*build.Isolated
	dir string
	// compilers is taken by each compiler that runs: one may need 2 GB, and a pass has one for each Worker.
	compilers chan struct{}
}

// newBuilder clears dir of what a killed server left.
func newBuilder(dir, packageCache string) (builder, error) {
	if err := os.RemoveAll(dir); err != nil {
		return builder{}, fmt.Errorf("source folder: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return builder{}, fmt.Errorf("find this program: %w", err)
	}
	return builder{dir: dir, compilers: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), Isolated: &build.Isolated{Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self, BundleCommand, packageCache) //nolint:gosec // this program itself
		cmd.Env = config.PackageEnvironment()
		return cmd
	}}}, nil
}

// Bundle implements reconcile.Builder. It waits while as many compilers run as there are processors.
func (b builder) Bundle(ctx context.Context, source fs.FS, layout preview.Layout, worker string) (*preview.Bundle, error) {
	select {
	case b.compilers <- struct{}{}:
		defer func() { <-b.compilers }()
		return b.Isolated.Bundle(ctx, source, layout, worker)
	case <-ctx.Done():
		return nil, preview.Transient(fmt.Errorf("wait for a compiler: %w", ctx.Err()))
	}
}

// Unpack implements reconcile.Builder.
func (b builder) Unpack(ctx context.Context, archive io.Reader) (reconcile.Source, error) {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("source folder: %w", err)
	}
	dir, err := os.MkdirTemp(b.dir, "tree-")
	if err != nil {
		return nil, fmt.Errorf("source folder: %w", err)
	}
	return build.Unpack(ctx, archive, dir, build.Limits{})
}

// Bundle is the other end of a build: one order from in, one answer to out.
func Bundle(ctx context.Context, packageCache string, in io.Reader, out io.Writer) error {
	packages, err := npm.NewClient(npm.Config{CacheDir: packageCache})
	if err != nil {
		return err
	}
	return build.New(build.Config{Packages: packages, Logger: slog.New(slog.DiscardHandler)}).Answer(ctx, in, out)
}
