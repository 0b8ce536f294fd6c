package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// who may call a route.
const (
	asApp     = "app"     // with the App's JWT
	asToken   = "token"   // with an installation token
	asUser    = "user"    // with a person's token
	asClient  = "client"  // with the App's client id and secret
	asAnybody = "anybody" // the request itself proves enough
)

// route is one operation of the REST API. The template is the one of GitHub's description.
type route struct {
	method, template string
	as               string
	permission       string // "checks:write"; alternatives are divided by "|"
	handle           func(*call) (answer, error)
	unlocked         bool // works on git alone, and may run beside others
}

func (rt *route) name() string { return rt.method + " " + rt.template }

// call is one request to a route.
type call struct {
	s            *Server
	r            *http.Request
	body         []byte
	base         string
	installation *installation // asToken only
	token        *token
	user         *User       // asUser only
	repo         *repository // for templates below /repos/{owner}/{repo}
	at           repoView
}

// repoView is what of a repository may be read without the lock.
type repoView struct {
	id                            int64
	owner, name                   string
	defaultBranch, dir, api, page string
}

func (s *Server) view(r *repository) repoView {
	return repoView{r.id, r.owner.Login, r.name, r.defaultBranch, r.dir, s.apiURL("/repos/%s", r.fullName()), s.base + "/" + r.fullName()}
}

func routes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{"GET", "/app", asApp, "", (*call).getApp, false},
		{"GET", "/app/installations", asApp, "", (*call).listInstallations, false},
		{"GET", "/app/installations/{installation_id}", asApp, "", (*call).getInstallation, false},
		{"POST", "/app/installations/{installation_id}/access_tokens", asApp, "", (*call).createToken, false},
		{"GET", "/app/hook/config", asApp, "", (*call).getHookConfig, false},
		{"GET", "/app/hook/deliveries", asApp, "", (*call).listDeliveries, false},
		{"GET", "/app/hook/deliveries/{delivery_id}", asApp, "", (*call).getDelivery, false},
		{"POST", "/app/hook/deliveries/{delivery_id}/attempts", asApp, "", (*call).redeliver, false},
		{"POST", "/app-manifests/{code}/conversions", asAnybody, "", (*call).convertManifest, false},
		{"GET", repo + "/installation", asApp, "", (*call).repoInstallation, false},
		{"GET", "/installation/repositories", asToken, "metadata:read", (*call).installationRepositories, false},

		{"POST", "/applications/{client_id}/token", asClient, "", (*call).checkUserToken, false},
		{"GET", "/user", asUser, "", (*call).getUser, false},

		{"GET", repo, asToken, "metadata:read", (*call).getRepo, false},
		{"GET", repo + "/collaborators/{username}/permission", asToken, "metadata:read", (*call).collaboratorPermission, false},
		{"GET", repo + "/branches", asToken, "contents:read", (*call).listBranches, true},
		{"GET", repo + "/branches/{branch}", asToken, "contents:read", (*call).getBranch, true},
		{"GET", repo + "/git/ref/{ref}", asToken, "contents:read", (*call).getRef, true},
		{"GET", repo + "/git/commits/{commit_sha}", asToken, "contents:read", (*call).getGitCommit, true},
		{"GET", repo + "/git/blobs/{file_sha}", asToken, "contents:read", (*call).getBlob, true},
		{"GET", repo + "/git/tags/{tag_sha}", asToken, "contents:read", (*call).getTag, true},
		{"GET", repo + "/git/trees/{tree_sha}", asToken, "contents:read", (*call).getTree, true},
		{"POST", repo + "/git/blobs", asToken, "contents:write", (*call).createBlob, true},
		{"POST", repo + "/git/trees", asToken, "contents:write", (*call).createTree, true},
		{"POST", repo + "/git/commits", asToken, "contents:write", (*call).createCommit, true},
		{"POST", repo + "/git/refs", asToken, "contents:write", (*call).createRef, true},
		{"PATCH", repo + "/git/refs/{ref}", asToken, "contents:write", (*call).updateRef, true},
		{"GET", repo + "/commits", asToken, "contents:read", (*call).listCommits, true},
		{"GET", repo + "/commits/{ref}", asToken, "contents:read", (*call).getCommit, true},
		{"GET", repo + "/commits/{commit_sha}/pulls", asToken, "pull_requests:read|contents:read", (*call).commitPulls, false},
		{"GET", repo + "/compare/{basehead}", asToken, "contents:read", (*call).compare, true},
		{"GET", repo + "/contents/{path}", asToken, "contents:read", (*call).getContents, true},
		{"GET", repo + "/tarball/{ref}", asToken, "contents:read", (*call).tarball, false},

		{"GET", repo + "/pulls", asToken, "pull_requests:read", (*call).listPulls, false},
		{"POST", repo + "/pulls", asToken, "pull_requests:write", (*call).createPull, false},
		{"GET", repo + "/pulls/{pull_number}", asToken, "pull_requests:read", (*call).getPull, false},
		{"GET", repo + "/pulls/{pull_number}/files", asToken, "pull_requests:read", (*call).pullFiles, false},
		{"GET", repo + "/pulls/{pull_number}/commits", asToken, "pull_requests:read", (*call).pullCommits, false},
		{"GET", repo + "/pulls/{pull_number}/reviews", asToken, "pull_requests:read", (*call).listReviews, false},
		{"GET", repo + "/pulls/{pull_number}/comments", asToken, "pull_requests:read", (*call).listReviewComments, false},

		{"GET", repo + "/issues/{issue_number}/comments", asToken, "issues:read|pull_requests:read", (*call).listComments, false},
		{"POST", repo + "/issues/{issue_number}/comments", asToken, "issues:write|pull_requests:write", (*call).createComment, false},
		{"GET", repo + "/issues/comments/{comment_id}", asToken, "issues:read|pull_requests:read", (*call).getComment, false},
		{"PATCH", repo + "/issues/comments/{comment_id}", asToken, "issues:write|pull_requests:write", (*call).updateComment, false},
		{"DELETE", repo + "/issues/comments/{comment_id}", asToken, "issues:write|pull_requests:write", (*call).deleteComment, false},
		{"POST", repo + "/issues/comments/{comment_id}/reactions", asToken, "issues:write|pull_requests:write", (*call).createReaction, false},

		{"POST", repo + "/check-runs", asToken, "checks:write", (*call).createCheckRun, false},
		{"GET", repo + "/check-runs/{check_run_id}", asToken, "checks:read", (*call).getCheckRun, false},
		{"PATCH", repo + "/check-runs/{check_run_id}", asToken, "checks:write", (*call).updateCheckRun, false},
		{"GET", repo + "/check-runs/{check_run_id}/annotations", asToken, "checks:read", (*call).listAnnotations, false},
		{"GET", repo + "/commits/{ref}/check-runs", asToken, "checks:read", (*call).listCheckRuns, false},
		{"GET", repo + "/check-suites/{check_suite_id}", asToken, "checks:read", (*call).getCheckSuite, false},
		{"GET", repo + "/commits/{ref}/check-suites", asToken, "checks:read", (*call).listCheckSuites, false},

		{"POST", repo + "/deployments", asToken, "deployments:write", (*call).createDeployment, false},
		{"GET", repo + "/deployments", asToken, "deployments:read", (*call).listDeployments, false},
		{"GET", repo + "/deployments/{deployment_id}", asToken, "deployments:read", (*call).getDeployment, false},
		{"DELETE", repo + "/deployments/{deployment_id}", asToken, "deployments:write", (*call).deleteDeployment, false},
		{"POST", repo + "/deployments/{deployment_id}/statuses", asToken, "deployments:write", (*call).createDeploymentStatus, false},
		{"GET", repo + "/deployments/{deployment_id}/statuses", asToken, "deployments:read", (*call).listDeploymentStatuses, false},
	}
}

