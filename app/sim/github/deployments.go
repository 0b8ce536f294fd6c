package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Deployment is a deployment as it stands.
type Deployment struct {
	ID          int64
	SHA         string
	Ref         string
	Task        string
	Environment string
	Description string
	Creator     string
	Transient   bool
	Production  bool
	Payload     json.RawMessage
	CreatedAt   time.Time
	Statuses    []DeploymentStatus // oldest first
}

// State is the newest status, or "pending".
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return "pending"
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// DeploymentStatus is one status of a deployment.
type DeploymentStatus struct {
	ID             int64
	State          string
	Description    string
	LogURL         string
	EnvironmentURL string
	Environment    string
	Creator        string
	CreatedAt      time.Time
}

// Deployments lists a repository's deployments, oldest first.
func (s *Server) Deployments(repo string) ([]Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return nil, err
	}
	var list []Deployment
	for _, d := range r.deployments {
		one := *d
		one.Statuses = slices.Clone(d.Statuses)
		list = append(list, one)
	}
	return list, nil
}

func (s *Server) deploymentJSON(r *repository, d *Deployment) object {
	api := s.apiURL("/repos/%s", r.fullName())
	self := fmt.Sprintf("%s/deployments/%d", api, d.ID)
	updated := d.CreatedAt
	if n := len(d.Statuses); n > 0 {
		updated = d.Statuses[n-1].CreatedAt
	}
	var payload any = object{}
	if len(d.Payload) > 0 {
		payload = d.Payload
	}
	var app any
	if d.Creator == s.BotLogin() {
		app = s.appJSON()
	}
	return object{
		"url": self, "id": d.ID, "node_id": nodeID("DE", d.ID), "sha": d.SHA, "ref": d.Ref, "task": d.Task, "payload": payload,
		"original_environment": d.Environment, "environment": d.Environment, "description": emptyNil(d.Description),
		"creator": s.userJSON(s.user(d.Creator)), "created_at": stamp(d.CreatedAt), "updated_at": stamp(updated), "statuses_url": self + "/statuses",
		"repository_url": api, "transient_environment": d.Transient, "production_environment": d.Production, "performed_via_github_app": app,
	}
}

func (s *Server) deploymentStatusJSON(r *repository, d *Deployment, st DeploymentStatus) object {
	api := s.apiURL("/repos/%s", r.fullName())
	deployment := fmt.Sprintf("%s/deployments/%d", api, d.ID)
	return object{
		"url": fmt.Sprintf("%s/statuses/%d", deployment, st.ID), "id": st.ID, "node_id": nodeID("DES", st.ID), "state": st.State,
		"creator": s.userJSON(s.user(st.Creator)), "description": st.Description, "environment": st.Environment, "target_url": st.LogURL,
		"log_url": st.LogURL, "environment_url": st.EnvironmentURL, "created_at": stamp(st.CreatedAt), "updated_at": stamp(st.CreatedAt),
		"deployment_url": deployment, "repository_url": api, "performed_via_github_app": nil,
	}
}

type deploymentInput struct {
	Ref              string          `json:"ref"`
	Task             string          `json:"task"`
	AutoMerge        *bool           `json:"auto_merge"`
	RequiredContexts *[]string       `json:"required_contexts"`
	Payload          json.RawMessage `json:"payload"`
	Environment      string          `json:"environment"`
	Description      string          `json:"description"`
	Transient        bool            `json:"transient_environment"`
	Production       *bool           `json:"production_environment"`
}

func (c *call) createDeployment() (answer, error) {
	var in deploymentInput
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Ref == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"ref\" wasn't supplied.")
	}
	sha := c.s.git.resolve(c.r.Context(), c.repo.dir, in.Ref)
	if sha == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "No ref found for: "+in.Ref)
	}
	if in.Environment == "" {
		in.Environment = "production"
	}
	if in.Task == "" {
		in.Task = "deploy"
	}
	if in.AutoMerge == nil || *in.AutoMerge {
		if merged, err := c.autoMerge(in.Ref, sha); merged != nil || err != nil {
			return answer{status: http.StatusAccepted, body: merged}, err
		}
	}
	if err := c.requireContexts(in, sha); err != nil {
		return answer{}, err
	}
	production := in.Environment == "production"
	if in.Production != nil {
		production = *in.Production
	}
	d := &Deployment{
		ID: c.s.next(), SHA: sha, Ref: in.Ref, Task: in.Task, Environment: in.Environment, Description: in.Description, Creator: c.bot().Login,
		Transient: in.Transient, Production: production, Payload: in.Payload, CreatedAt: c.s.now(),
	}
	c.repo.deployments = append(c.repo.deployments, d)
	return answer{status: http.StatusCreated, body: c.s.deploymentJSON(c.repo, d)}, nil
}

// autoMerge merges the default branch into a branch that lacks commits of it, as auto_merge (the default) says. It gives nil when there was nothing to merge.
func (c *call) autoMerge(ref, sha string) (any, error) {
	ctx := c.r.Context()
	branch := "refs/heads/" + strings.TrimPrefix(ref, "refs/heads/")
	base := c.s.git.resolve(ctx, c.repo.dir, "refs/heads/"+c.repo.defaultBranch)
	if isSHA(ref) || base == "" || c.s.git.resolve(ctx, c.repo.dir, branch) == "" || c.s.git.ancestor(ctx, c.repo.dir, base, sha) {
		return nil, nil //nolint:nilnil // "nothing to merge" is the usual outcome
	}
	message := fmt.Sprintf("Auto-merged %s into %s on deployment.", c.repo.defaultBranch, ref)
	merged, err := c.s.git.mergeCommit(ctx, c.repo.dir, sha, base, message)
	if err != nil {
		return nil, fail(http.StatusConflict, fmt.Sprintf("Conflict merging %s into %s.", c.repo.defaultBranch, ref))
	}
	if _, err := c.s.git.run(ctx, c.repo.dir, nil, "update-ref", branch, merged, sha); err != nil {
		return nil, err
	}
	c.s.pushed(ctx, c.repo, c.bot(), []refChange{{branch, sha, merged}})
	return object{"message": message}, nil
}

