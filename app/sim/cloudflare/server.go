package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// Config is how a stand-in is made. Its zero values are Cloudflare's own figures.
type Config struct {
	Workerd   string         // path of the Workers runtime, see embedded.Tools
	Token     preview.Secret // the one API token that is let in
	AccountID string         // default 32 hexadecimal characters
	Subdomain string         // of the account below workers.dev; default "sim"
	// Scripts is the most scripts that the account may have; 0: 500, as on the Paid plan.
	Scripts int
	// Previews is the most previews that a Worker may have, the least recently deployed one goes then; 0: 500, as on the Paid plan.
	Previews int
	// Reach is what Workers may connect to, as addresses or CIDR blocks; empty: nothing.
	Reach []string
	// Trust are certificates in PEM that Workers trust beside those of the machine.
	Trust []byte
	// Latency is added to what the machine itself needs.
	Latency Latency
	// Unlimited turns the rate limits off.
	Unlimited bool
	Now       func() time.Time // the clock that host names go by; nil: time.Now
	Logger    *slog.Logger     // nil: discard
}

// Latency is how long things take at least.
type Latency struct {
	Call time.Duration // every request
	Host time.Duration // from turning a host name on or off until that is seen
}

// Server is the stand-in. Make one with New, Start it, and Close it.
type Server struct {
	cfg     Config
	log     *slog.Logger
	faults  fault.Set
	limits  limits
	spawner *spawner
	dir     string // of modules and sockets, short enough for the latter
	signing []byte // key of the tokens of asset sessions

	http *http.Server
	addr string
	work sync.WaitGroup
	// closing is closed when the server ends.
	closing chan struct{}
	// rebind changes the secrets that code is started with; nil: it gets what was uploaded.
	rebind atomic.Pointer[func(name, text string) string]

	mu       sync.Mutex
	scripts  map[string]*script
	stale    map[string]stale // hosts of deleted scripts that still answer
	busy     map[string]*sync.Mutex
	previews map[string]*workerPreview // by host
	assets   map[string]asset          // by hash
	sessions map[string]*session       // by id
	things   map[thing]*store
	pages    map[string]*pagesProject // by name
	serial   int
	requests []string
}

const (
	defaultAccount = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	defaultScripts = 500 // and previews
	domain         = "workers.localhost"
)

// New makes a stand-in with an empty account.
func New(c Config) (*Server, error) {
	if c.Workerd == "" || c.Token == "" {
		return nil, errors.New("sim/cloudflare: Workerd and Token must be given")
	}
	if c.AccountID == "" {
		c.AccountID = defaultAccount
	}
	if c.Subdomain == "" {
		c.Subdomain = "sim"
	}
	if c.Scripts == 0 {
		c.Scripts = defaultScripts
	}
	if c.Previews == 0 {
		c.Previews = defaultScripts
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp("", "cfsim-")
	if err != nil {
		return nil, fmt.Errorf("sim/cloudflare: %w", err)
	}
	return &Server{cfg: c, log: c.Logger, limits: limits{off: c.Unlimited}, spawner: newSpawner(), dir: dir, signing: randomKey(), closing: make(chan struct{}),
		scripts: map[string]*script{}, previews: map[string]*workerPreview{}, stale: map[string]stale{}, busy: map[string]*sync.Mutex{}, assets: map[string]asset{}, sessions: map[string]*session{}, things: map[thing]*store{}, pages: map[string]*pagesProject{}}, nil
}

// Start serves the API and the Workers on address.
func (s *Server) Start(ctx context.Context, address string) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("sim/cloudflare: %w", err)
	}
	s.addr = listener.Addr().String()
	s.http = &http.Server{Handler: s.byHost(s.routes()), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.http.Serve(listener) }) // ends by Close
	return nil
}

// URL is where the API is, as a client is configured with it.
func (s *Server) URL() string { return "http://" + s.addr + "/client/v4" }

// Addr is the address that every host below WorkersURL is served on.
func (s *Server) Addr() string { return s.addr }

// WorkersURL stands for https://workers.dev: a Worker answers at <name>.<subdomain> in front of its host.
func (s *Server) WorkersURL() string {
	_, port, _ := net.SplitHostPort(s.addr) // as net gave it
	return "http://" + net.JoinHostPort(domain, port)
}

// AccountID is the one account's.
func (s *Server) AccountID() string { return s.cfg.AccountID }

// Close ends everything, Workers included.
func (s *Server) Close() error {
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	close(s.closing)
	s.work.Wait()
	s.mu.Lock()
	all, hosts, things, previews, projects := s.scripts, s.stale, s.things, s.previews, s.pages
	s.scripts, s.stale, s.previews = map[string]*script{}, map[string]stale{}, map[string]*workerPreview{}
	s.pages = map[string]*pagesProject{}
	s.mu.Unlock()
	for _, p := range projects {
		p.close()
	}
	for _, old := range hosts {
		old.script.close()
	}
	for _, p := range previews {
		p.body.close()
	}
	for _, script := range all {
		script.close()
	}
	for _, held := range things {
		if held.inner != nil {
			held.inner.close()
		}
	}
	s.spawner.close()
	return errors.Join(err, os.RemoveAll(s.dir))
}

// lock lets one request at a time change a script; the caller calls what it gives when done.
func (s *Server) lock(name string) (unlock func()) {
	s.mu.Lock()
	one := s.busy[name]
	if one == nil {
		one = &sync.Mutex{}
		s.busy[name] = one
	}
	s.mu.Unlock()
	one.Lock()
	return one.Unlock
}

// path is a new file's or socket's in the stand-in's folder.
func (s *Server) path(suffix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return filepath.Join(s.dir, fmt.Sprintf("%d%s", s.serial, suffix))
}
