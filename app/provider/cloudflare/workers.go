package cloudflare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	defaultHosts = "https://workers.dev"
	defaultWait  = 45 * time.Second
	defaultLook  = time.Second
	reachTimeout = 10 * time.Second
)

// Config is one account of an operator's.
type Config struct {
	APIURL    string // default https://api.cloudflare.com/client/v4
	Token     preview.Secret
	AccountID string
	Driver    Driver // default DriverScripts
	// ParentWorker is the Worker that DriverPreviews makes previews of; default DefaultParentWorker.
	ParentWorker string
	// HostsURL has the host below which the account's subdomain is, and the scheme; default https://workers.dev.
	HostsURL  string
	Wait      time.Duration     // longest wait for a new host to answer; default 45 s
	Look      time.Duration     // between looks at what goes on at Cloudflare; default 1 s
	Transport http.RoundTripper // to the API; default http.DefaultTransport
	Reach     http.RoundTripper // to the hosts of Workers; default http.DefaultTransport
	Logger    *slog.Logger      // default: discard
}

// Workers is the provider of KindWorker. It is safe for concurrent use.
type Workers struct {
	api        *client
	token      preview.Secret
	hosts      *url.URL
	reach      *http.Client
	wait, look time.Duration
	log        *slog.Logger
	driver     driver

	mu        sync.Mutex
	subdomain string           // of the account; empty: not asked for yet
	turns     map[string]*turn // by script
}

// turn lets one at a time upload a script.
type turn struct {
	token chan struct{}
	refs  int // who has it or waits for it; Workers.mu guards it
}

// New checks the configuration and calls nobody.
func New(c Config) (*Workers, error) {
	if c.Token == "" || c.AccountID == "" {
		return nil, errors.New("cloudflare: the API token and the account's id must be given")
	}
	address := cmp.Or(strings.TrimRight(c.APIURL, "/"), defaultAPI)
	if _, err := absolute(address); err != nil {
		return nil, fmt.Errorf("cloudflare: the API's URL %w", err)
	}
	hosts, err := absolute(cmp.Or(c.HostsURL, defaultHosts))
	if err != nil {
		return nil, fmt.Errorf("cloudflare: the URL of the Workers' hosts %w", err)
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	api, err := newClient(address, c.Token, c.AccountID, c.Transport)
	if err != nil {
		return nil, fmt.Errorf("cloudflare: %w", err)
	}
	reach := &http.Client{Transport: c.Reach, Timeout: reachTimeout, // what a Worker redirects to is none of ours
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p := &Workers{api: api, token: c.Token, hosts: hosts, reach: reach, wait: cmp.Or(c.Wait, defaultWait), look: cmp.Or(c.Look, defaultLook), log: c.Logger,
		turns: map[string]*turn{}}
	p.driver, err = p.drive(c)
	return p, err
}

func absolute(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, errors.New("must be an absolute http or https address without a user")
	}
	return u, nil
}

// Observe implements the reconciler's Provider.
func (p *Workers) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkResource(r); err != nil {
		return preview.Observed{}, err
	}
	now, err := p.driver.observe(ctx, r)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	return now, nil
}

// Apply implements the reconciler's Provider.
func (p *Workers) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := checkResource(r); err != nil {
		return preview.Outputs{}, err
	}
	if !tagValue.MatchString(r.Digest) {
		return preview.Outputs{}, fmt.Errorf("the digest of %s can't be a tag", r.Name)
	}
	outputs, err := p.driver.apply(ctx, r, in)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("worker %s: %w", r.Name, classify(err))
	}
	return outputs, nil
}

// secretsOf are the values that must not be told: the password alone, too.
func secretsOf(in preview.Inputs) []preview.Secret {
	secrets := append([]preview.Secret{in.Outputs.DatabaseURL}, in.Redact...)
	if u, err := url.Parse(in.Outputs.DatabaseURL.Reveal()); err == nil && u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, preview.Secret(password))
	}
	return secrets
}

// Delete implements the reconciler's Provider.
func (p *Workers) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkResource(r); err != nil {
		return err
	}
	if err := p.driver.remove(ctx, r); err != nil {
		return fmt.Errorf("delete %s: %w", r.Name, classify(err))
	}
	return nil
}

// List implements the reconciler's Provider.
func (p *Workers) List(ctx context.Context) ([]preview.Found, error) {
	found, err := p.driver.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", classify(err))
	}
	slices.SortFunc(found, func(a, b preview.Found) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// accountSubdomain is the account's below workers.dev, asked for once.
func (p *Workers) accountSubdomain(ctx context.Context) (string, error) {
	p.mu.Lock()
	subdomain := p.subdomain
	p.mu.Unlock()
	if subdomain == "" {
		var err error
		if subdomain, err = p.api.subdomain(ctx); err != nil {
			return "", err
		}
		p.mu.Lock()
		p.subdomain = subdomain
		p.mu.Unlock()
	}
	return subdomain, nil
}

// inTurn uploads a script while nobody else of this process looks whether it is there, or uploads it: the code that
// begins a script must not come after its own.
func (p *Workers) inTurn(ctx context.Context, name string, do func() error) error {
	p.mu.Lock()
	t := p.turns[name]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		p.turns[name] = t
	}
	t.refs++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if t.refs--; t.refs == 0 {
			delete(p.turns, name)
		}
	}()
	select {
	case t.token <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.token }()
	return do()
}
