package cloudflare

import (
	"maps"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	scriptName = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]*$`)
	label      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// script is one Worker. Server.mu guards its fields; what runs of it guards itself.
type script struct {
	name     string
	id       string // Cloudflare calls it the script's tag
	tags     []string
	created  time.Time
	modified time.Time
	from     string // who deployed it last

	onHost   bool // answers below workers.dev
	previews bool
	seenFrom time.Time // and from when on that is seen

	base     map[string]binding // what its previews take over unless they are told not to
	assetsOf string             // the script that its static files are uploaded for; empty: itself

	versions    []*version   // oldest first
	deployments []deployment // newest first
	serving     *version
	inner       *inner // the way for service bindings
}

// stale is what still answers at the host of a deleted script.
type stale struct {
	script *script
	until  time.Time
}

func hexID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// find is the script of a request. The caller holds the lock.
func (s *Server) find(r *http.Request) (*script, error) {
	found := s.scripts[r.PathValue("script_name")]
	if found == nil || found.serving == nil { // the script API knows nothing of a Worker that has no script
		return nil, noScript()
	}
	return found, nil
}

// with gives what a function says of the script of a request.
func (s *Server) with(r *http.Request, say func(*script) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(r)
	if err != nil {
		return answer{}, err
	}
	return say(found)
}

// close ends all that runs of a script.
func (c *script) close() {
	if c.inner != nil {
		c.inner.close()
	}
	for _, v := range c.versions {
		v.stop()
	}
}

func (c *script) json() object {
	j := object{"id": c.name, "tag": c.id, "created_on": c.created, "modified_on": c.modified, "last_deployed_from": c.from, "logpush": false,
		"usage_model": "standard", "handlers": []string{"fetch"}}
	if v := c.serving; v != nil {
		j["etag"], j["compatibility_date"], j["compatibility_flags"] = v.etag, v.date, v.flags
		j["has_assets"], j["has_modules"] = v.site != nil, len(v.modules) > 0
	}
	return j
}

func (s *Server) listScripts(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []object{}
	for _, name := range slices.Sorted(maps.Keys(s.scripts)) {
		if c := s.scripts[name]; c.matches(r.URL.Query().Get("tags")) {
			list = append(list, c.json())
		}
	}
	return answer{result: list}, nil // in one page, as Cloudflare does
}

// matches reads a filter such as "a:yes,b:no".
func (c *script) matches(filter string) bool {
	for pair := range strings.SplitSeq(filter, ",") {
		at := strings.LastIndexByte(pair, ':')
		if at >= 0 && slices.Contains(c.tags, pair[:at]) != (pair[at+1:] == "yes") {
			return false
		}
	}
	return true
}

// putScript uploads a version and deploys it.
func (s *Server) putScript(r *http.Request) (answer, error) {
	name := r.PathValue("script_name")
	const longest = 255
	if !scriptName.MatchString(name) || len(name) > longest {
		return answer{}, fail(http.StatusBadRequest, codeBadName, "Invalid script name, expected name to be lowercase and only contain letters, numbers, underscores and hyphens.")
	}
	u, err := readUpload(r)
	if err != nil {
		return answer{}, err
	}
	defer s.lock(name)()
	s.mu.Lock()
	c, full := s.scripts[name], len(s.scripts) >= s.cfg.Scripts
	s.mu.Unlock()
	isNew := c == nil
	if isNew {
		if full {
			return answer{}, fail(http.StatusForbidden, codeTooMany, "You have exceeded the limit of %d Workers on your account.", s.cfg.Scripts)
		}
		now := time.Now().UTC()
		c = &script{name: name, id: hexID(), created: now, tags: []string{}}
	}
	v, err := s.newVersion(c, u, sourceOf(r))
	if err != nil {
		return answer{}, err
	}
	if isNew {
		if c.inner, err = s.listenInner(name); err != nil {
			v.stop()
			return answer{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[name] = c
	if u.metadata.Tags != nil {
		c.tags = u.metadata.Tags
	}
	c.versions = append(c.versions, v)
	s.deploy(c, v, v.source, u.metadata.Annotations["workers/message"])
	j := c.json()
	j["startup_time_ms"], j["deployment_id"], j["entry_point"] = v.startup.Milliseconds(), strings.ReplaceAll(v.id, "-", ""), u.metadata.MainModule
	return answer{result: j}, nil
}

// sourceOf tells Cloudflare's own client from others.
func sourceOf(r *http.Request) string {
	if strings.HasPrefix(r.UserAgent(), "wrangler") {
		return "wrangler"
	}
	return "api"
}

// getScript is the only answer that is no JSON.
func (s *Server) getScript(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		var b strings.Builder
		form := multipart.NewWriter(&b)
		for _, m := range c.serving.modules {
			part, err := form.CreateFormFile(m.name, m.name)
			if err == nil {
				_, err = part.Write(m.content)
			}
			if err != nil {
				return answer{}, err
			}
		}
		if err := form.Close(); err != nil {
			return answer{}, err
		}
		return answer{raw: []byte(b.String()), contentType: form.FormDataContentType()}, nil
	})
}

func (s *Server) deleteScript(r *http.Request) (answer, error) {
	name := r.PathValue("script_name")
	defer s.lock(name)()
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.parent(r)
	if err != nil {
		return answer{}, err
	}
	if users := s.users(name); len(users) > 0 && r.URL.Query().Get("force") != "true" {
		return answer{}, fail(http.StatusConflict, codeInUse, "Cannot delete this Worker as it is used by %s.", strings.Join(users, ", "))
	}
	delete(s.scripts, name)
	for _, p := range s.previews {
		if p.of == c {
			s.dropPreview(p)
		}
	}
	if s.cfg.Latency.Host == 0 || !c.onHost {
		s.work.Go(c.close)
		return answer{}, nil
	}
	s.stale[name] = stale{c, s.seenFrom()}
	return answer{}, nil
}

// users are the scripts that are bound to one. The caller holds the lock.
func (s *Server) users(name string) []string {
	var users []string
	for _, other := range slices.Sorted(maps.Keys(s.scripts)) {
		bound := func(b binding) bool { return b.Type == bindingService && b.Service == name }
		if c := s.scripts[other]; other != name && c.serving != nil && slices.ContainsFunc(c.serving.bindings, bound) {
			users = append(users, other)
		}
	}
	return users
}

func (s *Server) getReferences(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		incoming := []object{}
		for _, user := range s.users(c.name) {
			incoming = append(incoming, object{"service": user, "environment": "production", "name": c.name})
		}
		return answer{result: object{"services": object{"incoming": incoming, "outgoing": []object{}, "pages_function": false}}}, nil
	})
}

func (s *Server) getSettings(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		return answer{result: object{"bindings": c.serving.public(), "compatibility_date": c.serving.date, "compatibility_flags": c.serving.flags,
			"usage_model": "standard", "tags": c.tags, "tail_consumers": []object{}, "logpush": false}}, nil
	})
}

func (c *script) scriptSettings() answer {
	return answer{result: object{"logpush": false, "tags": c.tags, "tail_consumers": []object{}, "observability": nil}}
}

func (s *Server) getScriptSettings(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) { return c.scriptSettings(), nil })
}

func (s *Server) patchScriptSettings(r *http.Request) (answer, error) {
	var wish struct {
		Tags *[]string `json:"tags"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	return s.with(r, func(c *script) (answer, error) {
		if wish.Tags != nil {
			c.tags = *wish.Tags
		}
		return c.scriptSettings(), nil
	})
}

