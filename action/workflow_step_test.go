package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"
)

// stepRun is what a step did.
type stepRun struct {
	code         int
	log, summary string
	outputs      map[string]string
}

// step runs the action's program in a checkout with some inputs, and with more of the environment.
func (p *project) step(checkout string, inputs, more map[string]string) stepRun {
	p.t.Helper()
	return runWorkflowStep(p.t, map[string]string{
		"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": p.URL(), "GITHUB_API_URL": p.APIURL(), "GITHUB_EVENT_NAME": "pull_request",
		"GITHUB_SHA": p.head, "GITHUB_EVENT_PATH": writeFile(p.t, filepath.Join(p.t.TempDir(), "event.json"), jsonText(p.t, p.event("acme/shop"))),
		"INPUT_DIR": checkout,
	}, inputs, more)
}

// runWorkflowStep runs the action's program as its composite step does.
func runWorkflowStep(t *testing.T, environments ...map[string]string) stepRun {
	t.Helper()
	dir := t.TempDir()
	environment := map[string]string{"RUNNER_TEMP": dir, "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"), "GITHUB_OUTPUT": filepath.Join(dir, "output")}
	for _, some := range environments {
		for name, value := range some {
			environment[name] = value
		}
	}
	var out bytes.Buffer
	code := run(t.Context(), streams{strings.NewReader(""), &out, &out}, func(name string) string { return environment[name] }, "workflow")
	r := stepRun{code: code, log: out.String(), outputs: map[string]string{}}
	if text, err := os.ReadFile(environment["GITHUB_STEP_SUMMARY"]); err == nil {
		r.summary = string(text)
	}
	if text, err := os.ReadFile(environment["GITHUB_OUTPUT"]); err == nil {
		lines := strings.Split(string(text), "\n")
		for i := 0; i+2 < len(lines); i += 3 { // name<<delimiter, value, delimiter
			name, _, _ := strings.Cut(lines[i], "<<")
			r.outputs[name] = lines[i+1]
		}
	}
	return r
}

// manySecrets is a file with n keys, none like another.
func manySecrets(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key_%d=%s\n", i, stripeKey[:len(stripeKey)-3]+fmt.Sprintf("%03d", i))
	}
	return b.String()
}

func TestManyFindings(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{
		"z.env": manySecrets(120), "a.env": "datadog_key=" + datadogKey + "\n",
	})
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read"), Checks: gh.String("write")})
	r := p.step(p.shallow("feature"), map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_GITHUB_TOKEN": token, "INPUT_FAIL_ON": "certain"}, nil)
	if r.code != exitFound || r.outputs["status"] != "findings" || r.outputs["findings"] != "121" {
		t.Fatalf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
	if n := strings.Count(r.log, "\n::error "); n+strings.Count(r.log[:8], "::error ") != 10 || strings.Contains(r.log, "::warning") {
		t.Errorf("%d errors:\n%s", n, r.log)
	}
	for _, part := range []string{"121 secrets found: 120 certain, 1 likely, 0 generic", "10 of 121 are annotations of the run", "| ⚠️ |"} {
		if !strings.Contains(r.summary, part) {
			t.Errorf("the summary lacks %q:\n%s", part, r.summary[:2000])
		}
	}
	runs, err := p.CheckRuns("acme/shop", p.head)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d check runs, %v", len(runs), err)
	}
	if run := runs[0]; len(run.Annotations) != 121 || run.Updates != 2 || run.Annotations[120].Path != "a.env" || run.Annotations[120].Level != "warning" || r.outputs["check-run-url"] == "" {
		t.Errorf("%d annotations in %d updates, the last %+v", len(run.Annotations), run.Updates, run.Annotations[len(run.Annotations)-1])
	}
}

