package cloudflare

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

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
	if now != nil && !r.Reset && now.digest() == r.Digest && now.kept(varContent) == p.content(in) {
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
	text := func(value string) *variable { return &variable{Type: "plain_text", Value: value} }
	here := configuration{Vars: map[string]*variable{}, Date: in.Bundle.CompatibilityDate, Flags: in.Bundle.CompatibilityFlags}
	kept := configuration{Vars: map[string]*variable{varProject: text(r.Mark.Project), varEnvironment: text(r.Mark.Environment)}}
	if now != nil {
		for name := range now.Configs[pagesPreview].Vars {
			here.Vars[name] = nil
		}
		for _, name := range []string{varDigest, varContent, varDeployment} {
			kept.Vars[name] = nil
		}
	}
	if name := in.Bundle.DatabaseBinding; name != "" {
		here.Vars[name] = &variable{Type: "secret_text", Value: in.Outputs.DatabaseURL.Reveal()}
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
	address := p.address(made.ShortID, now)
	if err := p.await(ctx, address); err != nil {
		return err
	}
	if in.Verify != nil { // at the host of this very deployment: the alias may lead to the one before for a moment
		if err := in.Verify(ctx, p.ask(address)); err != nil {
			return err
		}
	}
	if !isNew {
		if err := p.removeOthers(ctx, r, made.ID); err != nil {
			return err
		}
	}
	text := func(value string) *variable { return &variable{Type: "plain_text", Value: value} }
	return p.api.changeProject(ctx, r.Name, map[string]configuration{pagesProduction: {Vars: map[string]*variable{
		varDigest: text(r.Digest), varContent: text(p.content(in)), varDeployment: text(made.ID)}}})
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
func (p pages) removeOthers(ctx context.Context, r preview.Resource, but string) error {
	all, err := p.api.pagesDeployments(ctx, r.Name)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.ID == but || d.Environment != pagesPreview || d.Trigger.Metadata.Branch != pagesBranch {
			continue
		}
		if err := p.api.deletePagesDeployment(ctx, r.Name, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a project of ours with all that is deployed of it, and waits until it is gone.
func (p pages) remove(ctx context.Context, r preview.Resource) error {
	const again = 8
	for look := 0; ; look++ {
		now, err := p.owned(ctx, r)
		if err != nil || now == nil {
			return err
		}
		if look%again == 0 {
			err := p.api.deleteProject(ctx, r.Name)
			var no *apiError
			if errors.As(err, &no) && no.has(codeDeploymentsLeft) {
				if err = p.removeOthers(ctx, r, ""); err == nil {
					err = p.api.deleteProject(ctx, r.Name)
				}
			}
			if err != nil {
				return err
			}
			continue // gone at once, as a rule
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
}

func (p pages) list(ctx context.Context) ([]preview.Found, error) {
	all, err := p.api.projects(ctx)
	if err != nil {
		return nil, err
	}
	var found []preview.Found
	for _, one := range all {
		if m := one.mark(); preview.NamePattern.MatchString(one.Name) && m.Project != "" && m.Environment != "" {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: one.Name, Mark: m})
		}
	}
	return found, nil
}

func (p pages) diagnose(ctx context.Context) []preview.Finding {
	const what = "Cloudflare Pages"
	all, err := p.api.projects(ctx)
	var no *apiError
	switch {
	case errors.As(err, &no) && (no.status == http.StatusUnauthorized || no.status == http.StatusForbidden):
		return []preview.Finding{preview.Amiss(what, err.Error(), "give the API token the permission Account · Cloudflare Pages · Edit, too")}
	case err != nil:
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err))}
	}
	return []preview.Finding{preview.Fine(what, fmt.Sprintf("can be read: %d projects in the account, which may have 100 unless Cloudflare allows more", len(all)))}
}

// notFoundPage is what makes Pages say that nothing is there: without one it serves the index for every path.
const notFoundPage = "/404.html"

// pagesManifest are the files of a deployment by path, and what there is to upload of them by hash.
func pagesManifest(a *preview.Assets) (manifest map[string]string, byHash map[string]preview.Asset) {
	manifest, byHash = map[string]string{}, map[string]preview.Asset{}
	add := func(one preview.Asset) {
		hash := assetHash(one)
		manifest[one.Path], byHash[hash] = hash, one
	}
	if a == nil {
		return manifest, byHash
	}
	for _, one := range a.Files {
		if one.Path != notFoundPage || a.NotFound == preview.NotFoundPage {
			add(one)
		}
	}
	if a.NotFound != preview.NotFoundApp && manifest[notFoundPage] == "" {
		add(preview.Asset{Path: notFoundPage})
	}
	return manifest, byHash
}

//go:embed pages_front.js
var pagesFront string

// frontModule stands in front of a Worker with static files.
const frontModule = "flaresmith-pages.js"

// front makes the module that sends requests for static files to them, as Workers do and Pages does not.
func front(b *preview.Bundle) (preview.Module, error) {
	told := struct {
		Paths       []string `json:"paths"`
		First       []string `json:"first"`
		Navigations bool     `json:"navigations"`
	}{Paths: []string{}, First: append([]string{}, b.Assets.WorkerFirstRoutes...), Navigations: b.Assets.NotFound != preview.NotFoundNone && b.CompatibilityDate >= "2025-04-01"}
	for _, file := range b.Assets.Files {
		told.Paths = append(told.Paths, file.Path)
		stem, page := strings.CutSuffix(file.Path, ".html")
		if !page {
			continue
		}
		told.Paths = append(told.Paths, stem, stem+"/")
		if index, ok := strings.CutSuffix(stem, "/index"); ok {
			told.Paths = append(told.Paths, index, index+"/")
		}
	}
	slices.Sort(told.Paths)
	text, err := json.Marshal(told)
	if err != nil {
		return preview.Module{}, err
	}
	main, err := json.Marshal("./" + partName(b.MainModule))
	if err != nil {
		return preview.Module{}, err
	}
	source := strings.NewReplacer(`"flaresmith:worker"`, string(main), `"flaresmith:told"`, string(text)).Replace(pagesFront)
	return preview.Module{Name: frontModule, Type: preview.ModuleES, Content: []byte(source)}, nil
}

// encodePages makes the form of a deployment. Of the Worker's environment, secrets alone are not in it.
func encodePages(r preview.Resource, b *preview.Bundle, manifest map[string]string) (*form, error) {
	files, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	fields := [][2]string{{"manifest", string(files)}, {"branch", pagesBranch}, {"commit_dirty", "false"},
		{"commit_message", "flaresmith " + r.Mark.Project + " " + r.Mark.Environment}}
	if r.SHA != "" {
		fields = append(fields, [2]string{"commit_hash", r.SHA})
	}
	for _, field := range fields {
		if err == nil {
			err = w.WriteField(field[0], field[1])
		}
	}
	if err == nil && len(b.Modules) > 0 {
		err = addBundle(w, r, b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode deployment: %w", err)
	}
	return &form{contentType: w.FormDataContentType(), content: body.Bytes()}, nil
}

// addBundle adds the Worker, which is a form itself.
func addBundle(w *multipart.Writer, r preview.Resource, b *preview.Bundle) error {
	plain := *b
	plain.DatabaseBinding, plain.Assets = "", nil
	m := metadata{MainModule: partName(b.MainModule), Bindings: bindings(r, &plain, ""), Date: b.CompatibilityDate, Flags: slices.Concat([]string{}, b.CompatibilityFlags)}
	m.Bindings = slices.DeleteFunc(m.Bindings, func(one binding) bool { return one.Name == b.DatabaseBinding })
	modules := b.Modules
	if b.Assets != nil && !b.Assets.WorkerFirst {
		before, err := front(b)
		if err != nil {
			return err
		}
		if path.Dir(m.MainModule) != "." {
			return fmt.Errorf("the main module %.80q is in a folder", b.MainModule)
		}
		m.MainModule, modules = before.Name, append([]preview.Module{before}, modules...)
	}
	bundle, err := encode(m, modules, partName)
	if err != nil {
		return err
	}
	part, err := w.CreateFormFile("_worker.bundle", "_worker.bundle")
	if err == nil {
		_, err = part.Write(bundle.content)
	}
	return err
}
