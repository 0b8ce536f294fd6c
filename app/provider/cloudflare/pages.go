package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/flaresmith/flaresmith/app/preview"
)

// pages is DriverPages: a preview is a project of Pages of its own, with deployments of one branch. Pages keeps secrets
// for all previews of a project together, so that one project for many would show each of them the others' (ADR 24).
//
// Mark and digest are variables of the project's production, which is never deployed: no code of a preview sees them.
type pages struct{ *Workers }

const (
	// pagesBranch is what is deployed, and its alias; productionBranch is never.
	pagesBranch      = "preview"
	productionBranch = "production"

	varProject     = "FLARESMITH_PROJECT"
	varEnvironment = "FLARESMITH_ENVIRONMENT"
	varDigest      = "FLARESMITH_DIGEST"
	varContent     = "FLARESMITH_CONTENT"
	varDeployment  = "FLARESMITH_DEPLOYMENT"

	// pagesAssets is the binding that Pages makes itself.
	pagesAssets = "ASSETS"
)

func (p *project) kept(name string) string { return p.Configs[pagesProduction].Vars[name].Value }

func (p *project) mark() preview.Mark {
	return preview.Mark{Project: p.kept(varProject), Environment: p.kept(varEnvironment)}
}

// digest is that of a deployment that has ended, and that is still the one that serves.
func (p *project) digest() string {
	if p.Latest == nil || p.Latest.ID != p.kept(varDeployment) || p.ProductionBranch == pagesBranch {
		return ""
	}
	return p.kept(varDigest)
}

func (p pages) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	now, err := p.api.project(ctx, r.Name)
	if err != nil || now == nil {
		return preview.Observed{}, err
	}
	if now.mark() != r.Mark {
		return preview.Observed{Exists: true}, nil
	}
	return preview.Observed{Exists: true, Owned: true, Digest: now.digest(), Outputs: p.outputs(now)}, nil
}

func (p pages) outputs(now *project) preview.Outputs {
	return preview.Outputs{URL: p.address(pagesBranch, now)}
}

// address is that of an alias or of a deployment. A stand-in's are on the port of its Workers.
func (p pages) address(label string, now *project) string {
	host := label + "." + now.Subdomain
	if port := p.hosts.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	return p.hosts.Scheme + "://" + host + "/"
}

// owned reads a project of ours; nil: there is none. One that is not ours is preview.ErrConflict.
func (p pages) owned(ctx context.Context, r preview.Resource) (*project, error) {
	now, err := p.api.project(ctx, r.Name)
	if err == nil && now != nil && now.mark() != r.Mark {
		return nil, preview.ErrConflict
	}
	return now, err
}

func (p pages) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	now, err := p.owned(ctx, r)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := check(r, in.Bundle, in.Outputs.DatabaseURL); err != nil {
		return preview.Outputs{}, err
	}
	if err := checkPages(in.Bundle); err != nil {
		return preview.Outputs{}, err
	}
	if now != nil && p.unchanged(r, in, now.digest(), now.kept(varContent)) {
		return p.outputs(now), nil
	}
	isNew := now == nil
	if now, err = p.begin(ctx, r, in, now); err != nil {
		return preview.Outputs{}, err
	}
	return p.outputs(now), p.deploy(ctx, r, in, now, isNew)
}

// checkPages refuses what Pages can't do as the bundle asks for it.
func checkPages(b *preview.Bundle) error {
	invalid := &preview.InvalidError{What: "the Worker can't be run by Cloudflare Pages"}
	complain := func(message, hint string) {
		invalid.Problems = append(invalid.Problems, preview.Problem{Message: message, Hint: hint})
	}
	if len(b.Services) > 0 {
		complain("it is bound to another Worker of the preview", "Pages can't be bound to Pages: the operator can choose another driver (CLOUDFLARE_DRIVER).")
	}
	if a := b.Assets; a != nil {
		if a.Binding != "" && a.Binding != pagesAssets {
			complain(fmt.Sprintf("its static files are bound as %.80q", a.Binding), "Pages binds them as "+pagesAssets+": set assets.binding to that.")
		}
		if a.HTML != preview.HTMLAuto {
			complain(fmt.Sprintf("html_handling is %.40q", a.HTML), "Pages knows "+string(preview.HTMLAuto)+" only.")
		}
	}
	if len(invalid.Problems) > 0 {
		return invalid
	}
	return nil
}