// TestSecretsElsewhere is a repository whose default branch says who writes the check; what the pull request says
// does not count.
func TestSecretsElsewhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, config string
		note         string // why there is no check run; "": there is one
	}{
		{"nothing", "", ""},
		{"action", "secrets: action\n", ""},
		{"app", "secrets: app\n", "the default branch says secrets: app"},
		{"off", "secrets: off\n", "the default branch says secrets: off"},
		{"misspelt", "secrets: apps\n", "the default branch is not valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			content := fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}
			proposed := "secrets: off\n"
			if tt.config != "" {
				content[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(tt.config)}
				proposed = "secrets: action\n"
			}
			p := newProject(t, content, map[string]string{"a.env": "KEY=" + stripeKey + "\n", ".github/flaresmith.yml": proposed})
			token := p.token(&gh.InstallationPermissions{Contents: gh.String("read"), Checks: gh.String("write")})
			r := p.step(p.shallow("feature"), map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_GITHUB_TOKEN": token}, nil)
			runs, err := p.CheckRuns("acme/shop", p.head)
			if err != nil {
				t.Fatal(err)
			}
			if r.code != exitFound || !strings.Contains(r.log, "::error ") {
				t.Errorf("exit code %d\n%s", r.code, r.log)
			}
			if got := len(runs) == 0; got != (tt.note != "") || !strings.Contains(r.summary, tt.note) || (r.outputs["check-run-url"] == "") != got {
				t.Errorf("%d check runs, outputs %v\n%s", len(runs), r.outputs, r.summary)
			}
		})
	}
}

// TestLittleMayBeDone is a pull request of a fork, or any other whose token may only read.
func TestLittleMayBeDone(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.env": "KEY=" + stripeKey + "\n"})
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read")})
	checkout := p.shallow("feature")
	fork := writeFile(t, filepath.Join(t.TempDir(), "event.json"), jsonText(t, p.event("mallory/shop")))
	tests := []struct {
		name string
		more map[string]string
		note string
	}{
		{"a fork", map[string]string{"GITHUB_EVENT_PATH": fork}, "the pull request is from a fork"},
		{"Dependabot", map[string]string{"GITHUB_ACTOR": "dependabot[bot]"}, "Dependabot started the run"},
		{"permissions", nil, "Give the job `checks: write`"},
		{"no token", map[string]string{"INPUT_GITHUB_TOKEN": "", "INPUT_SCAN": "tree"}, "the step has no token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := p.step(checkout, map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_GITHUB_TOKEN": token}, tt.more)
			if r.code != exitFound || r.outputs["status"] != "findings" || !strings.Contains(r.log, "::error ") || !strings.Contains(r.log, tt.note) ||
				!strings.Contains(r.summary, "1 secret found") {
				t.Errorf("exit code %d, outputs %v\n%s\n%s", r.code, r.outputs, r.log, r.summary)
			}
		})
	}
}

