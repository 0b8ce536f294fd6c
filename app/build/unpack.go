package build

import (
	"context"
	"io"
)

// Unpack todo
func Unpack(ctx context.Context, r io.Reader, dir string, limits Limits) (*Source, error) {
	panic("not yet")
}
