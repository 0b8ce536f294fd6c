package cloudflare

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Codes of Cloudflare's errors about previews. That of a name that is taken is our own guess.
const (
	codeNoPreview       = 10025
	codeNoPatchTarget   = 10032
	codeNoPreviewDeploy = 10222
	codePreviewTaken    = 10026
	codeBadPreview      = 10004
)

var previewName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9\-_/.+=]*[a-zA-Z0-9])?$`)

// workerPreview is a preview of a Worker: deployments of its own beside the Worker's, at a host of its own. Server.mu guards it.
type workerPreview struct {
	id   string
	name string
	slug string
	of   *script
	// body holds what a script has, too: its tags, versions and the one that serves.
	body     *script
	deployed time.Time          // zero: never
	base     map[string]binding // taken over from the Worker when it was made
}

// label is the host's in front of the account's subdomain.
func (p *workerPreview) label() string { return p.slug + "-" + p.of.name }

// slugOf is a name as a host name's label has it.
func slugOf(name string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// postWorker makes a Worker that nothing is deployed to.
func (s *Server) postWorker(r *http.Request) (answer, error) {
	var wish struct {
		Name      string   `json:"name"`
		Tags      []string `json:"tags"`
		Subdomain struct {
			Enabled  bool `json:"enabled"`
			Previews bool `json:"previews_enabled"`
		} `json:"subdomain"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	if !scriptName.MatchString(wish.Name) {
		return answer{}, fail(http.StatusBadRequest, codeBadName, "Invalid Worker name.")
	}
	defer s.lock(wish.Name)()
	way, err := s.listenInner(wish.Name)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	full := len(s.scripts) >= s.cfg.Scripts
	if full || s.scripts[wish.Name] != nil {
		s.work.Go(way.close)
		if full {
			return answer{}, fail(http.StatusForbidden, codeTooMany, "You have exceeded the limit of %d Workers on your account.", s.cfg.Scripts)
		}
		return answer{}, fail(http.StatusConflict, codeBadPreview, "A Worker of this name already exists.")
	}
	now := time.Now().UTC()
	c := &script{name: wish.Name, id: hexID(), created: now, modified: now, tags: append([]string{}, wish.Tags...), inner: way,
		onHost: wish.Subdomain.Enabled, previews: wish.Subdomain.Previews, base: map[string]binding{}}
	s.scripts[c.name] = c
	return answer{result: s.worker(c)}, nil
}