func TestWhatIsScanned(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"old.env": &fstest.MapFile{Data: []byte("KEY=" + stripeKey + "\n")}}, map[string]string{"new.env": "KEY=" + stripeKey[:30] + "7\n"})
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read")})
	for range 3 { // the base goes on: the pull request's commits have to be told from its
		if _, err := p.Commit("acme/shop", "main", map[string]string{"more.txt": strconv.Itoa(len(p.base))}, "More"); err != nil {
			t.Fatal(err)
		}
		p.base = p.tip("main")
	}
	push := func(fields string) string {
		return writeFile(t, filepath.Join(t.TempDir(), "event.json"), `{"repository":{"default_branch":"main"},`+fields+`}`)
	}
	zeros := strings.Repeat("0", 40)
	tests := []struct {
		name     string
		inputs   map[string]string
		event    string // its payload's file; "" is the pull request's
		status   string
		findings string
		scanned  string
	}{
		{"a pull request", nil, "", "findings", "1", "what "},
		{"the files", map[string]string{"INPUT_SCAN": "tree"}, "", "findings", "2", "the checkout's files"},
		{"the history", map[string]string{"INPUT_SCAN": "history"}, "", "findings", "2", "the whole history"},
		{"no bar", map[string]string{"INPUT_FAIL_ON": "never"}, "", "clean", "1", "what "},
		{"a new branch", nil, push(`"before":"` + zeros + `","after":"` + p.head + `"`), "findings", "1", "what "},
		{"a rewritten branch", nil, push(`"forced":true,"before":"` + strings.Repeat("1", 40) + `","after":"` + p.head + `"`), "findings", "1", "what "},
		{"a branch whose past is gone", nil, push(`"before":"` + strings.Repeat("1", 40) + `","after":"` + p.head + `"`), "not-scanned", "", ""},
		{"a merge group", nil, push(`"merge_group":{"base_sha":"` + p.base + `","head_sha":"` + p.head + `"}`), "findings", "1", "what "},
		{"a schedule", nil, push(`"schedule":"* * * * *"`), "findings", "2", "the whole history"},
		{"a schedule has no range", map[string]string{"INPUT_SCAN": "range"}, push(`"schedule":"* * * * *"`), "not-scanned", "", ""},
		{"wrong inputs", map[string]string{"INPUT_SCAN": "all", "INPUT_FAIL_ON": "x"}, "", "error", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			more := map[string]string{}
			if tt.event != "" {
				more = map[string]string{"GITHUB_EVENT_PATH": tt.event, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/feature"}
				if strings.HasPrefix(tt.name, "a schedule") {
					more["GITHUB_EVENT_NAME"] = "schedule"
				}
			}
			r := p.step(p.shallow("feature"), map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_GITHUB_TOKEN": token, "INPUT_CHECK_RUN": "off"}, merged(tt.inputs, more))
			got := []string{r.outputs["status"], r.outputs["findings"], r.outputs["scanned"][:min(len(tt.scanned), len(r.outputs["scanned"]))]}
			if diff := cmp.Diff([]string{tt.status, tt.findings, tt.scanned}, got); diff != "" {
				t.Errorf("%s\n%s", diff, r.log)
			}
			if passed := tt.status == "clean"; passed != (r.code == exitOK) {
				t.Errorf("exit code %d", r.code)
			}
			if !strings.Contains(r.summary, "## Flaresmith / Secrets") {
				t.Errorf("summary:\n%s", r.summary)
			}
		})
	}
}

// TestHistoryOfAShallowCheckout has secrets that only a tag has, and only what is before the checkout's commit, which
// is on no branch.
func TestHistoryOfAShallowCheckout(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"a.txt": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "y\n"})
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read")})
	tagged := filepath.Join(t.TempDir(), "tagged")
	git(t, ".", "clone", "--quiet", p.PushURL("acme/shop", "octo-dev"), tagged)
	writeFile(t, filepath.Join(tagged, "tag.env"), "KEY="+stripeKey+"\n")
	git(t, tagged, "add", ".")
	git(t, tagged, "commit", "--quiet", "-m", "for the release only")
	git(t, tagged, "tag", "-a", "-m", "one", "v1")
	git(t, tagged, "push", "--quiet", "origin", "v1")
	fork, err := p.Fork("acme/shop", "octo-stranger")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"KEY=" + stripeKey[:30] + "7\n", "gone\n"} {
		if _, err := p.CommitAs("octo-stranger", fork, "theirs", map[string]string{"fork.env": text}, "theirs"); err != nil {
			t.Fatal(err)
		}
	}
	number, err := p.OpenPR("acme/shop", "Theirs", "octo-stranger:theirs", "", "octo-stranger")
	if err != nil {
		t.Fatal(err)
	}
	dir := p.shallow("main")
	git(t, dir, "fetch", "--quiet", "--depth=1", p.PushURL("acme/shop", "octo-dev"), fmt.Sprintf("refs/pull/%d/head", number))
	git(t, dir, "checkout", "--quiet", "--detach", "FETCH_HEAD")
	git(t, dir, "tag", "v1") // another one
	r := p.step(dir, map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_SCAN": "history", "INPUT_GITHUB_TOKEN": token, "INPUT_CHECK_RUN": "off"}, nil)
	if r.code != exitFound || r.outputs["findings"] != "2" || !strings.Contains(r.log, "file=tag.env") || !strings.Contains(r.log, "file=fork.env") || strings.Contains(r.log, "shallow") {
		t.Errorf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
}

// TestPushedTag has a secret in the message of a tag, whose object is what the event of its push names; checkouts have the
// commit alone.
func TestPushedTag(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"a.txt": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "y\n"})
	dir := filepath.Join(t.TempDir(), "tagged")
	git(t, ".", "clone", "--quiet", p.PushURL("acme/shop", "octo-dev"), dir)
	git(t, dir, "tag", "-a", "-m", "One", "-m", "Tried with "+stripeKey, "v1", p.base)
	git(t, dir, "push", "--quiet", "origin", "v1")
	tag := strings.TrimSpace(git(t, dir, "rev-parse", "v1"))
	event := map[string]any{"ref": "refs/tags/v1", "before": strings.Repeat("0", 40), "after": tag, "repository": map[string]any{"default_branch": "main"}}
	r := p.step(p.shallow("main"), map[string]string{"INPUT_COMMAND": "secret-scan",
		"INPUT_GITHUB_TOKEN": p.token(&gh.InstallationPermissions{Contents: gh.String("read"), Checks: gh.String("write")})},
		map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/tags/v1", "GITHUB_SHA": p.base, "GITHUB_EVENT_PATH": writeFile(t, filepath.Join(t.TempDir(), "event.json"), jsonText(t, event))})
	if r.code != exitFound || r.outputs["findings"] != "1" || !strings.Contains(r.log, "in line 3 of the message of tag v1 ("+tag[:10]+")") {
		t.Errorf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
	}
	if runs, err := p.CheckRuns("acme/shop", p.base); err != nil || len(runs) != 1 {
		t.Errorf("%d check runs, %v\n%s", len(runs), err, r.log)
	}
}

