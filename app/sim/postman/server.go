package postman

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// userID is the owner of everything: the key's user.
const userID = "12345678"

const (
	defaultMonth  = 10_000
	defaultMinute = 300
)

// Config is how a stand-in is made. Its zero values are Postman's own figures.
type Config struct {
	APIKey preview.Secret // the one key that is let in
	// Month is how many requests are let through at all; 0: 10,000, as on the Free plan.
	Month int
	// Minute is how many requests of a minute are let through; 0: 300.
	Minute int
	// Latency is added to every request, Task to what goes on asynchronously.
	Latency, Task time.Duration
	Logger        *slog.Logger // nil: discard
}

// Server is the stand-in. Make one with New, Start it, and Close it.
type Server struct {
	cfg    Config
	log    *slog.Logger
	faults fault.Set
	limits limits

	api  *http.Server
	addr string
	work sync.WaitGroup

	mu           sync.Mutex
	workspaces   []*workspace
	collections  []*collection
	environments []*environment
	tasks        map[string]*task
	requests     []string
	changes      map[string]Change // by the collection's id
}

// workspace holds things by naming itself in them.
type workspace struct {
	id, name, kind string
	created        time.Time
}

// New makes a stand-in with a personal workspace, and a younger one of a team.
func New(c Config) (*Server, error) {
	if c.APIKey == "" {
		return nil, errors.New("sim/postman: APIKey must be given")
	}
	if c.Month == 0 {
		c.Month = defaultMonth
	}
	if c.Minute == 0 {
		c.Minute = defaultMinute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	now := time.Now().UTC()
	return &Server{
		cfg: c, log: c.Logger, limits: limits{month: c.Month, minute: c.Minute}, tasks: map[string]*task{}, changes: map[string]Change{},
		workspaces: []*workspace{
			{uuid.NewString(), "My Workspace", "personal", now.AddDate(-1, 0, 0)},
			{uuid.NewString(), "Team Workspace", "team", now},
		},
	}, nil
}

// Start serves the API on address.
func (s *Server) Start(ctx context.Context, address string) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("sim/postman: %w", err)
	}
	s.addr = listener.Addr().String()
	s.api = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.api.Serve(listener) }) // ends by Close
	return nil
}

// URL is where the API is, as a client is configured with it.
func (s *Server) URL() string { return "http://" + s.addr }

// Close ends it.
func (s *Server) Close() error {
	var err error
	if s.api != nil {
		err = s.api.Close()
	}
	s.work.Wait()
	return err
}

func uid(id string) string { return userID + "-" + id }