// patchWorker changes what its previews take over, and whether they have hosts.
func (s *Server) patchWorker(r *http.Request) (answer, error) {
	var wish struct {
		Base *struct {
			Env map[string]binding `json:"env"`
		} `json:"previews_base_config"`
		Subdomain *struct {
			Previews *bool `json:"previews_enabled"`
		} `json:"subdomain"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.parent(r)
	if err != nil {
		return answer{}, err
	}
	if wish.Base != nil {
		c.base = wish.Base.Env
	}
	if wish.Subdomain != nil && wish.Subdomain.Previews != nil {
		c.previews = *wish.Subdomain.Previews
	}
	return answer{result: s.worker(c)}, nil
}

// parent is the Worker of a request, deployed to or not. The caller holds the lock.
func (s *Server) parent(r *http.Request) (*script, error) {
	wanted := r.PathValue("script_name")
	for _, c := range s.scripts {
		if c.name == wanted || c.id == wanted {
			return c, nil
		}
	}
	return nil, noScript()
}

// preview is that of a request, by its id, slug or name. The caller holds the lock.
func (s *Server) preview(r *http.Request) (*workerPreview, error) {
	c, err := s.parent(r)
	if err != nil {
		return nil, err
	}
	wanted := r.PathValue("preview")
	for _, p := range s.previews {
		if p.of == c && (p.id == wanted || p.slug == wanted || p.name == wanted) {
			return p, nil
		}
	}
	return nil, fail(http.StatusNotFound, codeNoPreview, "Preview not found.")
}

func (s *Server) listPreviews(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.parent(r)
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, label := range slices.Sorted(maps.Keys(s.previews)) {
		if p := s.previews[label]; p.of == c {
			list = append(list, s.previewJSON(p))
		}
	}
	return page(list, r), nil
}

// previewJSON is a preview as the API shows it. The caller holds the lock.
func (s *Server) previewJSON(p *workerPreview) object {
	j := object{"id": p.id, "name": p.name, "slug": p.slug, "tags": p.body.tags, "created_on": p.body.created, "updated_on": p.body.modified, "deployed_on": nil,
		"logpush": false, "observability": object{"enabled": false}, "tail_consumers": []object{}, "urls": s.urls(p, p.label())}
	if !p.deployed.IsZero() {
		j["deployed_on"] = p.deployed
	}
	return j
}

// urls are where a preview answers, unless its Worker's previews have no hosts.
func (s *Server) urls(p *workerPreview, label string) []string {
	if !p.of.previews {
		return []string{}
	}
	scheme, host, _ := strings.Cut(s.WorkersURL(), "://")
	return []string{fmt.Sprintf("%s://%s.%s.%s", scheme, label, s.cfg.Subdomain, host)}
}

type previewSettings struct {
	Name string    `json:"name"`
	Tags *[]string `json:"tags"`
}

func (w previewSettings) check() error {
	if w.Tags == nil {
		return nil
	}
	const mostTags, longest = 8, 1024
	if bad := slices.ContainsFunc(*w.Tags, func(tag string) bool { return len(tag) > longest || strings.ContainsAny(tag, ",&") }); bad || len(*w.Tags) > mostTags {
		return fail(http.StatusBadRequest, codeBadPreview, "The tags of the Preview are not valid.")
	}
	return nil
}

func (s *Server) postPreview(r *http.Request) (answer, error) {
	var wish previewSettings
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	const longest = 256
	slug := slugOf(wish.Name)
	if !previewName.MatchString(wish.Name) || len(wish.Name) > longest || slug == "" {
		return answer{}, fail(http.StatusBadRequest, codeBadPreview, "The name of the Preview is not valid.")
	}
	if err := wish.check(); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.parent(r)
	if err != nil {
		return answer{}, err
	}
	now := time.Now().UTC()
	p := &workerPreview{id: hexID(), name: wish.Name, slug: slug, of: c, body: &script{name: slug + "-" + c.name, assetsOf: c.name, created: now, modified: now, tags: []string{}}}
	if wish.Tags != nil {
		p.body.tags = *wish.Tags
	}
	if !label.MatchString(p.label()) {
		return answer{}, fail(http.StatusBadRequest, codeBadPreview, "The name of the Preview is too long for a host name.")
	}
	if s.previews[p.label()] != nil {
		return answer{}, fail(http.StatusConflict, codePreviewTaken, "A Preview of this name already exists.")
	}
	if query := r.URL.Query(); query.Get("ignore_base_config") != "true" && query.Get("ignore_defaults") != "true" {
		p.base = maps.Clone(c.base)
	}
	s.evict(c)
	s.previews[p.label()] = p
	return answer{result: s.previewJSON(p)}, nil
}

// evict makes room for one more preview of a Worker: the least recently deployed one goes without a word. The caller holds the lock.
func (s *Server) evict(c *script) {
	var oldest *workerPreview
	count := 0
	for _, p := range s.previews {
		if p.of != c {
			continue
		}
		count++
		if oldest == nil || p.deployed.Before(oldest.deployed) {
			oldest = p
		}
	}
	if count >= s.cfg.Previews && oldest != nil {
		s.dropPreview(oldest)
	}
}

// dropPreview deletes a preview; its host answers a little longer. The caller holds the lock.
func (s *Server) dropPreview(p *workerPreview) {
	delete(s.previews, p.label())
	if s.cfg.Latency.Host == 0 || p.body.serving == nil {
		s.work.Go(p.body.close)
		return
	}
	s.stale[p.label()] = stale{p.body, s.seenFrom()}
}

// withPreview gives what a function says of the preview of a request.
func (s *Server) withPreview(r *http.Request, say func(*workerPreview) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.preview(r)
	if err != nil {
		return answer{}, err
	}
	return say(p)
}

func (s *Server) getPreview(r *http.Request) (answer, error) {
	return s.withPreview(r, func(p *workerPreview) (answer, error) { return answer{result: s.previewJSON(p)}, nil })
}

func (s *Server) patchPreview(r *http.Request) (answer, error) {
	var wish previewSettings
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	if err := wish.check(); err != nil {
		return answer{}, err
	}
	return s.withPreview(r, func(p *workerPreview) (answer, error) {
		if wish.Tags != nil {
			p.body.tags = *wish.Tags
		}
		p.body.modified = time.Now().UTC()
		return answer{result: s.previewJSON(p)}, nil
	})
}

func (s *Server) deletePreview(r *http.Request) (answer, error) {
	return s.withPreview(r, func(p *workerPreview) (answer, error) {
		s.dropPreview(p)
		return answer{}, nil
	})
}

// previewAt is the preview that is at a host, its own or its latest deployment's; nil: none. The caller holds the lock.
func (s *Server) previewAt(name string) *workerPreview {
	if p := s.previews[name]; p != nil {
		return p
	}
	for _, p := range s.previews {
		if v := p.body.serving; v != nil && deploymentLabel(p, v) == name {
			return p
		}
	}
	return nil
}

// Preview is what a scenario sees of a preview of a Worker.
func (s *Server) Preview(worker, name string) (Script, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.previews {
		if p.of.name == worker && p.name == name {
			return p.body.seen(), true
		}
	}
	return Script{}, false
}

// ChangePreview changes the tags of a preview, as a person might.
func (s *Server) ChangePreview(worker, name string, change func(*Script)) {
	seen, ok := s.Preview(worker, name)
	if !ok {
		return
	}
	change(&seen)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.previews {
		if p.of.name == worker && p.name == name {
			p.body.tags = seen.Tags
		}
	}
}

// Previews lists those of a Worker by name, in order.
func (s *Server) Previews(worker string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, p := range s.previews {
		if p.of.name == worker {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}
