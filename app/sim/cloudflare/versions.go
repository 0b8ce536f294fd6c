package cloudflare

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// version is one upload of a script.
type version struct {
	id          string
	number      int
	created     time.Time
	source      string
	annotations map[string]string
	etag        string
	modules     []module // the main one first; none: static files only
	bindings    []binding
	date        string
	flags       []string
	site        *site // nil: no static files
	startup     time.Duration

	running atomic.Pointer[instance] // nil: replaced, or static files only
}

// deployment says that a version serves.
type deployment struct {
	id      string
	created time.Time
	source  string
	message string
	version string
}

// newVersion makes a version that runs but does not serve. The caller holds the script's own lock.
func (s *Server) newVersion(c *script, u upload, source string) (*version, error) {
	s.mu.Lock()
	number := len(c.versions) + 1
	var before *version
	if number > 1 {
		before = c.versions[number-2]
	}
	s.mu.Unlock()
	bindings, err := u.bindings(before)
	if err != nil {
		return nil, err
	}
	if err := s.checkTargets(c.name, bindings); err != nil {
		return nil, err
	}
	v := &version{id: uuid.NewString(), number: number, created: time.Now().UTC(), source: source, annotations: u.metadata.Annotations,
		modules: u.modules, bindings: bindings, date: u.metadata.Date, flags: slices.Concat([]string{}, u.metadata.Flags)}
	sum := sha256.New()
	for _, m := range u.modules {
		sum.Write(m.content)
	}
	v.etag = hex.EncodeToString(sum.Sum(nil))
	if v.site, err = s.siteOf(cmp.Or(c.assetsOf, c.name), u, before); err != nil {
		return nil, err
	}
	return v, s.start(v)
}

// checkTargets refuses bindings that lead nowhere.
func (s *Server) checkTargets(name string, bindings []binding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bindings {
		if isThing(b.Type) && s.things[thing{b.Type, b.target()}] == nil {
			return noThing(b)
		}
		if b.Type == bindingService && b.Service != name && s.scripts[b.Service] == nil {
			return fail(http.StatusBadRequest, codeNoBinding, "Service binding '%s' references Worker '%s' which was not found.", b.Name, b.Service)
		}
	}
	return nil
}

// start runs a version unless it runs, or has nothing to run.
func (s *Server) start(v *version) error {
	if v.running.Load() != nil || len(v.modules) == 0 {
		return nil
	}
	began := time.Now()
	running, err := s.run(v)
	if err != nil {
		return err
	}
	v.startup = time.Since(began)
	v.running.Store(running)
	return nil
}

// stop ends what runs of a version.
func (v *version) stop() {
	if running := v.running.Swap(nil); running != nil {
		running.stop()
	}
}

// deploy lets a version serve instead of the one before. The caller holds the lock.
func (s *Server) deploy(c *script, v *version, source, message string) {
	c.modified, c.from = time.Now().UTC(), source
	c.deployments = append([]deployment{{id: uuid.NewString(), created: c.modified, source: source, message: message, version: v.id}}, c.deployments...)
	if old := c.serving; old != nil && old != v {
		if running := old.running.Swap(nil); running != nil {
			s.work.Go(func() { running.drain(s.closing) })
		}
	}
	c.serving = v
}

func (v *version) public() []binding {
	list := []binding{}
	for _, b := range v.bindings {
		list = append(list, b.public())
	}
	return list
}

func (v *version) json() object {
	annotations := object{"workers/triggered_by": "upload"}
	for key, value := range v.annotations {
		annotations[key] = value
	}
	return object{"id": v.id, "number": v.number, "annotations": annotations, "startup_time_ms": v.startup.Milliseconds(),
		"metadata": object{"created_on": v.created, "modified_on": v.created, "source": v.source, "author_id": userID, "author_email": "sim@example.com", "has_preview": false},
		"resources": object{"bindings": v.public(),
			"script":         object{"etag": v.etag, "handlers": []string{"fetch"}, "last_deployed_from": v.source},
			"script_runtime": object{"compatibility_date": v.date, "compatibility_flags": v.flags, "usage_model": "standard"}}}
}

func (s *Server) listVersions(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		items := []object{}
		for _, v := range slices.Backward(c.versions) {
			items = append(items, v.json())
		}
		return answer{result: object{"items": items}, info: object{"page": 1, "per_page": len(items), "count": len(items), "total_count": len(items), "total_pages": 1}}, nil
	})
}

// version finds one by its id. The caller holds the lock.
func (c *script) version(id string) (*version, error) {
	at := slices.IndexFunc(c.versions, func(v *version) bool { return v.id == id })
	if at < 0 {
		return nil, fail(http.StatusNotFound, codeNoScript, "The requested Worker version could not be found.")
	}
	return c.versions[at], nil
}

func (s *Server) getVersion(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		v, err := c.version(r.PathValue("version"))
		if err != nil {
			return answer{}, err
		}
		return answer{result: v.json()}, nil
	})
}

// postVersion uploads without deploying.
func (s *Server) postVersion(r *http.Request) (answer, error) {
	u, err := readUpload(r)
	if err != nil {
		return answer{}, err
	}
	defer s.lock(r.PathValue("script_name"))()
	s.mu.Lock()
	c, err := s.find(r)
	s.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	v, err := s.newVersion(c, u, sourceOf(r))
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.versions = append(c.versions, v)
	return answer{result: v.json()}, nil
}

func (d deployment) json() object {
	return object{"id": d.id, "created_on": d.created, "source": d.source, "strategy": "percentage", "author_email": "sim@example.com",
		"versions":    []object{{"version_id": d.version, "percentage": 100}},
		"annotations": object{"workers/message": d.message, "workers/triggered_by": "deployment"}}
}

func (s *Server) listDeployments(r *http.Request) (answer, error) {
	return s.with(r, func(c *script) (answer, error) {
		list := []object{}
		for _, d := range c.deployments {
			list = append(list, d.json())
		}
		return answer{result: object{"deployments": list}}, nil
	})
}

// postDeployment lets one version serve, an older one too.
func (s *Server) postDeployment(r *http.Request) (answer, error) {
	var wish struct {
		Versions []struct {
			ID         string  `json:"version_id"`
			Percentage float64 `json:"percentage"`
		} `json:"versions"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	const all = 100
	if len(wish.Versions) != 1 || wish.Versions[0].Percentage != all {
		return answer{}, fail(http.StatusBadRequest, codeUpload, "The stand-in deploys one version at a time.")
	}
	defer s.lock(r.PathValue("script_name"))()
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r)
	if err != nil {
		return answer{}, err
	}
	v, err := c.version(wish.Versions[0].ID)
	if err != nil {
		return answer{}, err
	}
	s.mu.Unlock()
	err = s.start(v)
	s.mu.Lock()
	if err != nil {
		return answer{}, err
	}
	s.deploy(c, v, sourceOf(r), wish.Annotations["workers/message"])
	return answer{result: c.deployments[0].json()}, nil
}
