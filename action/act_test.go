package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"
)

// actLine is a line of act's log.
type actLine struct {
	Command string            `json:"command"` // of the workflow: error, summary, …
	Fields  map[string]string `json:"kvPairs"`
	Text    string            `json:"arg"`
	Content string            `json:"content"` // of a summary
	StepID  []string          `json:"stepID"`
}

// act runs a workflow of a checkout for its pull request, without a network or containers, and gives the log,
// as it stands and read.
func (p *project) act(checkout string, args ...string) (string, []actLine, error) {
	p.t.Helper()
	event := writeFile(p.t, filepath.Join(p.t.TempDir(), "event.json"), jsonText(p.t, p.event("acme/shop")))
	nothing := writeFile(p.t, filepath.Join(p.t.TempDir(), "empty"), "")
	cmd := exec.CommandContext(p.t.Context(), "act", append([]string{"pull_request", "--json", "--platform", "ubuntu-latest=-self-hosted",
		"--eventpath", event, "--no-cache-server", "--action-offline-mode", "--pull=false",
		"--env-file", nothing, "--secret-file", nothing, "--var-file", nothing, "--input-file", nothing,
		"--env", "GITHUB_REPOSITORY=acme/shop", "--env", "GITHUB_SERVER_URL=" + p.URL(), "--env", "GITHUB_API_URL=" + p.APIURL()}, args...)...)
	cmd.Dir = checkout
	// act keeps settings of its own in the home folder, and asks for them where there are none.
	home := p.t.TempDir()
	writeFile(p.t, filepath.Join(home, ".config", "act", "actrc"), "")
	cmd.Env = append(goEnvironment(p.t), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"))
	out, err := cmd.CombinedOutput()
	var lines []actLine
	scanner := bufio.NewScanner(bytes.NewReader(out))
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var line actLine
		if json.Unmarshal(scanner.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	return string(out), lines, err
}

// goEnvironment is this process's, with Go's caches named, which else lie below the home folder.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := strings.Fields(string(out))
	return append(os.Environ(), "GOCACHE="+dirs[0], "GOMODCACHE="+dirs[1], "GOPATH="+dirs[2])
}

// source is what the action is built of.
func source(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	root := os.DirFS("..")
	for _, dir := range []string{"action.yml", "go.mod", "go.sum", "action", "codegen", "app/preview", "app/plan", "app/report", "app/repoconfig", "app/spelling"} {
		err := fs.WalkDir(root, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "testdata" {
				return fs.SkipDir
			}
			if entry.IsDir() || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			text, err := fs.ReadFile(root, name)
			files[name] = &fstest.MapFile{Data: text}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Values that look like secrets are made of parts, or scanners find them.
var (
	stripeKey  = strings.Join([]string{"sk", "live", "4eC39HqLyjWDarjtT1zdp7dc"}, "_")
	datadogKey = strings.Repeat("c0ffee7135790b2d", 2) + "93ab41cd"
)

// TestAction runs every command as a workflow does that checks this repository out.
func TestAction(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is that of programs which are built without the race detector")
	}
	needs(t, "act")
	files := source(t)
	workflow := readFile(t, "testdata/workflows/commands.yml")
	files[".github/workflows/commands.yml"] = &fstest.MapFile{Data: []byte(workflow)}
	files["specs/001-shop/contracts/openapi.yaml"] = &fstest.MapFile{Data: []byte(contract)}
	p := newProject(t, files, map[string]string{"config/live.env": "# payments\nSTRIPE_KEY=" + stripeKey + "\n"})
	p.deploy("success", "Ready", "https://shop-pr-1.example.dev")
	results := t.TempDir()
	token := p.token(&gh.InstallationPermissions{Contents: gh.String("read"), Checks: gh.String("write"), Deployments: gh.String("read")})
	log, lines, err := p.act(p.shallow("feature"), "--env", "RESULTS="+results, "--secret", "GITHUB_TOKEN="+token)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	want := `failure findings 1
failure drift src/schemas/001-shop.ts
success applied
success clean []
success https://shop-pr-1.example.dev
`
	if diff := cmp.Diff(want, readFile(t, filepath.Join(results, "outputs"))); diff != "" {
		t.Errorf("what a later step saw:\n%s", diff)
	}
	for _, text := range []string{log, readFile(t, filepath.Join(results, "sarif")), readFile(t, filepath.Join(results, "report"))} {
		for from := 0; from+8 <= len(stripeKey); from++ {
			if piece := stripeKey[from : from+8]; strings.Contains(text, piece) {
				t.Fatalf("a piece of the secret (at %d) was printed or written", from)
			}
		}
		if strings.Contains(text, token) {
			t.Error("the token was printed or written")
		}
	}
	if sarif := readFile(t, filepath.Join(results, "sarif")); !strings.Contains(sarif, `"uri": "config/live.env"`) {
		t.Errorf("SARIF:\n%s", sarif)
	}
	if diff := cmp.Diff(map[string]string{"title": "stripe-access-token (certain)", "file": "config/live.env", "line": "2", "endLine": "2", "col": "12", "endColumn": "43"},
		fieldsOf(lines, "secrets", "error")); diff != "" {
		t.Errorf("annotation of the secret:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"title": "Not as the specs say", "file": "src/schemas/001-shop.ts", "line": "1", "endLine": "1"}, fieldsOf(lines, "drift", "error")); diff != "" {
		t.Errorf("annotation of drift:\n%s", diff)
	}
	for step, wants := range map[string][]string{
		"secrets": {"## Flaresmith / Secrets", "1 secret found: 1 certain", "| What | Where |", "/blob/" + p.head + "/config/live.env#L2>)"},
		"drift":   {"## Flaresmith / Specs", "1 file not as the specs say", "src/schemas/001-shop.ts"},
		"apply":   {"1 file written"},
		"check":   {"All files are as the specs say"},
		"preview": {"The preview is ready", "<https://shop-pr-1.example.dev>"},
	} {
		for _, part := range wants {
			if text := summaryOf(lines, step); !strings.Contains(text, part) {
				t.Errorf("the summary of %s lacks %q:\n%s", step, part, text)
			}
		}
	}
	runs, err := p.CheckRuns("acme/shop", p.head)
	if err != nil || len(runs) != 1 || runs[0].Name != "Flaresmith / Secrets" || runs[0].Conclusion != "failure" || len(runs[0].Annotations) != 1 || runs[0].Annotations[0].Path != "config/live.env" {
		t.Errorf("check runs: %v %+v", err, runs)
	}
}

// fieldsOf are those of a step's first workflow command of a name.
func fieldsOf(lines []actLine, step, command string) map[string]string {
	for _, line := range lines {
		if line.Command == command && len(line.StepID) > 0 && line.StepID[0] == step {
			return line.Fields
		}
	}
	return nil
}

func summaryOf(lines []actLine, step string) string {
	for _, line := range lines {
		if line.Command == "summary" && len(line.StepID) > 0 && line.StepID[0] == step {
			return line.Content
		}
	}
	return ""
}