// TestPartialCheckout has secrets in files that the checkout left out, in a range and in the history.
func TestPartialCheckout(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"blob:none", "tree:0"} {
		for _, tt := range []struct {
			scan, findings string
			more           []string
		}{{"range", "1", nil}, {"history", "2", nil}, {"range", "1", []string{"--depth=1"}}, {"history", "2", []string{"--depth=1"}}} {
			t.Run(strings.Join(append([]string{filter, tt.scan}, tt.more...), " "), func(t *testing.T) {
				t.Parallel()
				p := newProject(t, fstest.MapFS{"a.txt": &fstest.MapFile{Data: []byte("x\n")}, "old.env": &fstest.MapFile{Data: []byte("KEY=" + stripeKey[:30] + "7\n")}},
					map[string]string{"a.txt": "y\n", "old.env": "gone\n", "new.env": "KEY=" + stripeKey + "\n"})
				var err error
				if p.head, err = p.Commit("acme/shop", "feature", map[string]string{"new.env": "gone\n"}, "Too late"); err != nil {
					t.Fatal(err)
				}
				dir := filepath.Join(t.TempDir(), "checkout")
				git(t, ".", append([]string{"clone", "--quiet", "--no-checkout", "--filter=" + filter, "--branch", "feature", p.PushURL("acme/shop", "octo-dev"), dir}, tt.more...)...)
				git(t, dir, "remote", "set-url", "origin", p.URL()+"/acme/shop.git")
				r := p.step(dir, map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_SCAN": tt.scan, "INPUT_GITHUB_TOKEN": p.token(&gh.InstallationPermissions{Contents: gh.String("read")}), "INPUT_CHECK_RUN": "off"}, nil)
				if r.code != exitFound || r.outputs["findings"] != tt.findings {
					t.Errorf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
				}
			})
		}
	}
}

func merged(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for name, value := range m {
			all[name] = value
		}
	}
	return all
}

