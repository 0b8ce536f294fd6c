package build

import (
	"context"
	"io/fs"
	"log/slog"

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
	Packages fetcher // required: where npm packages come from
	Limits   Limits
	Logger   *slog.Logger // nil: slog.Default()
}

// Builder compiles Workers. It keeps the npm packages that it has seen unpacked in memory, up
// to Limits.CacheBytes, and may be used by many goroutines at once.
type Builder struct {
	limits Limits
	log    *slog.Logger
}

// New makes a Builder.
func New(c Config) *Builder {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Builder{limits: c.Limits.withDefaults(), log: c.Logger}
}

// Bundle compiles the Worker that layout names in src, the repository at one commit. What the
// user must fix comes back as a *preview.InvalidError with all problems at once, at most 50.
// Equal input gives equal bytes and an equal Digest.
func (b *Builder) Bundle(ctx context.Context, src fs.FS, layout preview.Layout) (*preview.Bundle, error) {
	panic("not yet")
}