func (c *script) subdomain() object {
	return object{"enabled": c.onHost, "previews_enabled": c.previews}
}

func (s *Server) getSubdomain(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) { return answer{result: c.subdomain()}, nil })
}

func (s *Server) postSubdomain(r *http.Request) (answer, error) {
	var wish struct {
		Enabled  bool  `json:"enabled"`
		Previews *bool `json:"previews_enabled"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	return s.with(r, func(c *script) (answer, error) {
		if wish.Enabled && !label.MatchString(c.name) {
			return answer{}, fail(http.StatusBadRequest, codeBadName, "The name of this Worker can't be a host name.")
		}
		c.show(wish.Enabled, s.seenFrom())
		if c.previews = wish.Enabled; wish.Previews != nil { // by default as the Worker itself
			c.previews = *wish.Previews
		}
		return answer{result: c.subdomain()}, nil
	})
}

func (s *Server) deleteSubdomain(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		c.show(false, s.seenFrom())
		return answer{result: c.subdomain()}, nil
	})
}

// seenFrom is when a host that is turned on or off now is seen to be.
func (s *Server) seenFrom() time.Time { return s.cfg.Now().Add(s.cfg.Latency.Host) }

// show turns the host on or off, which is seen a little later.
func (c *script) show(on bool, seenFrom time.Time) {
	if c.onHost != on {
		c.onHost, c.seenFrom = on, seenFrom
	}
}

func (s *Server) listSecrets(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		list := []object{}
		for _, b := range c.serving.bindings {
			if b.Type == bindingSecret {
				list = append(list, object{"name": b.Name, "type": b.Type})
			}
		}
		return answer{result: list}, nil
	})
}

func (s *Server) getSchedules(r *http.Request) (answer, error) {
	return s.with(r, func(*script) (answer, error) { return answer{result: object{"schedules": []object{}}}, nil })
}

// getService is how wrangler looks whether a Worker exists.
func (s *Server) getService(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.scripts[r.PathValue("script_name")]
	if c == nil || c.serving == nil {
		return answer{}, fail(http.StatusNotFound, codeNoService, "workers.api.error.service_not_found")
	}
	j := c.json()
	j["tags"] = c.tags
	return answer{result: object{"id": c.name, "created_on": c.created, "modified_on": c.modified,
		"default_environment": object{"environment": "production", "created_on": c.created, "modified_on": c.modified, "script": j}}}, nil
}

// worker is a script as the newer part of the API shows it.
func (s *Server) worker(c *script) object {
	return object{"id": c.id, "name": c.name, "tags": c.tags, "created_on": c.created, "updated_on": c.modified, "deployed_on": c.modified, "logpush": false,
		"subdomain": c.subdomain(), "previews_base_config": object{"env": publicEnv(bindingsOf(c.base))}, "observability": object{"enabled": false}, "tail_consumers": []object{},
		"references": object{"workers": []object{}, "domains": []object{}, "durable_objects": []object{}, "queues": []object{}, "dispatch_namespace_outbounds": []object{}}}
}

func (s *Server) listWorkers(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	for _, name := range slices.Sorted(maps.Keys(s.scripts)) {
		list = append(list, s.worker(s.scripts[name]))
	}
	return page(list, r), nil
}

// getWorker takes the name, as wrangler does, or the id.
func (s *Server) getWorker(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.parent(r)
	if err != nil {
		return answer{}, err
	}
	return answer{result: s.worker(c)}, nil
}
