package main

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"
)

// specStep runs the action's program inside a checkout, where relative paths are; it can't run beside other tests.
func (p *project) specStep(checkout string, inputs, more map[string]string) stepRun {
	p.t.Helper()
	p.t.Chdir(checkout)
	return p.step(".", inputs, more)
}

func newSpecProject(t *testing.T) *project {
	return newProject(t, fstest.MapFS{"api/specs/001-shop/contracts/openapi.yaml": &fstest.MapFile{Data: []byte(contract)}}, map[string]string{"a.txt": "x\n"})
}

func TestStepSpecCheck(t *testing.T) {
	p := newSpecProject(t)
	checkout := p.shallow("feature")
	inputs := map[string]string{"INPUT_COMMAND": "spec-check", "INPUT_DIR": "api", "INPUT_CHECK_RUN": "off"}
	r := p.specStep(checkout, map[string]string{}, inputs)
	if r.code != exitFound || r.outputs["status"] != "drift" || r.outputs["changed-files"] != `["src/schemas/001-shop.ts"]` {
		t.Errorf("drift: exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
	// A line was changed in a file as it was generated: the annotation is on that line.
	if r := p.specStep(checkout, map[string]string{"INPUT_COMMAND": "spec-apply"}, map[string]string{"INPUT_DIR": "api"}); r.code != exitOK || r.outputs["status"] != "applied" {
		t.Fatalf("apply: exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
	git(t, checkout, "add", ".")
	git(t, checkout, "commit", "--quiet", "--message", "x")
	spec := filepath.Join(checkout, "api/specs/001-shop/contracts/openapi.yaml")
	writeFile(t, spec, strings.Replace(contract, "name:", "title:", 1))
	if r := p.specStep(checkout, map[string]string{}, inputs); r.code != exitFound || !strings.Contains(r.log, "file=api/src/schemas/001-shop.ts,line=2,") {
		t.Errorf("drift: exit code %d\n%s", r.code, r.log)
	}
	writeFile(t, filepath.Join(checkout, "api/src/schemas/001-shop.ts"), "// mine\n")
	if r := p.specStep(checkout, map[string]string{}, inputs); r.code != exitConflicts || r.outputs["status"] != "conflicts" || !strings.Contains(r.log, "title=UNCOMMITTED_LOCAL_CHANGES") {
		t.Errorf("conflict: exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
	writeFile(t, spec, strings.Replace(contract, "string", "text", 1))
	r = p.specStep(checkout, map[string]string{}, inputs)
	if r.code != exitFailed || r.outputs["status"] != "invalid" || !strings.Contains(r.log, "::error col=79,endColumn=79,endLine=3,file=api/specs/001-shop/contracts/openapi.yaml,line=3,title=Spec::") {
		t.Errorf("a wrong spec: exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
}

func TestStepSpecApplyCommits(t *testing.T) {
	p := newSpecProject(t)
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("write"), PullRequests: gh.String("write")})
	inputs := map[string]string{"INPUT_COMMAND": "spec-apply", "INPUT_WRITE": "commit", "INPUT_GITHUB_TOKEN": token, "INPUT_CHECK_RUN": "off"}
	checkout := p.shallow("feature")
	writeFile(t, filepath.Join(checkout, "other.txt"), "not ours\n")
	git(t, checkout, "add", "other.txt")
	r := p.specStep(checkout, inputs, map[string]string{"INPUT_DIR": "api"})
	if r.code != exitOK || r.outputs["commit"] == "" || r.outputs["commit"] != p.tip("feature") || strings.Contains(r.log, token) {
		t.Fatalf("exit code %d, outputs %v, the branch at %s\n%s", r.code, r.outputs, p.tip("feature"), r.log)
	}
	fresh := p.shallow("feature")
	if diff := cmp.Diff("github-actions[bot]: Apply the specs", git(t, fresh, "log", "-1", "--format=%an: %s")); diff != "" {
		t.Error(diff)
	}
	tracked := git(t, fresh, "ls-files", "-z")
	if !strings.Contains(tracked, "api/src/schemas/001-shop.ts") || !strings.Contains(tracked, "api/.flaresmith.json") || strings.Contains(tracked, "other.txt") {
		t.Errorf("the branch has %q", tracked)
	}
	// The checkout has the job's token, which may only read, and the step one of its own.
	reading := p.token(&gh.InstallationPermissions{Contents: gh.String("read")})
	credential := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + reading))
	withToken := p.shallow("feature")
	git(t, withToken, "config", "http."+p.URL()+"/.extraheader", "AUTHORIZATION: basic "+credential)
	writeFile(t, filepath.Join(withToken, "api/specs/001-shop/contracts/openapi.yaml"), strings.Replace(contract, "name:", "title:", 1))
	r = p.specStep(withToken, inputs, map[string]string{"INPUT_DIR": "api", "FLARESMITH_JOB_TOKEN": reading})
	if r.code != exitOK || r.outputs["commit"] == "" || r.outputs["commit"] != p.tip("feature") {
		t.Errorf("exit code %d, outputs %v, the branch at %s\n%s", r.code, r.outputs, p.tip("feature"), r.log)
	}
	if r := p.specStep(fresh, inputs, map[string]string{"INPUT_DIR": "api"}); r.code != exitOK || r.outputs["status"] != "clean" || r.outputs["commit"] != "" {
		t.Errorf("again: exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
}

func TestStepSpecApplyOpensPullRequest(t *testing.T) {
	p := newSpecProject(t)
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("write"), PullRequests: gh.String("write")})
	inputs := map[string]string{"INPUT_COMMAND": "spec-apply", "INPUT_WRITE": "pull-request", "INPUT_GITHUB_TOKEN": token, "INPUT_CHECK_RUN": "off"}
	push := writeFile(t, filepath.Join(t.TempDir(), "event.json"), `{"repository":{"default_branch":"main"},"before":"`+p.base+`","after":"`+p.base+`"}`)
	more := map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_PATH": push, "INPUT_DIR": "api"}
	var addresses []string
	for range 2 { // the second run finds the pull request of the first
		r := p.specStep(p.shallow("main"), inputs, more)
		if r.code != exitOK || r.outputs["commit"] != p.tip(specBranch+"main") {
			t.Fatalf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
		}
		addresses = append(addresses, r.outputs["pull-request-url"])
	}
	// Somebody else's commit on the branch stays.
	theirs := p.shallow(specBranch + "main")
	writeFile(t, filepath.Join(theirs, "a.txt"), "by a person\n")
	git(t, theirs, "add", "a.txt")
	git(t, theirs, "commit", "--quiet", "--message", "by a person")
	git(t, theirs, "push", "--quiet", p.PushURL("acme/shop", "octo-dev"), "HEAD:"+specBranch+"main")
	tip := p.tip(specBranch + "main")
	if r := p.specStep(p.shallow("main"), inputs, more); r.code != exitFailed || p.tip(specBranch+"main") != tip || !strings.Contains(r.log, "is not this action's") {
		t.Errorf("exit code %d, the branch at %s, want %s\n%s", r.code, p.tip(specBranch+"main"), tip, r.log)
	}
	if addresses[0] == "" || addresses[0] != addresses[1] || p.tip("main") != p.base {
		t.Errorf("pull requests %q, main at %s", addresses, p.tip("main"))
	}
}

// TestStepSpecApplyRefuses has nothing written where a commit would go nowhere.
func TestStepSpecApplyRefuses(t *testing.T) {
	p := newSpecProject(t)
	inputs := map[string]string{"INPUT_COMMAND": "spec-apply", "INPUT_WRITE": "commit", "INPUT_CHECK_RUN": "off"}
	fork := writeFile(t, filepath.Join(t.TempDir(), "event.json"), jsonText(t, p.event("mallory/shop")))
	merge := p.shallow("main")
	git(t, merge, "checkout", "--quiet", "--detach")
	for _, tt := range []struct {
		name, checkout string
		more           map[string]string
		says           string
	}{
		{"a fork", p.shallow("feature"), map[string]string{"GITHUB_EVENT_PATH": fork}, "the pull request is from a fork"},
		{"a fork, with the token of pull_request_target", p.shallow("feature"), map[string]string{"GITHUB_EVENT_PATH": fork, "GITHUB_EVENT_NAME": "pull_request_target"},
			"the pull request is from a fork"},
		{"a merge", merge, nil, "check out with ref:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.specStep(tt.checkout, inputs, merged(map[string]string{"INPUT_DIR": "api"}, tt.more))
			if r.code != exitFailed || !strings.Contains(r.log, tt.says) || git(t, tt.checkout, "status", "--porcelain") != "" {
				t.Errorf("exit code %d\n%s%s", r.code, r.log, git(t, tt.checkout, "status", "--porcelain"))
			}
		})
	}
}
