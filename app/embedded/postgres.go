package embedded

import (
	"context"
	"errors"
	"io"

	"github.com/flaresmith/flaresmith/app/preview"
)

// PostgresOptions says how a server is started.
type PostgresOptions struct {
	BinDir  string    // holds initdb and postgres, see Tools.Postgres
	DataDir string    // the cluster's folder, made when missing and used again on the next start
	Port    int       // on 127.0.0.1; 0: a free one
	Durable bool      // false: no fsync, a crash of the machine may lose the cluster
	Log     io.Writer // the server's own log; nil: dropped
}

// Postgres is a running server that listens on 127.0.0.1 only and dies with this process.
type Postgres struct{}

// StartPostgres makes the cluster if there is none and starts it. It returns once connections are accepted.
func StartPostgres(ctx context.Context, options PostgresOptions) (*Postgres, error) {
	return nil, errors.ErrUnsupported
}

// URL is the superuser's connection URL, with a password that is made anew at every start.
func (p *Postgres) URL() preview.Secret { return "" }

// Port is the port that the server listens on.
func (p *Postgres) Port() int { return 0 }

// Done is closed when the server's process has ended, for whatever reason.
func (p *Postgres) Done() <-chan struct{} { return nil }

// Stop shuts the server down (fast: open sessions are ended) and waits until it is gone. It may be called twice.
func (p *Postgres) Stop(ctx context.Context) error { return errors.ErrUnsupported }
