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
	return &Workers{api: api, token: c.Token, hosts: hosts, reach: reach, wait: cmp.Or(c.Wait, defaultWait), look: cmp.Or(c.Look, defaultLook), log: c.Logger,
		turns: map[string]*turn{}}, nil
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
	now, err := p.api.worker(ctx, r.Name)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	if now == nil {
		return preview.Observed{}, nil
	}
	if now.mark() != r.Mark {
		return preview.Observed{Exists: true}, nil
	}
	outputs, err := p.outputs(ctx, r.Name)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	return preview.Observed{Exists: true, Owned: true, Digest: now.digest(), Outputs: outputs}, nil
}

// Apply implements the reconciler's Provider.
func (p *Workers) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := checkResource(r); err != nil {
		return preview.Outputs{}, err
	}
	if !tagValue.MatchString(r.Digest) {
		return preview.Outputs{}, fmt.Errorf("the digest of %s can't be a tag", r.Name)
	}
	outputs, err := p.apply(ctx, r, in)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("worker %s: %w", r.Name, classify(err))
	}
	return outputs, nil
}

func (p *Workers) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	now, err := p.owned(ctx, r)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := check(r, in.Bundle, in.Outputs.DatabaseURL); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.outputs(ctx, r.Name)
	if err != nil || now != nil && !r.Reset && now.digest() == r.Digest && now.tagged(tagContent) == p.content(in) {
		return outputs, err
	}
	if err := p.beginBound(ctx, r, in.Bundle); err != nil {
		return preview.Outputs{}, err
	}
	return outputs, p.deploy(ctx, r, in, outputs.URL)
}

// owned reads a script of ours; nil: there is none. One that is not ours is preview.ErrConflict.
func (p *Workers) owned(ctx context.Context, r preview.Resource) (*worker, error) {
	now, err := p.api.worker(ctx, r.Name)
	if err == nil && now != nil && now.mark() != r.Mark {
		return nil, preview.ErrConflict
	}
	return now, err
}

// deploy uploads the script, turns its host on and finishes it with the digest.
func (p *Workers) deploy(ctx context.Context, r preview.Resource, in preview.Inputs, address string) error {
	token, err := p.uploadAssets(ctx, r.Name, in.Bundle.Assets, in.Source)
	if err != nil {
		return err
	}
	body, err := encode(describe(r, in.Bundle, in.Outputs.DatabaseURL, token), in.Bundle.Modules)
	if err != nil {
		return err
	}
	if err := p.inTurn(ctx, r.Name, func() error { return p.api.upload(ctx, r.Name, body) }); err != nil {
		return refused(err, secretsOf(in), len(in.Bundle.Bindings) > 0)
	}
	if err := p.api.show(ctx, r.Name); err != nil {
		return err
	}
	if err := p.await(ctx, address); err != nil {
		return err
	}
	if in.Verify != nil {
		if err := in.Verify(ctx, p.ask(address)); err != nil {
			return err
		}
	}
	return p.api.tag(ctx, r.Name, finishedTags(r, p.content(in)))
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

// beginBound makes the scripts that a bundle is bound to and that are not there yet: Cloudflare refuses a binding to nothing,
// and two Workers may be bound to each other. They carry the mark and no digest, so their own Apply goes on with them.
func (p *Workers) beginBound(ctx context.Context, r preview.Resource, b *preview.Bundle) error {
	const source = `export default { fetch() { return new Response("This Worker is being deployed.", { status: 503 }); } };`
	var targets []string
	for _, to := range b.Services {
		targets = append(targets, r.Sibling(to))
	}
	slices.Sort(targets)
	modules := []preview.Module{{Name: "worker.js", Type: preview.ModuleES, Content: []byte(source)}}
	for _, name := range slices.Compact(targets) {
		target := r
		target.Name = name
		err := p.inTurn(ctx, name, func() error {
			if now, err := p.owned(ctx, target); err != nil || now != nil {
				return err
			}
			body, err := encode(metadata{MainModule: "worker.js", Bindings: []binding{}, Date: b.CompatibilityDate, Flags: []string{}, Tags: markTags(r.Mark)}, modules)
			if err != nil {
				return err
			}
			return p.api.upload(ctx, name, body)
		})
		if err != nil {
			return fmt.Errorf("bound to %s: %w", name, err)
		}
	}
	return nil
}

// Delete implements the reconciler's Provider.
func (p *Workers) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkResource(r); err != nil {
		return err
	}
	if err := p.remove(ctx, r); err != nil {
		return fmt.Errorf("delete %s: %w", r.Name, classify(err))
	}
	return nil
}

// remove deletes a script of ours and waits until it is gone. It asks again now and then: an answer may be a proxy's.
func (p *Workers) remove(ctx context.Context, r preview.Resource) error {
	const again = 8
	for look := 0; ; look++ {
		now, err := p.owned(ctx, r)
		if err != nil || now == nil {
			return err
		}
		if look%again == 0 {
			if err := p.api.delete(ctx, r.Name); err != nil {
				return err
			}
			continue // gone at once, as a rule
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
}

// List implements the reconciler's Provider.
func (p *Workers) List(ctx context.Context) ([]preview.Found, error) {
	all, err := p.api.workers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", classify(err))
	}
	var found []preview.Found
	for _, w := range all {
		if m := w.mark(); preview.NamePattern.MatchString(w.Name) && m.Project != "" && m.Environment != "" {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: w.Name, Mark: m})
		}
	}
	slices.SortFunc(found, func(a, b preview.Found) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// outputs tell where a Worker answers.
func (p *Workers) outputs(ctx context.Context, name string) (preview.Outputs, error) {
	p.mu.Lock()
	subdomain := p.subdomain
	p.mu.Unlock()
	if subdomain == "" {
		var err error
		if subdomain, err = p.api.subdomain(ctx); err != nil {
			return preview.Outputs{}, err
		}
		p.mu.Lock()
		p.subdomain = subdomain
		p.mu.Unlock()
	}
	return preview.Outputs{URL: fmt.Sprintf("%s://%s.%s.%s/", p.hosts.Scheme, name, subdomain, p.hosts.Host)}, nil
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
