package npm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/osv-scalibr/clients/datasource"
	"github.com/sethvargo/go-retry"
)

// DefaultMaxBytes is the largest tarball accepted when Config does not say: 256 MiB.
const DefaultMaxBytes = 256 << 20

const (
	attempts       = 4                // GETs of one tarball
	firstDelay     = time.Second      // before the second GET; doubles
	attemptTimeout = 10 * time.Minute // one GET with its body
	stallTimeout   = 30 * time.Second // the longest wait for an answer or for the next bytes
	maxRedirects   = 5
)

// Config is what a Client needs.
type Config struct {
	CacheDir   string       // where verified tarballs are kept; made when missing
	HTTPClient *http.Client // nil: one with Go's default transport (proxies of the environment). Its CheckRedirect is not used
	MaxBytes   int64        // the largest tarball accepted; 0: DefaultMaxBytes
}

// Client fetches tarballs. It is safe for concurrent use, also by several processes on one cache.
type Client struct {
	registries datasource.NPMRegistryConfig
	cache      cache
	http       *http.Client
	maxBytes   int64
	firstDelay time.Duration
	stall      time.Duration
	flights    flights
}

// NewClient reads the operator's npm configuration (npm's defaults, the global and the user's .npmrc,
// npm_config_* variables) and makes a Client. The .npmrc of the working folder is not read: that may be
// a checkout of somebody's pull request. One in CacheDir is.
func NewClient(config Config) (*Client, error) {
	if config.CacheDir == "" {
		return nil, errors.New("npm client: no cache folder is set")
	}
	folder, err := filepath.Abs(config.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("npm client: %w", err)
	}
	config.CacheDir = folder
	registries, err := datasource.LoadNPMRegistryConfig(folder)
	if err != nil {
		return nil, fmt.Errorf("npm client: read the .npmrc files: %w", err)
	}
	return newClient(config, registries), nil
}

func newClient(config Config, registries datasource.NPMRegistryConfig) *Client {
	client := &http.Client{}
	if config.HTTPClient != nil {
		*client = *config.HTTPClient
	}
	client.CheckRedirect = sameHost
	maxBytes := config.MaxBytes
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	return &Client{
		registries: registries,
		cache:      cache{folder: config.CacheDir},
		http:       client,
		maxBytes:   maxBytes,
		firstDelay: firstDelay,
		stall:      stallTimeout,
	}
}

// Fetch returns the path of the verified tarball (a gzipped tar) of name at version in the cache. It is
// fetched when it is not there yet. Integrity is a Subresource Integrity string with at least one of
// sha512, sha384, sha256. While bytes arrive progress, which may be nil, is called with their number and
// the total, which is -1 while unknown.
//
// Errors name the package and are one of ErrInvalid, ErrNotFound, ErrIntegrity, ErrTooLarge, ErrUnavailable,
// the context's error, or one of the file system. The file must not be changed by the caller.
func (c *Client) Fetch(ctx context.Context, name, version, integrity string, progress func(done, total int64)) (path string, err error) {
	what, err := parseCoordinate(name, version)
	if err != nil {
		return "", err
	}
	want, err := parseIntegrity(integrity)
	if err != nil {
		return "", fmt.Errorf("npm package %s: %w", what, err)
	}
	release, err := c.flights.begin(ctx, want.files()[0])
	if err != nil {
		return "", fmt.Errorf("npm package %s: %w", what, err)
	}
	defer release()
	path, found, err := c.cache.find(want)
	if err == nil && !found {
		path, err = c.download(ctx, what, want, progress)
	}
	if err != nil {
		return "", fmt.Errorf("npm package %s: %w", what, err)
	}
	return path, nil
}

// download tries until the tarball is in the cache, the error is final, or the attempts are used up.
func (c *Client) download(ctx context.Context, what coordinate, want integrity, progress func(done, total int64)) (path string, err error) {
	registry, ok := c.registries.ScopeURLs[what.scope]
	if !ok {
		registry = c.registries.ScopeURLs[""]
	}
	address, err := what.tarball(registry)
	if err != nil {
		return "", err
	}
	backoff := retry.WithMaxRetries(attempts-1, retry.WithJitterPercent(20, retry.NewExponential(c.firstDelay)))
	err = retry.Do(ctx, backoff, func(ctx context.Context) error {
		path, err = c.attempt(ctx, address, want, progress)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrUnavailable):
			return retry.RetryableError(err)
		}
		return err
	})
	return path, err
}

// attempt is one GET. What may work later is ErrUnavailable.
func (c *Client) attempt(ctx context.Context, address *url.URL, want integrity, progress func(done, total int64)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	ctx, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	watch := time.AfterFunc(c.stall, func() { interrupt(errStalled) })
	defer watch.Stop()

	response, err := c.registries.Auths.GetAuth(address.String()).Get(ctx, c.http, address.String())
	if err != nil {
		return "", unavailable(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := checkStatus(response.StatusCode); err != nil {
		return "", err
	}
	if response.ContentLength > c.maxBytes {
		return "", fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, response.ContentLength, c.maxBytes)
	}
	return c.cache.store(&body{
		reader: response.Body,
		total:  response.ContentLength,
		moved:  func() { watch.Reset(c.stall) },
		failed: func(err error) error { return unavailable(ctx, err) },
		report: progress,
	}, want, c.maxBytes)
}

func checkStatus(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusGone:
		return fmt.Errorf("%w (status %d): check name and version, and the registry and its token in .npmrc", ErrNotFound, status)
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return fmt.Errorf("%w (status %d): try again later", ErrUnavailable, status)
	default:
		return fmt.Errorf("the npm registry answered with status %d; check the registry in .npmrc", status)
	}
}

// unavailable words a failed GET without its address, which may hold a password of the operator's .npmrc.
func unavailable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, errOtherHost) {
		return err
	}
	return fmt.Errorf("%w: %w; check the network, the proxy and the registry in .npmrc", ErrUnavailable, err)
}

var (
	errStalled   = errors.New("no data arrives")
	errOtherHost = errors.New("the npm registry redirects to another host, which is refused")
)

// sameHost lets redirects stay on the registry's host only, and never lets them fall from https to http.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Host != first.Host || (first.Scheme == "https" && next.URL.Scheme != "https") {
		return errOtherHost
	}
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

// body reads an answer, tells of its progress, and words a broken connection.
type body struct {
	reader      io.Reader
	done, total int64
	moved       func()
	failed      func(error) error
	report      func(done, total int64)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	if n > 0 {
		b.done += int64(n)
		b.moved()
		if b.report != nil {
			b.report(b.done, b.total)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

// flights lets one goroutine at a time fetch a tarball; the others wait and then find it in the cache.
type flights struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// begin waits until nobody else fetches key. The caller must call release.
func (f *flights) begin(ctx context.Context, key string) (release func(), err error) {
	for {
		done, mine := f.claim(key)
		if mine {
			return func() { f.end(key) }, nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *flights) claim(key string) (done chan struct{}, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if done, busy := f.busy[key]; busy {
		return done, false
	}
	if f.busy == nil {
		f.busy = map[string]chan struct{}{}
	}
	done = make(chan struct{})
	f.busy[key] = done
	return done, true
}

func (f *flights) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.busy[key])
	delete(f.busy, key)
}
