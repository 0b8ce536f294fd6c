package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"
)

// previewMetadata describes a deployment of a preview.
type previewMetadata struct {
	MainModule  string             `json:"main_module"`
	Date        string             `json:"compatibility_date"`
	Flags       []string           `json:"compatibility_flags"`
	Env         map[string]binding `json:"env"`
	Annotations map[string]any     `json:"annotations"` // numbers, too
	Assets      *assetsWish        `json:"assets"`
}

// bindings are those of the environment, in order.
func bindingsOf(env map[string]binding) []binding {
	var list []binding
	for _, name := range slices.Sorted(maps.Keys(env)) {
		one := env[name]
		one.Name = name
		list = append(list, one)
	}
	return list
}

func texts(annotations map[string]any) map[string]string {
	list := map[string]string{}
	for name, value := range annotations {
		list[name] = fmt.Sprint(value)
	}
	return list
}

// readPreviewUpload reads a form: the part "metadata", and a part "files" for each module, whose file name is the module's.
func readPreviewUpload(r *http.Request) (previewMetadata, []module, error) {
	var m previewMetadata
	var modules []module
	bad := func(format string, args ...any) (previewMetadata, []module, error) {
		return previewMetadata{}, nil, fail(http.StatusBadRequest, codeUpload, format, args...)
	}
	reader, err := r.MultipartReader()
	if err != nil {
		return bad("The upload is no multipart form.")
	}
	described := false
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad("The multipart form can't be read.")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return bad("The multipart form can't be read.")
		}
		if part.FormName() == "metadata" {
			described = true
			if err := json.Unmarshal(content, &m); err != nil {
				return bad("The metadata can't be parsed: %v", err)
			}
			continue
		}
		_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition")) // FileName would leave folders out
		if err != nil || part.FormName() != "files" || disposition["filename"] == "" {
			return bad("The form part %q is not known.", part.FormName())
		}
		field, err := moduleField(part.Header.Get("Content-Type"))
		if err != nil {
			return bad("Unexpected Content-Type %q for module %q.", part.Header.Get("Content-Type"), disposition["filename"])
		}
		if field != "" {
			modules = append(modules, module{name: disposition["filename"], field: field, content: content})
		}
	}
	if !described {
		return bad("Form part 'metadata' is missing.")
	}
	return m, modules, nil
}

// postPreviewDeployment deploys to a preview and never to its Worker.
func (s *Server) postPreviewDeployment(r *http.Request) (answer, error) {
	m, modules, err := readPreviewUpload(r)
	if err != nil {
		return answer{}, err
	}
	ignore := r.URL.Query().Get("ignore_defaults") == "true"
	return s.deployPreview(r, func(p *workerPreview) (upload, error) {
		env := m.Env
		if p.body.serving == nil && !ignore { // what the Worker's base has is the first deployment's
			env = maps.Clone(p.base)
			if env == nil {
				env = map[string]binding{}
			}
			maps.Copy(env, m.Env)
		}
		return upload{modules: modules, metadata: metadata{MainModule: m.MainModule, Bindings: bindingsOf(env), Date: m.Date, Flags: m.Flags,
			Annotations: texts(m.Annotations), Assets: m.Assets}}, nil
	})
}

// patchPreviewDeployment deploys the latest once more, with another environment.
func (s *Server) patchPreviewDeployment(r *http.Request) (answer, error) {
	var wish struct {
		Env         map[string]*binding `json:"env"`
		Annotations map[string]any      `json:"annotations"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	return s.deployPreview(r, func(p *workerPreview) (upload, error) {
		latest := p.body.serving
		if latest == nil {
			return upload{}, fail(http.StatusNotFound, codeNoPatchTarget, "The Preview has no deployment.")
		}
		env := map[string]binding{}
		for _, b := range latest.bindings {
			env[b.Name] = b
		}
		for name, b := range wish.Env {
			if delete(env, name); b != nil {
				env[name] = *b
			}
		}
		u := upload{modules: slices.Clone(latest.modules), metadata: metadata{Bindings: bindingsOf(env), Date: latest.date, Flags: latest.flags,
			Annotations: texts(wish.Annotations), KeepAssets: latest.site != nil}}
		if len(u.modules) > 0 {
			u.metadata.MainModule = u.modules[0].name
		}
		return u, nil
	})
}

// deployPreview lets a version of a preview serve that make describes.
func (s *Server) deployPreview(r *http.Request, make func(*workerPreview) (upload, error)) (answer, error) {
	s.mu.Lock()
	p, err := s.preview(r)
	s.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	defer s.lock("preview " + p.id)()
	s.mu.Lock()
	u, err := make(p)
	s.mu.Unlock()
	if err == nil {
		err = u.check()
	}
	if err != nil {
		return answer{}, err
	}
	v, err := s.newVersion(p.body, u, sourceOf(r))
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.previews[p.label()] != p {
		s.work.Go(v.stop)
		return answer{}, fail(http.StatusNotFound, codeNoPreview, "Preview not found.")
	}
	p.body.versions = append(p.body.versions, v)
	s.deploy(p.body, v, v.source, u.metadata.Annotations["workers/message"])
	if p.deployed.IsZero() {
		p.body.show(true, s.seenFrom())
	}
	p.deployed = time.Now().UTC()
	return answer{result: s.previewDeploymentJSON(p, v)}, nil
}

// previewDeploymentJSON is a deployment as the API shows it. The caller holds the lock.
func (s *Server) previewDeploymentJSON(p *workerPreview, v *version) object {
	return object{"id": v.id, "preview_id": p.id, "created_on": v.created, "annotations": v.annotations, "compatibility_date": v.date, "compatibility_flags": v.flags,
		"env": publicEnv(v.bindings), "urls": s.urls(p, deploymentLabel(p, v))}
}

// publicEnv are bindings by name, without the texts of secrets.
func publicEnv(bindings []binding) object {
	env := object{}
	for _, b := range bindings {
		env[b.Name] = b.public()
	}
	return env
}

// deploymentLabel is the host's of one deployment.
func deploymentLabel(p *workerPreview, v *version) string { return v.id[:8] + "-" + p.of.name }

func (s *Server) getPreviewDeployment(r *http.Request) (answer, error) {
	return s.withPreview(r, func(p *workerPreview) (answer, error) {
		for _, v := range slices.Backward(p.body.versions) {
			if wanted := r.PathValue("deployment"); wanted == "latest" || v.id == wanted {
				return answer{result: s.previewDeploymentJSON(p, v)}, nil
			}
		}
		return answer{}, fail(http.StatusNotFound, codeNoPreviewDeploy, "The Preview has no such deployment.")
	})
}