// begin makes the project, or takes the digest away from the one that there is, and gives it the secrets of this preview and no others.
func (p pages) begin(ctx context.Context, r preview.Resource, in preview.Inputs, now *project) (*project, error) {
	here := configuration{Vars: map[string]*variable{}, Date: in.Bundle.CompatibilityDate, Flags: in.Bundle.CompatibilityFlags}
	kept := configuration{Vars: map[string]*variable{varProject: plain(r.Mark.Project), varEnvironment: plain(r.Mark.Environment)}}
	if now != nil {
		for name := range now.Configs[pagesPreview].Vars {
			here.Vars[name] = nil
		}
		for _, name := range []string{varDigest, varContent, varDeployment} {
			kept.Vars[name] = nil
		}
	}
	if name := in.Bundle.DatabaseBinding; name != "" {
		here.Vars[name] = hidden(in.Outputs.DatabaseURL)
	}
	configs := map[string]configuration{pagesPreview: here, pagesProduction: kept}
	if now == nil {
		return p.api.createProject(ctx, r.Name, productionBranch, configs)
	}
	if now.ProductionBranch == pagesBranch { // whatever is deployed would be production
		return nil, fmt.Errorf("the production branch of %s was changed to %s", r.Name, pagesBranch)
	}
	return now, p.api.changeProject(ctx, r.Name, configs)
}

// deploy makes a deployment, waits until it serves and proves who it is, removes those before, and finishes with the digest.
func (p pages) deploy(ctx context.Context, r preview.Resource, in preview.Inputs, now *project, isNew bool) error {
	manifest, byHash := pagesManifest(in.Bundle.Assets)
	if a := in.Bundle.Assets; a != nil {
		if in.Source == nil {
			return errors.New("static files: no source is given")
		}
		if err := p.api.uploadPagesAssets(ctx, r.Name, byHash, readFrom(in.Source, a.Directory), !isNew); err != nil {
			return err
		}
	}
	body, err := encodePages(r, in.Bundle, manifest)
	if err != nil {
		return err
	}
	made, err := p.api.deployPages(ctx, r.Name, body)
	if err != nil {
		return refused(err, secretsOf(in), len(in.Bundle.Bindings) > 0)
	}
	if err := p.deployed(ctx, r, in, made); err != nil {
		return err
	}
	// At the host of this very deployment: the alias may lead to the one before for a moment.
	if err := p.prove(ctx, p.address(made.ShortID, now), in); err != nil {
		return err
	}
	if !isNew {
		if err := p.removeOthers(ctx, r.Name, made.ID); err != nil {
			return err
		}
	}
	return p.api.changeProject(ctx, r.Name, map[string]configuration{pagesProduction: {Vars: map[string]*variable{
		varDigest: plain(r.Digest), varContent: plain(p.content(in)), varDeployment: plain(made.ID)}}})
}

// deployed waits until a deployment serves. One that fails is its author's to fix, and goes.
func (p pages) deployed(ctx context.Context, r preview.Resource, in preview.Inputs, made deployment) error {
	for {
		switch {
		case made.Stage.Status == "failure", made.Stage.Status == "canceled":
			said, err := p.api.pagesFailure(ctx, r.Name, made.ID)
			if err != nil {
				return err
			}
			if err := p.api.deletePagesDeployment(ctx, r.Name, made.ID); err != nil {
				return err
			}
			return &preview.InvalidError{What: "Cloudflare refuses the Worker", Problems: []preview.Problem{{Message: clip(redact(said, secretsOf(in)))}}}
		case made.Stage.Name == "deploy" && made.Stage.Status == "success":
			return nil
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
		var err error
		if made, err = p.api.pagesDeployment(ctx, r.Name, made.ID); err != nil {
			return err
		}
	}
}

// removeOthers removes the deployments of our branch but one: of tries before, and of what was deployed until now.
func (p pages) removeOthers(ctx context.Context, name, but string) error {
	all, err := p.api.pagesDeployments(ctx, name)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.ID == but || d.Environment != pagesPreview || d.Trigger.Metadata.Branch != pagesBranch {
			continue
		}
		if err := p.api.deletePagesDeployment(ctx, name, d.ID); err != nil {
			return err
		}
	}
	return nil
}

func (p pages) remove(ctx context.Context, r preview.Resource) error {
	return untilGone(ctx, p.look, r, p.owned, p.erase)
}

// erase deletes a project with all that is deployed of it.
func (p pages) erase(ctx context.Context, now *project) error {
	err := p.api.deleteProject(ctx, now.Name)
	var no *apiError
	if errors.As(err, &no) && no.has(codeDeploymentsLeft) {
		if err = p.removeOthers(ctx, now.Name, ""); err == nil {
			err = p.api.deleteProject(ctx, now.Name)
		}
	}
	return err
}

func (p pages) list(ctx context.Context) ([]preview.Found, error) {
	all, err := p.api.projects(ctx)
	return ours(all, func(one project) (string, preview.Mark) { return one.Name, one.mark() }), err
}
