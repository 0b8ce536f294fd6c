package github

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/openapi"
)

// Webhook is where deliveries of the App go.
type Webhook struct {
	URL    string // empty: deliveries are recorded and not sent
	Secret string // signs X-Hub-Signature-256
}

// Config is what New needs. Only Dir is required.
type Config struct {
	Dir          string         // an existing or new directory for the repositories; must be the Server's alone
	Webhook      Webhook        // can be set later with SetWebhook
	AppID        int64          // default 1
	AppSlug      string         // default "flaresmith"; the bot's login is "<slug>[bot]"
	AppPublicKey *rsa.PublicKey // nil: a key is made, see Server.AppKeyPEM
	// Permissions that an installation is granted; default: what the product's manifest asks for.
	Permissions map[string]string
	AutoOpenPR  bool // a push of a new branch over HTTP opens a pull request by itself
	Validate    bool // check requests and answers against GitHub's description, see Server.Violations
	// FirstID is where ids start, default 1000: the same run gives the same ids. Tests whose names at a shared
	// database server come from installation and repository ids choose different ones.
	FirstID int64
	// HookTimeout is how long a delivery waits for its answer; default 10 s, as at GitHub.
	HookTimeout time.Duration
	Clock       func() time.Time
	Logger      *slog.Logger
}

// Server is the stand-in. All methods are safe for concurrent use.
type Server struct {
	cfg     Config
	git     git
	log     *slog.Logger
	key     *rsa.PrivateKey // nil when Config.AppPublicKey was given
	pushKey string          // the password in push URLs

	routes []route
	token  route // POST /login/oauth/access_token
	pages  http.Handler
	check  *openapi.Validator // nil unless Config.Validate

	hooks    hooks
	requests requestLog
	faults   fault.Set

	mu            sync.Mutex // guards everything below, and all that hangs from it
	base          string     // "http://host:port"
	lastID        int64
	users         map[string]*User // by lower-case login
	repos         []*repository
	moved         map[string]*repository // old lower-case full names
	installations []*installation
	tokens        map[string]*token
	archives      map[string]archiveTicket
	signIn        signIn
	manifests     map[string]*manifest // that people look at, by a name of their page
	conversions   map[string]*manifest // by the code that creates their App

	server *http.Server
	served chan struct{}
}

// New makes a Server that is not yet listening: call Start, or serve it as an http.Handler after SetURL.
func New(cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("stand-in github: no directory")
	}
	if cfg.AppID == 0 {
		cfg.AppID = 1
	}
	if cfg.AppSlug == "" {
		cfg.AppSlug = "flaresmith"
	}
	if cfg.FirstID == 0 {
		cfg.FirstID = 1000
	}
	if cfg.HookTimeout == 0 {
		cfg.HookTimeout = defaultHookTimeout
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Permissions == nil {
		cfg.Permissions = map[string]string{
			"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write",
			"checks": "write", "deployments": "write", "merge_queues": "read",
		}
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		lastID:   cfg.FirstID,
		users:    map[string]*User{},
		moved:    map[string]*repository{},
		tokens:   map[string]*token{},
		archives: map[string]archiveTicket{},

		manifests: map[string]*manifest{}, conversions: map[string]*manifest{},
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("stand-in github: %w", err)
	}
	return s, nil
}

func (s *Server) prepare() error {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.cfg.Dir = dir
	for _, name := range []string{"repositories", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	path, err := exec.LookPath("git")
	if err != nil {
		return err
	}
	s.git = git{path: path, home: filepath.Join(dir, "home"), now: s.cfg.Clock, known: &sync.Map{}}
	if s.cfg.AppPublicKey == nil {
		key, err := processKey()
		if err != nil {
			return fmt.Errorf("app key: %w", err)
		}
		s.key, s.cfg.AppPublicKey = key, &key.PublicKey
	}
	secret := make([]byte, 12)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return err
	}
	s.pushKey = hex.EncodeToString(secret)
	if s.cfg.Validate {
		doc, err := description()
		if err != nil {
			return err
		}
		s.check = openapi.NewValidator(doc)
	}
	s.routes, s.token = routes(), tokenRoute()
	s.signIn.init()
	if s.pages, err = s.pageRoutes(); err != nil {
		return err
	}
	bot := s.user(s.cfg.AppSlug + "[bot]")
	bot.Type = "Bot"
	s.hooks.init(s)
	s.hooks.target = s.cfg.Webhook
	return nil
}

// processKey is the App key of every Server of this process: making one takes a noticeable time.
//
//nolint:gochecknoglobals // computed once, then only read
var processKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Start listens on addr ("127.0.0.1:0" for any free port) and serves until Close.
func (s *Server) Start(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("stand-in github: %w", err)
	}
	s.SetURL("http://" + listener.Addr().String())
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("stand-in github stopped", "error", err)
		}
	}()
	return nil
}

// Close stops listening and delivering, and waits for both. The directory stays.
func (s *Server) Close() error {
	s.hooks.close()
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close()
	}
	<-s.served
	return nil
}

// SetURL says where the Server can be reached, without a trailing slash; Start calls it.
func (s *Server) SetURL(base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = strings.TrimSuffix(base, "/")
}

// URL is the root, e.g. "http://127.0.0.1:40123": pages and git are below it.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// APIURL is the REST base without a trailing slash: URL()+"/api/v3".
func (s *Server) APIURL() string { return s.URL() + "/api/v3" }

// AppKeyPEM is the App's private key in PEM (PKCS #1), or nil when Config.AppPublicKey was given.
func (s *Server) AppKeyPEM() []byte {
	if s.key == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(s.key)})
}

// BotLogin is the login under which the App acts.
func (s *Server) BotLogin() string { return s.cfg.AppSlug + "[bot]" }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, apiPrefix+"/"):
		s.serveAPI(w, r)
	case r.Method == s.token.method && r.URL.Path == s.token.template:
		s.serve(w, r, &s.token)
	case strings.HasPrefix(r.URL.Path, archivePrefix):
		s.serveArchive(w, r)
	case strings.Contains(r.URL.Path, ".git/"):
		s.serveGit(w, r)
	default:
		s.pages.ServeHTTP(w, r)
	}
}

// now is the Clock in GitHub's precision: UTC, whole seconds.
func (s *Server) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Second) }

// next is a new id. The caller holds s.mu, or is New.
func (s *Server) next() int64 {
	s.lastID++
	return s.lastID
}
