package server

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/flaresmith/flaresmith/app/build"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

// builder is the build package as a pass needs it: each source tree in a folder of its own.
type builder struct {
	*build.Builder
	dir string
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
