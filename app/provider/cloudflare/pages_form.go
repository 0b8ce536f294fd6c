package cloudflare

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"path"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

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
