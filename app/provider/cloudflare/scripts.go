package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// itself is the name of a module's part in the upload of a script.
func itself(module string) string { return module }

// scripts is DriverScripts: a preview is a script of its own.
type scripts struct{ *Workers }

func (p scripts) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	now, err := p.api.worker(ctx, r.Name)
	if err != nil || now == nil {
		return preview.Observed{}, err
	}
	if now.Tags.mark() != r.Mark {
		return preview.Observed{Exists: true}, nil
	}
	outputs, err := p.outputs(ctx, r.Name)
	if errors.Is(err, errNoSubdomain) { // it is unfinished: apply tells why, and remove needs no address
		return preview.Observed{Exists: true, Owned: true}, nil
	}
	if err != nil {
		return preview.Observed{}, err
	}
	outputs.Version = now.Tags.tagged(tagVersion)
	return preview.Observed{Exists: true, Owned: true, Digest: now.digest(), Outputs: outputs}, nil
}

func (p scripts) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	now, err := p.owned(ctx, r)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := check(r, in.Bundle, in.Outputs.DatabaseURL); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.outputs(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if now != nil && p.unchanged(r, in, now.digest(), now.Tags.tagged(tagContent)) {
		outputs.Version = now.Tags.tagged(tagVersion)
		return outputs, nil
	}
	if err := p.beginBound(ctx, r, in.Bundle); err != nil {
		return preview.Outputs{}, err
	}
	outputs.Version, err = p.deploy(ctx, r, in, now != nil, outputs.URL)
	return outputs, err
}

// owned reads a script of ours; nil: there is none. One that is not ours is preview.ErrConflict.
func (p scripts) owned(ctx context.Context, r preview.Resource) (*worker, error) {
	now, err := p.api.worker(ctx, r.Name)
	if err == nil && now != nil && now.Tags.mark() != r.Mark {
		return nil, preview.ErrConflict
	}
	return now, err
}

// deploy uploads the script, turns its host on and finishes it with the digest. It returns which version serves, of a Worker that is to
// be rolled back.
func (p scripts) deploy(ctx context.Context, r preview.Resource, in preview.Inputs, exists bool, address string) (version string, err error) {
	token, err := p.uploadAssets(ctx, r.Name, in.Bundle.Assets, in.Source)
	if err != nil {
		return "", err
	}
	about := describe(r, in.Bundle, in.Outputs.DatabaseURL, token)
	if core(r) && exists {
		version, err = p.release(ctx, r, about, in.Bundle.Modules)
	} else {
		err = p.replace(ctx, r, about, in.Bundle.Modules)
	}
	if err != nil {
		return "", refused(err, secretsOf(in), len(in.Bundle.Bindings) > 0)
	}
	if err := p.api.show(ctx, r.Name); err != nil {
		return "", err
	}
	if err := p.prove(ctx, address, in); err != nil {
		return "", err
	}
	if core(r) && version == "" { // its first one
		if version, err = p.api.serving(ctx, r.Name); err != nil {
			return "", err
		}
	}
	tags := finishedTags(r, p.content(in))
	if version != "" {
		tags = append(tags, tagVersion+version)
	}
	return version, p.api.tag(ctx, r.Name, tags)
}

// replace uploads what serves from then on.
func (p scripts) replace(ctx context.Context, r preview.Resource, about metadata, modules []preview.Module) error {
	body, err := encode(about, modules, itself)
	if err != nil {
		return err
	}
	return p.inTurn(ctx, r.Name, func() error { return p.api.upload(ctx, r.Name, body) })
}

// release uploads a version of a script that is there, and then lets it serve: what a long-lived environment served before can be
// gone back to. Tags are the script's: those of what serves go first, or a crash would leave them to another version.
func (p scripts) release(ctx context.Context, r preview.Resource, about metadata, modules []preview.Module) (version string, err error) {
	about.Tags = nil
	body, err := encode(about, modules, itself)
	if err != nil {
		return "", err
	}
	if err := p.api.tag(ctx, r.Name, markTags(r.Mark)); err != nil {
		return "", err
	}
	if version, err = p.api.addVersion(ctx, r.Name, body); err != nil {
		return "", err
	}
	return version, p.api.deployVersion(ctx, r.Name, version, about.Annotations)
}

// core reports whether a Worker is a long-lived environment's.
func core(r preview.Resource) bool {
	return !strings.HasPrefix(r.Name, string(preview.EnvironmentPreview)+"-")
}

// beginBound makes the scripts that a bundle is bound to and that are not there yet: Cloudflare refuses a binding to nothing,
// and two Workers may be bound to each other. They carry the mark and no digest, so their own Apply goes on with them.
func (p scripts) beginBound(ctx context.Context, r preview.Resource, b *preview.Bundle) error {
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
			body, err := encode(metadata{MainModule: "worker.js", Bindings: []binding{}, Date: b.CompatibilityDate, Flags: []string{}, Tags: markTags(r.Mark)}, modules, itself)
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

func (p scripts) remove(ctx context.Context, r preview.Resource) error {
	return untilGone(ctx, p.look, r, p.owned, func(ctx context.Context, now *worker) error { return p.api.delete(ctx, now.Name) })
}

func (p scripts) list(ctx context.Context) ([]preview.Found, error) {
	all, err := p.api.workers(ctx)
	return ours(all, func(one worker) (string, preview.Mark) { return one.Name, one.Tags.mark() }), err
}

// outputs tell where a script answers.
func (p scripts) outputs(ctx context.Context, name string) (preview.Outputs, error) {
	subdomain, err := p.accountSubdomain(ctx)
	if err != nil {
		return preview.Outputs{}, err
	}
	return preview.Outputs{URL: fmt.Sprintf("%s://%s.%s.%s/", p.hosts.Scheme, name, subdomain, p.hosts.Host)}, nil
}
