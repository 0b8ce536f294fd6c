package workerd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// Config is what the operator decides about the runtime.
type Config struct {
	Binary       string        // path of the workerd executable; required
	Dir          string        // folder of our own for generations and marks, made if missing; required
	Domain       string        // previews answer at <name>.<Domain>; default "localhost"
	PublicScheme string        // "http" (default) or "https", as a browser sees it
	PublicPort   int           // port in the URLs that are given out; 0: the scheme's own
	MemoryLimit  int64         // resident bytes a process may use before it is killed; default 256 MB
	StartTimeout time.Duration // from the start of a process until it answers; default 15 s
	BusyLimit    time.Duration // a process that computes for so long without a pause or an answer is killed; default 30 s
	ComputeLimit time.Duration // one that answers, but uses a whole processor for so long, is killed, too; default 10 min
	// SwitchUser runs each Worker under a user id of its own, FirstUID to FirstUID+UIDCount-1
	// (default 61000, 4000 of them), and without a network. It needs Linux and root.
	SwitchUser bool
	FirstUID   int
	UIDCount   int
	LogBytes   int          // bytes of output kept for each preview; default 64 KB
	Logger     *slog.Logger // default: none
}

const (
	defaultMemoryLimit  = 256 << 20
	defaultStartTimeout = 15 * time.Second
	defaultBusyLimit    = 30 * time.Second
	defaultComputeLimit = 10 * time.Minute
	defaultFirstUID     = 61000
	defaultUIDCount     = 4000
	defaultLogBytes     = 64 << 10
)

var domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,180}[a-z0-9])?$`)

// complete fills in the defaults and reports every problem at once.
func (c Config) complete() (Config, error) {
	if c.Domain == "" {
		c.Domain = "localhost"
	}
	if c.PublicScheme == "" {
		c.PublicScheme = "http"
	}
	if c.MemoryLimit == 0 {
		c.MemoryLimit = defaultMemoryLimit
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = defaultStartTimeout
	}
	if c.BusyLimit == 0 {
		c.BusyLimit = defaultBusyLimit
	}
	if c.ComputeLimit == 0 {
		c.ComputeLimit = defaultComputeLimit
	}
	if c.FirstUID == 0 {
		c.FirstUID = defaultFirstUID
	}
	if c.UIDCount == 0 {
		c.UIDCount = defaultUIDCount
	}
	if c.LogBytes == 0 {
		c.LogBytes = defaultLogBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var problems []error
	if info, err := os.Stat(c.Binary); c.Binary == "" || err != nil || !info.Mode().IsRegular() {
		problems = append(problems, fmt.Errorf("binary %q is not a file", c.Binary))
	}
	if c.Dir == "" {
		problems = append(problems, errors.New("no state folder is named"))
	}
	if !domainPattern.MatchString(c.Domain) {
		problems = append(problems, fmt.Errorf("domain %q is not a host name in lower case", c.Domain))
	}
	if c.PublicScheme != "http" && c.PublicScheme != "https" {
		problems = append(problems, fmt.Errorf("public scheme %q is neither http nor https", c.PublicScheme))
	}
	if c.PublicPort < 0 || c.PublicPort > 65535 {
		problems = append(problems, fmt.Errorf("public port %d is not a port", c.PublicPort))
	}
	if c.MemoryLimit < 0 || c.StartTimeout < 0 || c.BusyLimit < 0 || c.ComputeLimit < 0 || c.LogBytes < 0 || c.UIDCount < 0 {
		problems = append(problems, errors.New("a limit is negative"))
	}
	if c.SwitchUser && (runtime.GOOS != "linux" || os.Geteuid() != 0) {
		problems = append(problems, errors.New("switching users needs Linux and root"))
	}
	if c.SwitchUser && c.FirstUID < 1000 {
		problems = append(problems, fmt.Errorf("first user id %d is among the system's", c.FirstUID))
	}
	if err := errors.Join(problems...); err != nil {
		return c, fmt.Errorf("workerd configuration: %w", err)
	}
	var err error
	if c.Binary, err = filepath.Abs(c.Binary); err != nil {
		return c, fmt.Errorf("workerd binary: %w", err)
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("workerd state folder: %w", err)
	}
	return c, nil
}

// url is where the preview of that name answers, with a slash at the end.
func (c Config) url(name string) string {
	host := name + "." + c.Domain
	standard := map[string]int{"http": 80, "https": 443}[c.PublicScheme]
	if c.PublicPort != 0 && c.PublicPort != standard {
		host = fmt.Sprintf("%s:%d", host, c.PublicPort)
	}
	return c.PublicScheme + "://" + host + "/"
}
