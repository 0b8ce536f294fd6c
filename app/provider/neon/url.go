package neon

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// outputs are what the next resources get: the pooled address, as a Worker should use it.
func (p *Branches) outputs(ctx context.Context, b branch) (preview.Outputs, error) {
	direct, err := p.direct(ctx, b.ID)
	if err != nil {
		return preview.Outputs{}, err
	}
	u, err := url.Parse(direct.Reveal())
	if err != nil { // the error quotes the password
		return preview.Outputs{}, errors.New("neon's connection string can't be parsed")
	}
	u.Host = pooled(u.Host)
	return preview.Outputs{DatabaseURL: preview.Secret(u.String()), DatabaseName: strings.TrimPrefix(u.Path, "/"),
		DatabaseMarked: b.annotation[markComment] != ""}, nil
}

// direct is the connection string of the branch's own compute, for migrations.
func (p *Branches) direct(ctx context.Context, id string) (preview.Secret, error) {
	if known := p.knownURL(id); known != "" {
		return known, nil
	}
	d, err := p.ofPreviews(ctx, id)
	if err != nil {
		return "", err
	}
	direct, err := p.api.uri(ctx, id, d)
	if err != nil {
		return "", err
	}
	compute, err := p.api.compute(ctx, id)
	if err != nil {
		return "", err
	}
	if !leadsTo(direct.Reveal(), compute) {
		return "", errElsewhere
	}
	p.remember(id, direct)
	return direct, nil
}

// knownURL is the connection string that was asked for before; empty: none.
func (p *Branches) knownURL(id string) preview.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urls[id]
}

func (p *Branches) remember(id string, direct preview.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.urls[id] = direct
}

// forgetURL makes the next session ask for the password of today.
func (p *Branches) forgetURL(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.urls, id)
}

// forget drops what is known of a branch that becomes another.
func (p *Branches) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.urls, id)
	delete(p.schemas, id)
}

var errElsewhere = errors.New("neon's connection string leads to another branch's compute")

// leadsTo reports whether a connection string leads to a compute: by its host, or at an address that is no name by what the proxy there is
// told. It is looked at before anybody logs in with it: who is given production's would write there.
func leadsTo(uri string, compute endpoint) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	if net.ParseIP(u.Hostname()) != nil {
		name = strings.TrimPrefix(u.Query().Get("options"), "endpoint=")
	}
	return compute.ID != "" && strings.TrimSuffix(name, poolerSuffix) == compute.ID
}

// pooled is the host of an endpoint's pooler, which has the endpoint's id with a suffix for its first label. An address
// that is no name leads to a proxy that is told the endpoint otherwise, and stays.
func pooled(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	if net.ParseIP(name) != nil {
		return host
	}
	first, rest, _ := strings.Cut(name, ".")
	name = strings.TrimSuffix(first, poolerSuffix) + poolerSuffix + "." + rest
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

const poolerSuffix = "-pooler"

// withPassword is a connection string with another password.
func withPassword(uri string, password preview.Secret) (preview.Secret, error) {
	u, err := url.Parse(uri)
	if err != nil || u.User == nil { // the error quotes the password
		return "", errors.New("neon's connection string can't be parsed")
	}
	u.User = url.UserPassword(u.User.Username(), password.Reveal())
	return preview.Secret(u.String()), nil
}