// Operations names what is served, as "GET /repos/{owner}/{repo}".
func Operations() []string {
	var names []string
	for _, rt := range routes() {
		names = append(names, rt.name())
	}
	return names
}

// serveByID serves /repositories/{id}/..., which is where a renamed repository's old paths lead to.
func (s *Server) serveByID(w http.ResponseWriter, r *http.Request, path string) {
	text, rest, _ := strings.Cut(path, "/")
	id, _ := strconv.ParseInt(text, 10, 64) // 0 is nobody's
	s.mu.Lock()
	name := "-/-" // not found, whoever asks
	for _, repo := range s.repos {
		if repo.id == id {
			name = repo.fullName()
		}
	}
	s.mu.Unlock()
	inner := r.Clone(r.Context())
	if rest != "" {
		rest = "/" + rest
	}
	parsed, err := r.URL.Parse(apiPrefix + "/repos/" + name + rest)
	if err != nil {
		http.Error(w, "bad path", http.StatusBadRequest)
		return
	}
	inner.URL.Path, inner.URL.RawPath = parsed.Path, parsed.RawPath
	s.serveAPI(w, inner)
}

// maxBody is more than any request to GitHub may carry that is served here.
const maxBody = 10 << 20

// serve runs one request: faults, identity, repository, permission, work, check, record.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt *route) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // for the rules
	logged := &loggedWriter{ResponseWriter: w, log: func(status int) {
		s.requests.add(s.now(), r, rt, body, status)
		s.rateLimit(w.Header())
	}}
	s.faults.Route(rt.name(), generalError, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := s.answer(r, rt, body)
		a.write(w)
	})).ServeHTTP(logged, r)
	logged.end()
}