// TestTexts finds what somebody wrote, which is in no file.
func TestTexts(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "x\n"})
	head, err := p.Commit("acme/shop", "feature", map[string]string{"a.txt": "y\n"}, "A fix\n\nTried with "+stripeKey)
	if err != nil {
		t.Fatal(err)
	}
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read")})
	pull := p.event("acme/shop")
	pull["pull_request"].(map[string]any)["body"] = "To try it:\n\nexport KEY=" + stripeKey
	messages := p.event("acme/shop")
	messages["pull_request"].(map[string]any)["head"].(map[string]any)["sha"] = head
	text := "KEY=" + stripeKey
	reviewed := func(what string) map[string]any { // these events do not say how many commits there are
		event := p.event("acme/shop")
		delete(event["pull_request"].(map[string]any), "commits")
		event[what] = map[string]any{"body": text}
		return event
	}
	const none = `"results": []`
	for _, tt := range []struct {
		name, event string
		payload     any
		where       string
		sarif       string // only what is about commits
	}{
		{"a pull request", "pull_request", pull, "in line 4 of the pull request's title and text", none},
		{"a commit's message", "pull_request", messages, "in line 3 of the message of commit " + head[:7], `"uri": "commit-messages/` + head + `"`},
		{"a comment", "issue_comment", map[string]any{"issue": map[string]any{"title": "x", "body": ""}, "comment": map[string]any{"body": text}}, "in line 2 of the comment", none},
		{"a comment of a review", "pull_request_review_comment", reviewed("comment"), "in line 2 of the comment", none},
		{"a review", "pull_request_review", reviewed("review"), "in line 2 of the review", none},
		{"an issue", "issues", map[string]any{"issue": map[string]any{"title": text}}, "in line 1 of the issue's title and text", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.step(p.shallow("feature"), map[string]string{
				"INPUT_COMMAND": "secret-scan", "INPUT_CHECK_RUN": "off", "INPUT_GITHUB_TOKEN": token,
				"GITHUB_EVENT_NAME": tt.event, "GITHUB_EVENT_PATH": writeFile(t, filepath.Join(t.TempDir(), "event.json"), jsonText(t, tt.payload)),
			}, nil)
			if r.code != exitFound || r.outputs["findings"] != "1" || !strings.Contains(r.log, tt.where) || strings.Contains(r.log, "file=") || strings.Contains(r.log, stripeKey[8:]) {
				t.Errorf("exit code %d, outputs %v\n%s", r.code, r.outputs, r.log)
			}
			if sarif := readFile(t, r.outputs["sarif-path"]); !strings.Contains(sarif, tt.sarif) {
				t.Errorf("SARIF:\n%s", sarif)
			}
		})
	}
}

// TestHostileNames has files whose names try to be commands, markup and outputs.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	needsGit(t)
	dir := t.TempDir()
	git(t, dir, "init", "--quiet")
	names := []string{"::error::x", "a|b](http://evil.example)<img>", "new\nline::warning::y"}
	for i, name := range names {
		writeFile(t, filepath.Join(dir, name), fmt.Sprintf("KEY=%s%d\n", stripeKey[:len(stripeKey)-1], i))
	}
	r := runWorkflowStep(t, map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_DIR": dir, "INPUT_SCAN": "tree", "INPUT_CHECK_RUN": "off"})
	if r.outputs["findings"] != strconv.Itoa(len(names)) {
		t.Errorf("outputs %v\n%s", r.outputs, r.log)
	}
	for line := range strings.Lines(r.log) {
		if !strings.HasPrefix(line, "flaresmith: ") && !strings.HasPrefix(line, "::error ") {
			t.Errorf("a line of the log begins with somebody else's words: %q", line)
		}
	}
	if n := strings.Count(r.log, "\n::error") + 1; n != len(names) || strings.Contains(r.summary, "<img>") || strings.Contains(r.summary, "](http://evil") {
		t.Errorf("%d annotations\n%s\n%s", n, r.log, r.summary)
	}
}

