package build

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/app/preview"
)

// fetcher gets one npm tarball from the operator's registry. It verifies integrity (a
// subresource integrity text such as "sha512-…") before it returns the path of a local file,
// which it never changes later. It is safe for concurrent use; asking twice is cheap.
type fetcher interface {
	Fetch(ctx context.Context, name, version, integrity string, progress func(done, total int64)) (path string, err error)
}

// Config is what a Builder needs.
type Config struct {
	Packages fetcher // required: where npm packages come from, e.g. *npm.Client
	Limits   Limits
	Logger   *slog.Logger // nil: slog.Default()
}

// prefetchWorkers is how many packages are fetched at once ahead of the bundler.
const prefetchWorkers = 8

// Builder compiles Workers. It keeps the npm packages that it has seen unpacked in memory, up
// to Limits.CacheBytes, and may be used by many goroutines at once.
type Builder struct {
	store  *store
	limits Limits
	log    *slog.Logger
}

// New makes a Builder.
func New(c Config) *Builder {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	limits := c.Limits.withDefaults()
	return &Builder{store: newStore(c.Packages, limits), limits: limits, log: c.Logger}
}

// Bundle compiles one of the Workers that layout names in src, the repository at one commit: the one
// whose preview.Key has that name. What the
// user must fix comes back as a *preview.InvalidError with all problems at once, at most 50;
// other errors are the registry's, the context's or this machine's. Equal input gives equal
// bytes and an equal Digest.
func (b *Builder) Bundle(ctx context.Context, src fs.FS, layout preview.Layout, name string) (*preview.Bundle, error) {
	worker, ok := layout.Worker(name)
	if !ok {
		return nil, fmt.Errorf("bundle the Worker %q: the layout does not name it", name)
	}
	p, err := b.prepare(ctx, src, layout, worker)
	if err != nil {
		return nil, err
	}
	code, err := b.code(ctx, p)
	if err != nil {
		return nil, err
	}
	static, err := readAssets(ctx, src, p.config, b.limits)
	if err != nil {
		return nil, err
	}
	return p.finish(code, worker, static)
}

// code is the compiled main module; nil when there are static assets only.
func (b *Builder) code(ctx context.Context, p *plugin) ([]byte, error) {
	if p.config.main == "" {
		return nil, nil
	}
	prefetching, cancel := context.WithCancel(ctx)
	var ahead sync.WaitGroup
	ahead.Go(func() { p.tree.prefetch(prefetching, prefetchWorkers) })
	defer ahead.Wait()
	defer cancel()

	dir, err := os.MkdirTemp("", "flaresmith-build-")
	if err != nil {
		return nil, fmt.Errorf("make a working folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	started := time.Now()
	code, err := p.compile(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("bundle the Worker: %w", err)
	}
	b.log.DebugContext(ctx, "worker bundled", "bytes", len(code), "packages", len(p.tree.used), "duration", time.Since(started))
	return code, nil
}

// prepare reads everything that is configuration.
func (b *Builder) prepare(ctx context.Context, src fs.FS, layout preview.Layout, worker preview.WorkerLayout) (*plugin, error) {
	config, err := readWrangler(src, layout, worker)
	if err != nil {
		return nil, err
	}
	if config.main == "" { // static assets only
		return &plugin{ctx: ctx, tree: &tree{limits: b.limits}, config: config}, nil
	}
	lock, missing, err := findLock(src, path.Dir(config.path))
	if err != nil {
		return nil, err
	}
	compiler, err := readTSConfig(src, config, b.log)
	if err != nil {
		return nil, err
	}
	t := &tree{ctx: ctx, src: src, lock: lock, store: b.store, limits: b.limits,
		used: map[string]struct{}{}, manifests: map[string]*manifest{}}
	r := &resolver{tree: t, missing: missing, config: config, tsconfig: compiler, builtins: config.offersNode()}
	return &plugin{ctx: ctx, tree: t, resolver: r, config: config, assets: map[string]preview.Module{},
		transform: api.TransformOptions{TsconfigRaw: compiler.raw, Define: defines(config), Target: api.ES2024, Platform: api.PlatformNeutral}}, nil
}
