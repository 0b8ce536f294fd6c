package main

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

// project is acme/shop at a GitHub, with a pull request.
type project struct {
	*github.Server
	t            *testing.T
	installation int64
	base, head   string
	number       int
}

// newProject makes the repository with some content and, in the pull request, some more.
func newProject(t *testing.T, content fs.FS, more map[string]string) *project {
	t.Helper()
	needsGit(t)
	server, err := github.New(github.Config{Dir: t.TempDir(), Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	p := &project{Server: server, t: t}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range server.Violations() {
			t.Errorf("against GitHub's description: %s", v)
		}
	})
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := server.CreateRepo("acme", "shop", content, github.RepoOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	if err := server.SetRole("acme/shop", "octo-dev", "write"); err != nil {
		t.Fatal(err)
	}
	if p.installation, err = server.Install("acme", "shop"); err != nil {
		t.Fatal(err)
	}
	p.base = p.tip("main")
	if p.head, err = server.Commit("acme/shop", "feature", more, "A feature"); err != nil {
		t.Fatal(err)
	}
	if p.number, err = server.OpenPR("acme/shop", "A feature", "feature", "", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	return p
}

func needsGit(t *testing.T) {
	t.Helper()
	needs(t, "git")
}

// needs skips a test whose tool is missing, or fails it in CI.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no %s on this machine", tool)
		}
		t.Skipf("there is no %s on this machine", tool)
	}
}

// git runs a Git command in a folder and gives its first line.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// tip is a branch's newest commit.
func (p *project) tip(branch string) string {
	p.t.Helper()
	id, _, _ := strings.Cut(git(p.t, ".", "ls-remote", p.PushURL("acme/shop", "octo-dev"), "refs/heads/"+branch), "\t")
	return id
}

// shallow is a checkout of a branch's newest commit alone, as actions/checkout makes it without credentials.
func (p *project) shallow(branch string) string {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), "checkout")
	git(p.t, ".", "clone", "--quiet", "--depth=1", "--branch", branch, p.PushURL("acme/shop", "octo-dev"), dir)
	git(p.t, dir, "remote", "set-url", "origin", p.URL()+"/acme/shop.git")
	return dir
}

// token is one of an installation with some permissions.
func (p *project) token(permissions *gh.InstallationPermissions) string {
	p.t.Helper()
	token, err := p.transport(permissions).Token(context.WithoutCancel(p.t.Context()))
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *project) transport(permissions *gh.InstallationPermissions) *ghinstallation.Transport {
	p.t.Helper()
	transport, err := ghinstallation.New(http.DefaultTransport, 1, p.installation, p.AppKeyPEM())
	if err != nil {
		p.t.Fatal(err)
	}
	transport.BaseURL = p.APIURL()
	transport.InstallationTokenOptions = &gh.InstallationTokenOptions{Permissions: permissions}
	return transport
}

// deploy is what the App does when the preview is ready, or with another state.
func (p *project) deploy(state, description, address string) {
	p.t.Helper()
	transport := p.transport(&gh.InstallationPermissions{Deployments: gh.String("write")})
	client, err := gh.NewClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}).WithEnterpriseURLs(p.URL(), p.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	name := "preview-abcdefgh-pr-" + jsonText(p.t, p.number)
	d, _, err := client.Repositories.CreateDeployment(p.t.Context(), "acme", "shop", &gh.DeploymentRequest{
		Ref: &p.head, Environment: &name, AutoMerge: gh.Bool(false), RequiredContexts: &[]string{}, TransientEnvironment: gh.Bool(true)})
	if err != nil {
		p.t.Fatal(err)
	}
	status := &gh.DeploymentStatusRequest{State: &state, Description: &description}
	if address != "" {
		status.EnvironmentURL = &address
	}
	if _, _, err := client.Repositories.CreateDeploymentStatus(p.t.Context(), "acme", "shop", d.GetID(), status); err != nil {
		p.t.Fatal(err)
	}
}

// event is the payload of the pull request.
func (p *project) event(headRepository string) map[string]any {
	return map[string]any{
		"repository": map[string]any{"full_name": "acme/shop", "default_branch": "main"},
		"pull_request": map[string]any{
			"number": p.number, "commits": 1, "title": "A feature", "body": "Text.",
			"head": map[string]any{"sha": p.head, "ref": "feature", "repo": map[string]any{"full_name": headRepository}},
			"base": map[string]any{"sha": p.base, "ref": "main", "repo": map[string]any{"full_name": "acme/shop"}},
		},
	}
}

func jsonText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
