package cloudflare

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Codes of Pages.
const (
	codePagesInvalid   = 8000011
	codePagesExists    = 8000002
	codePagesNoProject = 8000007
	codePagesNoDeploy  = 8000009
	codePagesToken     = 8000013
	codePagesTooMany   = 8000027
	codePagesCanonical = 8000034
	codePagesAliased   = 8000035
	codePagesManyLeft  = 8000076
)

const (
	pagesDomain    = "pages.localhost"
	pages          = account + "/pages/projects"
	onePages       = pages + "/{project_name}"
	pagesAssets    = "/pages/assets/"
	production     = "production"
	previewing     = "preview"
	pagesProjects  = 100 // of an account
	mostToDelete   = 100 // deployments of a project that is deleted
	maxCommitBytes = 384
)

var pagesName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$`)

// pagesProject is a project of Pages. Server.mu guards its fields.
type pagesProject struct {
	name, id    string
	created     time.Time
	branch      string // that is production
	configs     map[string]*pagesConfig
	deployments []*pagesDeployment // newest first
}

// pagesConfig is what the deployments of one kind begin with.
type pagesConfig struct {
	Vars  map[string]pagesVar
	Date  string
	Flags []string
}

type pagesVar struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// pagesDeployment has the configuration of the moment it was made in.
type pagesDeployment struct {
	id, project, environment string
	branch, message, commit  string
	created                  time.Time
	seenFrom                 time.Time
	failure                  string // empty: it serves
	version                  *version
}

func noProject() error {
	return fail(http.StatusNotFound, codePagesNoProject, "Project not found. The specified project name does not match any of your existing projects.")
}

func (s *Server) pagesRoutes() map[string]operation {
	return map[string]operation{
		"GET " + pages:                                       s.listPages,
		"POST " + pages:                                      s.postPages,
		"GET " + onePages:                                    s.getPages,
		"PATCH " + onePages:                                  s.patchPages,
		"DELETE " + onePages:                                 s.deletePages,
		"GET " + onePages + "/upload-token":                  s.getUploadToken,
		"GET " + onePages + "/deployments":                   s.listPagesDeployments,
		"POST " + onePages + "/deployments":                  s.postPagesDeployment,
		"GET " + onePages + "/deployments/{id}":              s.getPagesDeployment,
		"DELETE " + onePages + "/deployments/{id}":           s.deletePagesDeployment,
		"GET " + onePages + "/deployments/{id}/history/logs": s.getPagesLogs,
		"POST " + pagesAssets + "check-missing":              s.checkMissing,
		"POST " + pagesAssets + "upload":                     s.uploadPagesAssets,
		"POST " + pagesAssets + "upsert-hashes":              s.upsertHashes,
	}
}

// withPages gives what a function says of the project of a request.
func (s *Server) withPages(r *http.Request, say func(*pagesProject) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.pages[r.PathValue("project_name")]
	if found == nil {
		return answer{}, noProject()
	}
	return say(found)
}

func (s *Server) pagesHost(project string) string { return project + "." + pagesDomain }

// pagesURL is the address below pages.dev, with the port of the API.
func (s *Server) pagesURL(label, project string) string {
	_, port, _ := strings.Cut(s.addr, ":")
	return fmt.Sprintf("http://%s.%s:%s", label, s.pagesHost(project), port)
}

// alias is the label of a branch's host: other branches may have the same.
func alias(branch string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(branch), "-"), "-")
}

func (c *pagesConfig) json() object {
	vars := object{}
	for name, v := range c.Vars {
		if v.Type == bindingSecret {
			v.Value = ""
		}
		vars[name] = v
	}
	return object{"env_vars": vars, "compatibility_date": c.Date, "compatibility_flags": c.Flags, "fail_open": true, "usage_model": "standard"}
}

func (s *Server) pagesJSON(p *pagesProject) object {
	j := object{"name": p.name, "id": p.id, "created_on": p.created, "subdomain": s.pagesHost(p.name), "domains": []string{s.pagesHost(p.name)},
		"production_branch": p.branch, "build_config": object{}, "latest_deployment": nil, "canonical_deployment": nil,
		"deployment_configs": object{production: p.configs[production].json(), previewing: p.configs[previewing].json()}}
	if len(p.deployments) > 0 {
		j["latest_deployment"] = s.deploymentJSON(p, p.deployments[0])
	}
	if d := p.serving(func(d *pagesDeployment) bool { return d.environment == production }); d != nil {
		j["canonical_deployment"] = s.deploymentJSON(p, d)
	}
	return j
}

// serving is the newest deployment that has not failed; nil: none.
func (p *pagesProject) serving(of func(*pagesDeployment) bool) *pagesDeployment {
	at := slices.IndexFunc(p.deployments, func(d *pagesDeployment) bool { return d.failure == "" && of(d) })
	if at < 0 {
		return nil
	}
	return p.deployments[at]
}

func (p *pagesProject) aliased(d *pagesDeployment) bool {
	return d.environment == previewing && p.serving(func(o *pagesDeployment) bool {
		return o.environment == previewing && alias(o.branch) == alias(d.branch)
	}) == d
}

func (s *Server) deploymentJSON(p *pagesProject, d *pagesDeployment) object {
	status := "success"
	switch {
	case s.cfg.Now().Before(d.seenFrom):
		status = "active"
	case d.failure != "":
		status = "failure"
	}
	stage := object{"name": "deploy", "status": status, "started_on": d.created, "ended_on": nil}
	var aliases []string
	if p.aliased(d) {
		aliases = []string{s.pagesURL(alias(d.branch), p.name)}
	}
	return object{"id": d.id, "short_id": d.id[:8], "project_id": p.id, "project_name": p.name, "environment": d.environment, "url": s.pagesURL(d.id[:8], p.name),
		"created_on": d.created, "modified_on": d.created, "aliases": aliases, "latest_stage": stage, "stages": []object{stage}, "is_skipped": false,
		"deployment_trigger": object{"type": "ad_hoc", "metadata": object{"branch": d.branch, "commit_hash": d.commit, "commit_message": d.message, "commit_dirty": false}}}
}

func (s *Server) listPages(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	for _, name := range slices.Sorted(maps.Keys(s.pages)) {
		list = append(list, s.pagesJSON(s.pages[name]))
	}
	return page(list, r), nil
}

func (s *Server) getPages(r *http.Request) (answer, error) {
	return s.withPages(r, func(p *pagesProject) (answer, error) { return answer{result: s.pagesJSON(p)}, nil })
}

// pagesWish is a change of a project: a variable that is null goes.
type pagesWish struct {
	Name             string `json:"name"`
	ProductionBranch string `json:"production_branch"`
	Configs          map[string]struct {
		Vars  map[string]*pagesVar `json:"env_vars"`
		Date  *string              `json:"compatibility_date"`
		Flags *[]string            `json:"compatibility_flags"`
	} `json:"deployment_configs"`
}

func (w pagesWish) apply(p *pagesProject) error {
	for environment, change := range w.Configs {
		c := p.configs[environment]
		if c == nil {
			return fail(http.StatusBadRequest, codePagesInvalid, "deployment_configs has %q.", environment)
		}
		for name, v := range change.Vars {
			if v == nil {
				delete(c.Vars, name)
				continue
			}
			if v.Type == "" {
				v.Type = bindingText
			}
			if v.Type != bindingText && v.Type != bindingSecret {
				return fail(http.StatusBadRequest, codePagesInvalid, "The variable %q has the type %q.", name, v.Type)
			}
			c.Vars[name] = *v
		}
		if change.Date != nil {
			c.Date = *change.Date
		}
		if change.Flags != nil {
			c.Flags = *change.Flags
		}
	}
	if w.ProductionBranch != "" {
		p.branch = w.ProductionBranch
	}
	return nil
}

func (s *Server) postPages(r *http.Request) (answer, error) {
	var wish pagesWish
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !pagesName.MatchString(wish.Name) || wish.ProductionBranch == "":
		return answer{}, fail(http.StatusBadRequest, codePagesInvalid, "The project's name or its production branch is not valid.")
	case s.pages[wish.Name] != nil:
		return answer{}, fail(http.StatusConflict, codePagesExists, "A project with this name already exists. Choose a different project name.")
	case len(s.pages) >= pagesProjects:
		return answer{}, fail(http.StatusForbidden, codePagesTooMany, "You have exceeded the limit of %d projects on your account.", pagesProjects)
	}
	p := &pagesProject{name: wish.Name, id: uuid.NewString(), created: time.Now().UTC(),
		configs: map[string]*pagesConfig{production: {Vars: map[string]pagesVar{}}, previewing: {Vars: map[string]pagesVar{}}}}
	if err := wish.apply(p); err != nil {
		return answer{}, err
	}
	s.pages[p.name] = p
	return answer{result: s.pagesJSON(p)}, nil
}

func (s *Server) patchPages(r *http.Request) (answer, error) {
	var wish pagesWish
	if err := decode(r, &wish); err != nil {
		return answer{}, err
	}
	return s.withPages(r, func(p *pagesProject) (answer, error) {
		if err := wish.apply(p); err != nil {
			return answer{}, err
		}
		return answer{result: s.pagesJSON(p)}, nil
	})
}

func (s *Server) deletePages(r *http.Request) (answer, error) {
	return s.withPages(r, func(p *pagesProject) (answer, error) {
		if len(p.deployments) > mostToDelete {
			return answer{}, fail(http.StatusConflict, codePagesManyLeft, "Your project has too many deployments to be deleted, delete them first.")
		}
		delete(s.pages, p.name)
		s.work.Go(p.close)
		return answer{}, nil
	})
}

func (p *pagesProject) close() {
	for _, d := range p.deployments {
		d.version.stop()
	}
}

func (s *Server) listPagesDeployments(r *http.Request) (answer, error) {
	return s.withPages(r, func(p *pagesProject) (answer, error) {
		var list []object
		for _, d := range p.deployments {
			if environment := r.URL.Query().Get("env"); environment == "" || environment == d.environment {
				list = append(list, s.deploymentJSON(p, d))
			}
		}
		return page(list, r), nil
	})
}

// withPagesDeployment gives what a function says of the deployment of a request.
func (s *Server) withPagesDeployment(r *http.Request, say func(*pagesProject, *pagesDeployment) (answer, error)) (answer, error) {
	return s.withPages(r, func(p *pagesProject) (answer, error) {
		at := slices.IndexFunc(p.deployments, func(d *pagesDeployment) bool { return d.id == r.PathValue("id") })
		if at < 0 {
			return answer{}, fail(http.StatusNotFound, codePagesNoDeploy, "The deployment ID you have specified does not exist.")
		}
		return say(p, p.deployments[at])
	})
}

func (s *Server) getPagesDeployment(r *http.Request) (answer, error) {
	return s.withPagesDeployment(r, func(p *pagesProject, d *pagesDeployment) (answer, error) {
		return answer{result: s.deploymentJSON(p, d)}, nil
	})
}

func (s *Server) getPagesLogs(r *http.Request) (answer, error) {
	return s.withPagesDeployment(r, func(_ *pagesProject, d *pagesDeployment) (answer, error) {
		lines := []object{{"ts": d.created, "line": "Deploying your site to Cloudflare's global network..."}}
		if d.failure != "" {
			lines = append(lines, object{"ts": d.created, "line": "Error: " + d.failure})
		}
		return answer{result: object{"total": len(lines), "includes_container_logs": true, "data": lines}}, nil
	})
}

func (s *Server) deletePagesDeployment(r *http.Request) (answer, error) {
	return s.withPagesDeployment(r, func(p *pagesProject, d *pagesDeployment) (answer, error) {
		switch {
		case p.serving(func(o *pagesDeployment) bool { return o.environment == production }) == d:
			return answer{}, fail(http.StatusBadRequest, codePagesCanonical, "Cannot delete the active production deployment.")
		case p.aliased(d) && r.URL.Query().Get("force") != "true":
			return answer{}, fail(http.StatusBadRequest, codePagesAliased, "Cannot delete an aliased deployment without ?force=true.")
		}
		p.deployments = slices.DeleteFunc(p.deployments, func(o *pagesDeployment) bool { return o == d })
		s.work.Go(d.version.stop)
		return answer{}, nil
	})
}

// pagesAt is the deployment of a host below pages.dev; nil: none.
func (s *Server) pagesAt(host string) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	label, name, found := strings.Cut(host, ".")
	if !found {
		label, name = "", host
	}
	p := s.pages[name]
	if p == nil {
		return nil
	}
	d := p.serving(func(d *pagesDeployment) bool {
		switch {
		case s.cfg.Now().Before(d.seenFrom):
			return false
		case label == "":
			return d.environment == production
		}
		return d.id[:8] == label || d.environment == previewing && alias(d.branch) == label
	})
	if d == nil {
		return nil
	}
	return d.version
}

// PagesProject is what a scenario sees of a project of Pages.
type PagesProject struct {
	// Vars are the variables for previews and for production, by kind and name; a secret's text is there.
	Vars        map[string]map[string]string
	Deployments []PagesDeployment // newest first
}

// PagesDeployment is one deployment of a project.
type PagesDeployment struct {
	ID, Environment, Branch, Message string
	Bindings                         map[string]Binding
}

// PagesNames lists the projects of Pages, in order.
func (s *Server) PagesNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.pages))
}

// PagesProject is the project of a name; false: there is none.
func (s *Server) PagesProject(name string) (PagesProject, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[name]
	if p == nil {
		return PagesProject{}, false
	}
	seen := PagesProject{Vars: map[string]map[string]string{}}
	for environment, c := range p.configs {
		seen.Vars[environment] = map[string]string{}
		for name, v := range c.Vars {
			seen.Vars[environment][name] = v.Value
		}
	}
	for _, d := range p.deployments {
		one := PagesDeployment{ID: d.id, Environment: d.environment, Branch: d.branch, Message: d.message, Bindings: map[string]Binding{}}
		for _, b := range d.version.bindings {
			one.Bindings[b.Name] = Binding{b.Type, b.Text + string(b.JSON) + b.Service + b.target()}
		}
		seen.Deployments = append(seen.Deployments, one)
	}
	return seen, true
}

// ChangePages changes variables of a project, as a person at the dashboard might; an empty value takes one away.
func (s *Server) ChangePages(name, environment, variable, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[name]
	switch {
	case p == nil:
	case value == "":
		delete(p.configs[environment].Vars, variable)
	default:
		p.configs[environment].Vars[variable] = pagesVar{bindingText, value}
	}
}

// manifestOf reads the paths of a deployment's files.
func (s *Server) manifestOf(text string) (map[string]asset, error) {
	var manifest map[string]string
	if err := json.Unmarshal([]byte(text), &manifest); err != nil || manifest == nil {
		return nil, fail(http.StatusBadRequest, codePagesInvalid, "A manifest field was expected in the request body but was not provided.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	files := map[string]asset{}
	for path, hash := range manifest {
		file, known := s.assets[hash]
		if !known || !strings.HasPrefix(path, "/") {
			return nil, fail(http.StatusBadRequest, codePagesInvalid, "The file %q of the manifest was not uploaded.", path)
		}
		files[path] = file
	}
	return files, nil
}