// answer does the work of a route and checks what comes of it.
func (s *Server) answer(r *http.Request, rt *route, body []byte) answer {
	c := &call{s: s, r: r, body: body}
	a, err := c.run(rt)
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			s.log.Error("stand-in github", "route", rt.name(), "error", err)
		}
		a = failureAnswer(err)
	}
	if err := a.encode(); err != nil {
		s.log.Error("stand-in github", "route", rt.name(), "error", err)
		a = failureAnswer(err)
		_ = a.encode() // strings only
	}
	s.checkExchange(r, rt, body, a)
	a.condition(r)
	return a
}

func (c *call) run(rt *route) (answer, error) {
	s := c.s
	s.mu.Lock()
	locked := true
	defer func() {
		if locked {
			s.mu.Unlock()
		}
	}()
	c.base = s.base
	if rt.handle == nil {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	if err := c.identify(rt); err != nil {
		return answer{}, err
	}
	if err := c.findRepo(rt); err != nil {
		return answer{}, err
	}
	if rt.as == asToken && !c.token.may(rt.permission) {
		f := &failure{status: http.StatusForbidden, message: "Resource not accessible by integration", header: http.Header{}}
		f.header.Set("X-Accepted-GitHub-Permissions", strings.NewReplacer(":", "=", "|", "; ").Replace(rt.permission))
		return answer{}, f
	}
	if c.repo != nil && c.repo.archived && rt.method != http.MethodGet {
		return answer{}, fail(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	if rt.unlocked {
		s.mu.Unlock()
		locked = false
	}
	return rt.handle(c)
}

// findRepo resolves {owner}/{repo}: a renamed one is redirected, one out of reach is not found.
func (c *call) findRepo(rt *route) error {
	if !strings.HasPrefix(rt.template, "/repos/{owner}/{repo}") {
		return nil
	}
	name := c.r.PathValue("owner") + "/" + c.r.PathValue("repo")
	r := c.s.find(name)
	if r == nil {
		if moved := c.s.moved[strings.ToLower(name)]; moved != nil {
			return c.redirect(moved)
		}
		return fail(http.StatusNotFound, "Not Found")
	}
	if rt.as == asToken && !c.token.reaches(r) {
		return fail(http.StatusNotFound, "Not Found")
	}
	c.repo, c.at = r, c.s.view(r)
	return nil
}

func (c *call) redirect(r *repository) error {
	prefix := "/api/v3/repos/" + c.r.PathValue("owner") + "/" + c.r.PathValue("repo")
	rest := strings.TrimPrefix(c.r.URL.EscapedPath(), prefix)
	to := fmt.Sprintf("%s/api/v3/repositories/%d%s", c.base, r.id, rest)
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	status, message := http.StatusMovedPermanently, "Moved Permanently"
	if c.r.Method != http.MethodGet {
		status, message = http.StatusTemporaryRedirect, "Temporary Redirect"
	}
	return &failure{status: status, message: message, header: http.Header{"Location": {to}}}
}

// decode reads the request's JSON body.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// id reads a numeric path value; 0 matches nothing.
func (c *call) id(name string) int64 {
	id, _ := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	return id
}

func (c *call) bot() *User { return c.s.user(c.s.BotLogin()) }

func (c *call) getRepo() (answer, error) { return answer{body: c.s.repoJSON(c.repo)}, nil }

func (c *call) collaboratorPermission() (answer, error) {
	u, ok := c.s.users[strings.ToLower(c.r.PathValue("username"))]
	if !ok || u.Type == "Organization" {
		return answer{}, fail(http.StatusNotFound, fmt.Sprintf("%s is not a user", c.r.PathValue("username")))
	}
	role := c.repo.role(u)
	folded := map[string]string{"maintain": "write", "triage": "read"}[role]
	if folded == "" {
		folded = role
	}
	can := func(roles ...string) bool { return slices.Contains(roles, role) }
	user := c.s.userJSON(u)
	user["role_name"] = role
	user["permissions"] = object{
		"admin": can("admin"), "maintain": can("admin", "maintain"), "push": can("admin", "maintain", "write"),
		"triage": can("admin", "maintain", "write", "triage"), "pull": role != "none",
	}
	return answer{body: object{"permission": folded, "role_name": role, "user": user}}, nil
}
