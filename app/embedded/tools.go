package embedded

import (
	"context"
	"errors"

	"github.com/flaresmith/flaresmith/app/npm"
)

// Tools finds the programs, or fetches them.
type Tools struct {
	Client      *npm.Client                          // fetches what the machine lacks
	CacheDir    string                               // where fetched programs are unpacked; see DefaultCacheDir
	WorkerdPath string                               // the operator's own workerd; empty: ours
	Progress    func(name string, done, total int64) // called while something is fetched; may be nil
}

// Postgres returns the folder that holds initdb and postgres, version 15 or newer.
func (t Tools) Postgres(ctx context.Context) (binDir string, err error) {
	return "", errors.ErrUnsupported
}

// Workerd returns the path of the workerd binary.
func (t Tools) Workerd(ctx context.Context) (path string, err error) {
	return "", errors.ErrUnsupported
}

// DefaultCacheDir is the folder for fetched things when the operator names none.
func DefaultCacheDir() (string, error) { return "", errors.ErrUnsupported }