// requireContexts refuses a deployment while checks of the commit are not green; absent means every check, empty means none.
func (c *call) requireContexts(in deploymentInput, sha string) error {
	latest := map[string]*CheckRun{}
	for _, run := range c.repo.checks {
		if run.HeadSHA == sha {
			latest[run.Name] = run
		}
	}
	var red []any
	for name, run := range latest {
		required := in.RequiredContexts == nil || slices.Contains(*in.RequiredContexts, name)
		if required && !slices.Contains([]string{"success", "neutral", "skipped"}, run.Conclusion) {
			state := run.Conclusion
			if state == "" {
				state = "pending"
			}
			red = append(red, object{"contexts": []object{{"context": name, "state": state}}, "resource": "Deployment", "field": "required_contexts", "code": "invalid"})
		}
	}
	if in.RequiredContexts != nil {
		for _, name := range *in.RequiredContexts {
			if latest[name] == nil {
				red = append(red, object{"contexts": []object{{"context": name, "state": "pending"}}, "resource": "Deployment", "field": "required_contexts", "code": "invalid"})
			}
		}
	}
	if len(red) > 0 {
		return fail(http.StatusConflict, "Conflict: Commit status checks failed for "+in.Ref+".", red...)
	}
	return nil
}

func (c *call) listDeployments() (answer, error) {
	q := c.r.URL.Query()
	list := []object{}
	for _, d := range slices.Backward(c.repo.deployments) {
		match := true
		for key, value := range map[string]string{"sha": d.SHA, "ref": d.Ref, "task": d.Task, "environment": d.Environment} {
			if want := q.Get(key); want != "" && want != "none" && want != value {
				match = false
			}
		}
		if match {
			list = append(list, c.s.deploymentJSON(c.repo, d))
		}
	}
	return c.page(list)
}

func (c *call) pathDeployment() (*Deployment, error) {
	for _, d := range c.repo.deployments {
		if d.ID == c.id("deployment_id") {
			return d, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getDeployment() (answer, error) {
	d, err := c.pathDeployment()
	if err != nil {
		return answer{}, err
	}
	return answer{body: c.s.deploymentJSON(c.repo, d)}, nil
}

func (c *call) deleteDeployment() (answer, error) {
	d, err := c.pathDeployment()
	if err != nil {
		return answer{}, err
	}
	if len(c.repo.deployments) > 1 && !slices.Contains([]string{"inactive", "error", "failure"}, d.State()) {
		return answer{}, fail(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given repository.")
	}
	c.repo.deployments = slices.DeleteFunc(c.repo.deployments, func(other *Deployment) bool { return other == d })
	return answer{status: http.StatusNoContent}, nil
}

func (c *call) createDeploymentStatus() (answer, error) {
	d, err := c.pathDeployment()
	if err != nil {
		return answer{}, err
	}
	var in struct {
		State          string `json:"state"`
		Description    string `json:"description"`
		LogURL         string `json:"log_url"`
		TargetURL      string `json:"target_url"`
		Environment    string `json:"environment"`
		EnvironmentURL string `json:"environment_url"`
		AutoInactive   *bool  `json:"auto_inactive"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if !slices.Contains([]string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}, in.State) {
		return answer{}, invalid("DeploymentStatus", "state", "invalid", "")
	}
	if utf8.RuneCountInString(in.Description) > 140 {
		return answer{}, invalid("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if in.LogURL == "" {
		in.LogURL = in.TargetURL
	}
	if in.Environment != "" {
		d.Environment = in.Environment
	}
	st := DeploymentStatus{
		ID: c.s.next(), State: in.State, Description: in.Description, LogURL: in.LogURL, EnvironmentURL: in.EnvironmentURL,
		Environment: d.Environment, Creator: c.bot().Login, CreatedAt: c.s.now(),
	}
	d.Statuses = append(d.Statuses, st)
	if in.State == "success" && (in.AutoInactive == nil || *in.AutoInactive) {
		c.deactivateOlder(d)
	}
	return answer{status: http.StatusCreated, body: c.s.deploymentStatusJSON(c.repo, d, st)}, nil
}

// deactivateOlder is auto_inactive: earlier deployments to the same environment that are neither transient nor production and had success become inactive.
func (c *call) deactivateOlder(d *Deployment) {
	for _, other := range c.repo.deployments {
		if other == d {
			return
		}
		if other.Environment == d.Environment && !other.Transient && !other.Production && other.State() == "success" {
			other.Statuses = append(other.Statuses, DeploymentStatus{
				ID: c.s.next(), State: "inactive", Environment: other.Environment, Creator: c.bot().Login, CreatedAt: c.s.now(),
			})
		}
	}
}

func (c *call) listDeploymentStatuses() (answer, error) {
	d, err := c.pathDeployment()
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, st := range slices.Backward(d.Statuses) {
		list = append(list, c.s.deploymentStatusJSON(c.repo, d, st))
	}
	return c.page(list)
}
