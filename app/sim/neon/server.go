package neon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/openapi"
)

// Config is how a stand-in is made. Its zero values are Neon's own figures.
type Config struct {
	Dir    string         // holds the clusters; every folder above it must be one that Postgres's user may enter
	BinDir string         // of initdb and postgres, see embedded.Tools
	APIKey preview.Secret // the one key that is let in
	// Branches is the most branches that the project may have; 0: 10, as on the Free plan.
	Branches int
	// Latency is added to what the machine itself needs.
	Latency Latency
	// Validate checks every exchange against Neon's description; see Violations.
	Validate bool
	// Unlimited turns the rate limits off.
	Unlimited bool
	// ByAddress makes connection strings that lead to this address and name the endpoint in options, for clients that can't
	// resolve hosts below localhost, such as Workers. It must be one of this machine's own. Nil: they lead to host names.
	ByAddress net.IP
	Logger    *slog.Logger // nil: discard
}

// Latency is how long things take at least.
type Latency struct {
	Call    time.Duration // every request
	Branch  time.Duration // from a branch's creation until it is ready
	Compute time.Duration // from then until its compute answers
}

// Server is the stand-in. Make one with New, Start it, and Close it.
type Server struct {
	cfg    Config
	log    *slog.Logger
	tls    authority
	faults fault.Set
	limits limits
	check  *openapi.Validator // nil unless Config.Validate

	api  *http.Server
	addr string
	gate *gateway

	ctx  context.Context // of what goes on beside requests
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	project  *project
	serial   int
	requests []string
}

const defaultBranches = 10

// New makes a stand-in with one project and its root branch main, whose database is neondb of the role neondb_owner.
// It starts the root's cluster, so it takes some seconds.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.Dir == "" || c.BinDir == "" || c.APIKey == "" {
		return nil, errors.New("sim/neon: Dir, BinDir and APIKey must be given")
	}
	if c.Branches == 0 {
		c.Branches = defaultBranches
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: c, log: c.Logger, limits: newLimits(!c.Unlimited)}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if s.tls, err = newAuthority(s.gateAddress()); err != nil {
		return nil, err
	}
	if c.Validate {
		doc, err := description()
		if err != nil {
			return nil, err
		}
		s.check = openapi.NewValidator(doc)
	}
	if err := s.makeProject(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("sim/neon: %w", err)
	}
	return s, nil
}

// Start serves the API on address and Postgres on a free port, both of this machine.
func (s *Server) Start(ctx context.Context, address string) error {
	gate, err := newGateway(s)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		_ = gate.close()
		return fmt.Errorf("sim/neon: %w", err)
	}
	s.gate, s.addr = gate, listener.Addr().String()
	s.api = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.api.Serve(listener) }) // ends by Close
	s.work.Go(gate.serve)
	s.work.Go(s.expire)
	return nil
}

// gateAddress is where branches are reached.
func (s *Server) gateAddress() net.IP {
	if s.cfg.ByAddress != nil {
		return s.cfg.ByAddress
	}
	return net.IPv4(127, 0, 0, 1)
}

// URL is where the API is, as a client is configured with it.
func (s *Server) URL() string { return "http://" + s.addr + "/api/v2" }

// Close ends everything, clusters included.
func (s *Server) Close() error {
	s.stop()
	var errs []error
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	if s.gate != nil {
		errs = append(errs, s.gate.close())
	}
	s.work.Wait()
	s.mu.Lock()
	branches := s.project.all()
	s.mu.Unlock()
	var group sync.WaitGroup
	for _, b := range branches {
		if b.cluster == nil {
			continue
		}
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			_ = b.cluster.Stop(ctx)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// later does something beside requests, unless the server ends first.
func (s *Server) later(after time.Duration, do func(ctx context.Context)) {
	s.work.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			do(s.ctx)
		case <-s.ctx.Done():
		}
	})
}

// number is the next of the numbers that ids are made of. The caller holds the lock.
func (s *Server) number() int {
	s.serial++
	return s.serial
}