func TestWrongSteps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name   string
		inputs map[string]string
		says   string
	}{
		{"no command", nil, `input command: "": want secret-scan, spec-check, spec-apply, preview`},
		{"another command", map[string]string{"INPUT_COMMAND": "deploy"}, `input command: "deploy": want`},
		{"a folder outside", map[string]string{"INPUT_COMMAND": "spec-check", "INPUT_DIR": "../x"}, "want a folder of the checkout"},
		{"no time", map[string]string{"INPUT_COMMAND": "preview", "INPUT_TIMEOUT": "soon"}, `input timeout: "soon": want a time like 90s`},
		{"no pull request", map[string]string{"INPUT_COMMAND": "preview", "GITHUB_EVENT_NAME": "push"}, "push is no event of a pull request"},
		{"no repository", map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_DIR": dir}, "Not scanned: "},
		{"nothing to write to", map[string]string{"INPUT_COMMAND": "preview", "GITHUB_OUTPUT": filepath.Join(dir, "no", "file")}, "write for the runner"},
		{"an event that is none", map[string]string{"INPUT_COMMAND": "preview", "GITHUB_EVENT_PATH": writeFile(t, filepath.Join(dir, "event"), "{")}, "event"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := runWorkflowStep(t, tt.inputs, map[string]string{"INPUT_CHECK_RUN": "off"})
			if r.code != exitFailed || !strings.Contains(r.log, tt.says) {
				t.Errorf("exit code %d\n%s", r.code, r.log)
			}
		})
	}
}

// TestManyNotes has an ignore file that nothing needs any more: the summary stays readable, the log has all.
func TestManyNotes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var ignores strings.Builder
	ignores.WriteString("ignore:\n")
	for i := range 200 {
		fmt.Fprintf(&ignores, "  - {rule: stripe-access-token, fingerprint: %032x, reason: a test key, expires: 2099-01-01}\n", i)
	}
	writeFile(t, filepath.Join(dir, ".flaresmith-ignore.yml"), ignores.String())
	writeFile(t, filepath.Join(dir, "a.txt"), "x\n")
	git(t, dir, "init", "--quiet")
	git(t, dir, "add", ".")
	r := runWorkflowStep(t, map[string]string{"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.acme.dev", "GITHUB_API_URL": "https://github.acme.dev/api/v3",
		"GITHUB_EVENT_NAME": "schedule", "GITHUB_SHA": strings.Repeat("a", 40), "INPUT_COMMAND": "secret-scan", "INPUT_SCAN": "tree", "INPUT_DIR": dir, "INPUT_CHECK_RUN": "off"})
	in := func(text string) int { return strings.Count(text, "is not needed") }
	if r.code != exitOK || in(r.summary) > maxNotes || !strings.Contains(r.summary, "180 notes more") || in(r.log) < 200 {
		t.Errorf("exit code %d, %d notes in the summary, %d in the log\n%.3000s", r.code, in(r.summary), in(r.log), r.summary)
	}
}

// TestNamesAreToldWithoutSecrets is a step that can't be done, of branches and a remote that have secrets in their names.
func TestNamesAreToldWithoutSecrets(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "x\n"})
	checkout := p.shallow("feature")
	event := map[string]any{"before": strings.Repeat("0", 40), "after": p.head, "repository": map[string]any{"default_branch": "release/" + stripeKey}}
	push := map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/feature",
		"GITHUB_EVENT_PATH": writeFile(t, filepath.Join(t.TempDir(), "event.json"), jsonText(t, event))}
	told := func(r stepRun) {
		t.Helper()
		text := r.log + r.summary + r.outputs["scanned"]
		if r.code != exitFailed || r.outputs["status"] != "not-scanned" || strings.Contains(strings.ReplaceAll(text, "\\", ""), stripeKey[8:16]) {
			t.Errorf("exit code %d, outputs %v\n%s%s", r.code, r.outputs, r.log, r.summary)
		}
	}
	told(p.step(checkout, map[string]string{"INPUT_COMMAND": "secret-scan", "INPUT_RANGE": "HEAD.." + stripeKey}, nil))
	told(p.step(checkout, map[string]string{"INPUT_COMMAND": "secret-scan"}, push))
	git(t, checkout, "remote", "set-url", "origin", "http://127.0.0.1:1/x?token="+stripeKey[8:])
	told(p.step(checkout, map[string]string{"INPUT_COMMAND": "secret-scan"}, push))
}
