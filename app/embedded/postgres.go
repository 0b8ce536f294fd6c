package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxConnections = 200
	startTimeout   = time.Minute
	portAttempts   = 5
	// How long Stop waits for a fast shutdown, and then for an immediate one, before it goes on to the next.
	fastPeriod      = 15 * time.Second
	immediatePeriod = 5 * time.Second
)

// PostgresOptions says how a server is started.
type PostgresOptions struct {
	BinDir string // holds initdb and postgres, see Tools.Postgres
	// DataDir is the cluster's folder, made when missing and used again on the next start. For root, every
	// folder above it must be one that others may enter, because the server runs as another user.
	DataDir string
	Port    int       // on 127.0.0.1; 0: a free one
	Durable bool      // false: no fsync, so a crash of the machine may lose the cluster
	Log     io.Writer // the server's own log, without statements; nil: dropped
	// Copyable lets other clusters start as copies of this one while it runs.
	Copyable bool
	// CopyOf is the running, copyable server of which a new cluster is a copy; nil: it begins empty.
	CopyOf *Postgres
	// Certificate and Key, in PEM, let it offer TLS as well; empty: it does not.
	Certificate, Key []byte
}

// Postgres is a running server that listens on 127.0.0.1 only and, on Linux, dies with this process.
type Postgres struct {
	cluster  *cluster
	port     int
	password preview.Secret
	process  *os.Process
	said     *tail
	done     chan struct{} // closed when the process has ended
	err      error         // how it ended; read after done
	copying  chan struct{} // taken by whoever copies its data
}

// StartPostgres makes the cluster if there is none, ends a server that an earlier process left in it, and
// starts it. It returns once connections are accepted. Only one process at a time may use a DataDir.
// The caller must call Stop; ctx bounds the start only.
func StartPostgres(ctx context.Context, options PostgresOptions) (*Postgres, error) {
	server, err := startPostgres(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return server, nil
}

func startPostgres(ctx context.Context, options PostgresOptions) (*Postgres, error) {
	if options.BinDir == "" || options.DataDir == "" {
		return nil, errors.New("the folders of the programs and of the data must be given")
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	cluster, err := openCluster(options, as)
	if err != nil {
		return nil, err
	}
	password := newPassword()
	if err := cluster.prepare(ctx, password); err != nil {
		cluster.close()
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		server, err := launch(ctx, cluster, options, password)
		if err == nil {
			return server, nil
		}
		if !errors.Is(err, errPortTaken) || options.Port != 0 || attempt == portAttempts {
			cluster.close()
			return nil, err
		}
	}
}

func newPassword() preview.Secret {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	return preview.Secret(hex.EncodeToString(random))
}

// launch starts the server's process and waits until it answers.
func launch(ctx context.Context, cluster *cluster, options PostgresOptions, password preview.Secret) (*Postgres, error) {
	port := options.Port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	server := &Postgres{cluster: cluster, port: port, password: password, said: &tail{}, done: make(chan struct{}), copying: make(chan struct{}, 1)}
	if err := server.spawn(options); err != nil {
		return nil, err
	}
	if err := server.awaitReady(ctx); err != nil {
		stopErr := server.end(context.WithoutCancel(ctx), syscall.SIGQUIT)
		if taken(port) {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return nil, errors.Join(err, stopErr)
	}
	return server, nil
}

// errEnded is how a server ends that was told to.
var errEnded = errors.New("ended in order")

// errPortTaken means that somebody took the port between our look and the server's.
var errPortTaken = errors.New("the port is taken by another program")

func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

func taken(port int) bool {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return true
	}
	_ = listener.Close()
	return false
}

// spawn starts the process from a thread that lives as long as the process does: Linux sends the parent's
// death signal when the thread that forked ends, and Go ends threads as it likes.
func (p *Postgres) spawn(options PostgresOptions) error {
	command := exec.Command(filepath.Join(options.BinDir, "postgres"), p.arguments(options)...) //nolint:noctx // Stop ends it in order
	command.Env = programEnvironment()
	command.Dir = "/"
	command.Stderr = p.said
	if options.Log != nil {
		command.Stderr = io.MultiWriter(p.said, options.Log)
	}
	command.SysProcAttr = p.cluster.account.processAttributes()
	dieWithUs(command.SysProcAttr, syscall.SIGINT)
	command.WaitDelay = immediatePeriod

	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := command.Start()
		p.process = command.Process
		started <- err
		if err != nil {
			return
		}
		if p.err = command.Wait(); p.err == nil {
			p.err = errEnded
		}
		close(p.done)
	}()
	return <-started
}

func (p *Postgres) arguments(options PostgresOptions) []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(p.port),
		"unix_socket_directories=",
		"hba_file=" + p.cluster.rules(),
		"max_connections=" + strconv.Itoa(maxConnections),
		"max_wal_senders=0",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_min_error_statement=panic", // statements hold passwords
	}
	if options.Copyable {
		settings = append(settings, "wal_level=replica")
	} else {
		settings = append(settings, "wal_level=minimal")
	}
	if len(options.Certificate) > 0 {
		settings = append(settings, "ssl=on", "ssl_cert_file="+certificateFile, "ssl_key_file="+keyFile)
	}
	if !options.Durable {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	arguments := []string{"-D", p.cluster.data()}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// awaitReady connects until the server lets us in or its process ends.
func (p *Postgres) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() { // whoever else has the port may never answer
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		connection, err := pgx.Connect(ctx, p.URL().Reveal())
		if err == nil {
			return connection.Close(ctx)
		}
		if p.ended() {
			return fmt.Errorf("the server ended at once: %w: %s", p.err, p.said)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w: %w", ctx.Err(), err)
		case <-time.After(pollPeriod):
		}
	}
}

func (p *Postgres) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// URL is the superuser's connection URL, with a password that is made anew at every start.
func (p *Postgres) URL() preview.Secret {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, p.password.Reveal()),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return preview.Secret(address.String())
}

// Port is the port that the server listens on.
func (p *Postgres) Port() int { return p.port }

// PID is the id of the server's process.
func (p *Postgres) PID() int { return p.process.Pid }

// Done is closed when the server's process has ended, for whatever reason.
func (p *Postgres) Done() <-chan struct{} { return p.done }

// Stop shuts the server down and returns when its process is gone: open sessions are ended and the data is
// written; when that takes too long or ctx ends, the server is ended at once. The cluster's folder stays.
// It may be called again, also at the same time.
func (p *Postgres) Stop(ctx context.Context) error {
	if err := p.end(ctx, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	p.cluster.close()
	return nil
}

// end sends signal, and stronger ones when that does not help.
func (p *Postgres) end(ctx context.Context, signal syscall.Signal) error {
	if p.await(ctx, signal, fastPeriod) {
		return nil
	}
	// From here on the server's end matters more than ctx.
	ctx = context.WithoutCancel(ctx)
	if p.await(ctx, syscall.SIGQUIT, immediatePeriod) || p.await(ctx, syscall.SIGKILL, immediatePeriod) {
		return nil
	}
	return fmt.Errorf("process %d does not end", p.process.Pid)
}

// await sends signal and reports whether the process ended within period and ctx.
func (p *Postgres) await(ctx context.Context, signal syscall.Signal, period time.Duration) bool {
	_ = p.process.Signal(signal) // an ended process is what we want
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	case <-time.After(period):
		return false
	}
}
