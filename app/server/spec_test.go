package server

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/app/specsync"
	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

const (
	modelPath  = "specs/001-shop/data-model.md"
	schemaPath = "src/db/schema.ts"
)

// model is a data model with further columns.
func model(columns ...string) string {
	text := "# Data model\n\n## Product\n\n| Field | Type | Constraints |\n|---|---|---|\n| id | uuid | PK |\n| name | text | NOT NULL |\n"
	for _, c := range columns {
		text += "| " + c + " | integer | NOT NULL |\n"
	}
	return text
}

const contract = `openapi: 3.1.0
info: {title: Shop, version: 1.0.0}
paths:
  /products:
    get:
      operationId: listProducts
      responses:
        "200":
          description: all
          content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Product"}}}}
components:
  schemas:
    Product: {type: object, required: [id, name], properties: {id: {type: string, format: uuid}, name: {type: string}}}
`

// specFiles is the sample with specs, and with what is generated from them.
func specFiles(t testing.TB) fstest.MapFS {
	t.Helper()
	files := sampleFiles()
	files[modelPath] = &fstest.MapFile{Data: []byte(model())}
	files["specs/001-shop/contracts/openapi.yaml"] = &fstest.MapFile{Data: []byte(contract)}
	generated, err := codegen.Generate(t.Context(), files, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, err := codegen.Plan(files, generated, drift.Manifest{}, func([]string) (map[string]bool, error) { return map[string]bool{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range generated.All {
		files[f.Path] = &fstest.MapFile{Data: f.Content}
	}
	files[drift.ManifestPath] = &fstest.MapFile{Data: manifest.Bytes()}
	return files
}

// specChecks are the check runs about specs on a commit.
func (w *world) specChecks(repo, sha string) []github.CheckRun {
	w.t.Helper()
	runs, err := w.github.CheckRuns(repo, sha)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != specsync.CheckName })
}

func (w *world) wantSpecCheck(sha, conclusion string) github.CheckRun {
	w.t.Helper()
	w.settle()
	runs := w.specChecks(testRepo, sha)
	if len(runs) == 0 || runs[len(runs)-1].Conclusion != conclusion {
		w.t.Fatalf("checks of %.7s: %+v, want one that says %s", sha, runs, conclusion)
	}
	return runs[len(runs)-1]
}

func (w *world) branch(name string) string {
	w.t.Helper()
	sha, err := w.github.Branch(testRepo, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

// answerTo comments and waits for the answer.
func (w *world) answerTo(pr int, user, text string) (answer string) {
	w.t.Helper()
	if _, err := w.github.Comment(testRepo, pr, user, text); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	list := comments(w.t, w, pr)
	return list[len(list)-1].Body
}

func TestSpecOfAPullRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, specFiles(t), nil)
	pr, sha := w.openWith("feature/stock", map[string]string{modelPath: model("stock")})

	check := w.wantSpecCheck(sha, "action_required")
	i := slices.IndexFunc(check.Annotations, func(a github.Annotation) bool { return a.Path == schemaPath })
	if i < 0 {
		t.Fatalf("annotations %+v, want one where %s differs", check.Annotations, schemaPath)
	}
	if len(check.Actions) != 1 || check.Actions[0].Label != "Apply" {
		t.Fatalf("buttons %+v", check.Actions)
	}

	if err := w.github.PressButton(testRepo, check.ID, check.Actions[0].Identifier, "octo-guest"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.branch("feature/stock"); got != sha {
		t.Fatal("a reader moved the branch")
	}

	if err := w.github.PressButton(testRepo, check.ID, check.Actions[0].Identifier, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	applied := w.branch("feature/stock")
	if applied == sha {
		t.Fatalf("the branch did not move; comments: %+v", comments(t, w, pr))
	}
	w.wantSpecCheck(applied, "success")
	w.wantCheck(applied, "success") // the preview follows
	got := w.fileAt(applied, schemaPath)
	if !strings.Contains(got, `integer("stock").notNull()`) {
		t.Errorf("%s lacks the column:\n%s", schemaPath, got)
	}
	before, after := strings.Split(w.fileAt(sha, schemaPath), "\n"), strings.Split(got, "\n")
	if at := check.Annotations[i].StartLine; before[at-1] == after[at-1] || !strings.HasPrefix(after[at-1], "import { integer") {
		t.Errorf("the check pointed at line %d of %s, want the first below the head that changed:\n%s", at, schemaPath, got)
	}

	// The same press again under another delivery id, and by a comment: nothing more is committed.
	press := lastPayloadOf(t, w, "check_run", `"requested_action"`)
	if status := w.deliver("check_run", press); status/100 != 2 {
		t.Fatalf("status %d", status)
	}
	if got := w.answerTo(pr, "octo-dev", "/flaresmith spec apply"); !strings.Contains(got, "Nothing to do") && !strings.Contains(got, applied) {
		t.Errorf("answer: %s", got)
	}
	if got := w.branch("feature/stock"); got != applied {
		t.Errorf("another commit %s", got)
	}

	// A push that does not touch specs keeps the check on every head of this pull request.
	next := w.push("feature/stock", "more")
	w.wantSpecCheck(next, "success")
	if got := w.answerTo(pr, "octo-guest", "/flaresmith spec check"); !strings.Contains(got, "Checking") {
		t.Errorf("answer: %s", got)
	}
	if n := len(w.specChecks(testRepo, next)); n != 2 {
		t.Errorf("%d checks after one was asked for, want 2", n)
	}
	if got := w.answerTo(pr, "octo-dev", "/flaresmith spec"); !strings.Contains(got, "spec check") {
		t.Errorf("answer: %s", got)
	}
	if v := w.github.Violations(); len(v) > 0 {
		t.Errorf("GitHub would not take it: %v", v)
	}
}

func (w *world) fileAt(sha, path string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := w.github.Clone(w.t.Context(), testRepo, "octo-dev", dir+"/clone"); err != nil {
		w.t.Fatal(err)
	}
	return gitShow(w.t, dir+"/clone", sha, path)
}

func TestSpecIsQuietWhereNothingTouchesIt(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, specFiles(t), nil)
	_, sha := w.open("feature/other")
	w.wantCheck(sha, "success")
	w.settle()
	if runs := w.specChecks(testRepo, sha); len(runs) != 0 {
		t.Errorf("checks %+v, want none", runs)
	}
}

func TestSpecNeverOverwrites(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := specFiles(t)
	w := newWorld(t, files, nil)
	byHand := strings.Replace(string(files[schemaPath].Data), "export", "// mine\nexport", 1)
	pr, sha := w.openWith("feature/hand", map[string]string{modelPath: model("stock"), schemaPath: byHand})
	check := w.wantSpecCheck(sha, "failure")
	if len(check.Actions) != 0 || !strings.Contains(check.Summary, "MANUAL") {
		t.Errorf("buttons %+v; summary: %s", check.Actions, check.Summary)
	}
	if got := w.answerTo(pr, "octo-dev", "/flaresmith spec apply"); !strings.Contains(got, "in the way") {
		t.Errorf("answer: %s", got)
	}
	if got := w.branch("feature/hand"); got != sha {
		t.Errorf("the branch moved")
	}
}

func TestSpecOfHostileRequests(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	bomb := "openapi: 3.1.0\na: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	manifest := `{"generation":2,"inputs":"x","files":{".github/workflows/ci.yml":{"target":"zod","sha256":"` + drift.Hash([]byte("on: push\n")) + `"}}}`
	tests := []struct {
		name  string
		files map[string]string
		wants string
	}{
		{"layout at workflows", map[string]string{".github/flaresmith.yml": "spec: {layout: {schemas: .github/workflows}}\n"}, ".github"},
		{"manifest lists a workflow", map[string]string{drift.ManifestPath: manifest, ".github/workflows/ci.yml": "on: push\n"}, ".github"},
		{"manifest leads outside", map[string]string{drift.ManifestPath: `{"generation":2,"inputs":"x","files":{"../x":{"target":"zod","sha256":"x"}}}`}, "outside"},
		{"yaml bomb", map[string]string{"specs/001-shop/contracts/openapi.yaml": bomb}, "problem"},
		{"remote reference", map[string]string{"specs/001-shop/contracts/openapi.yaml": strings.Replace(contract, "#/components/schemas/Product", "http://203.0.113.1/x.yaml", 1)}, "problem"},
		{"no specs any more, and a damaged manifest", map[string]string{drift.ManifestPath: "{"}, "damaged"},
	}
	w := newWorld(t, specFiles(t), map[string]string{})
	for i, tt := range tests {
		branch := fmt.Sprintf("hostile-%d", i)
		pr, sha := w.openWith(branch, tt.files)
		check := w.wantSpecCheck(sha, "failure")
		if !strings.Contains(check.Title+check.Summary, tt.wants) || len(check.Actions) != 0 {
			t.Errorf("%s: %q %+v: %s", tt.name, check.Title, check.Actions, check.Summary)
		}
		w.answerTo(pr, "octo-dev", "/flaresmith spec apply")
		if got := w.branch(branch); got != sha {
			t.Errorf("%s: the branch moved", tt.name)
		}
	}
}

func TestSpecOfAFork(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, specFiles(t), nil)
	w.github.AddUser("octo-stranger")
	fork, err := w.github.Fork(testRepo, "octo-stranger")
	if err != nil {
		t.Fatal(err)
	}
	sha, err := w.github.CommitAs("octo-stranger", fork, "stock", map[string]string{modelPath: model("stock")}, "stock")
	if err != nil {
		t.Fatal(err)
	}
	pr, err := w.github.OpenPR(testRepo, "stock", "octo-stranger:stock", "", "octo-stranger")
	if err != nil {
		t.Fatal(err)
	}
	check := w.wantSpecCheck(sha, "action_required")
	if len(check.Actions) != 0 || !strings.Contains(check.Summary, "fork") {
		t.Errorf("buttons %+v; summary: %s", check.Actions, check.Summary)
	}
	before := len(comments(t, w, pr))
	if _, err := w.github.Comment(testRepo, pr, "octo-lead", "/flaresmith spec apply"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got, err := w.github.Branch(fork, "stock"); err != nil || got != sha {
		t.Errorf("the fork's branch is at %s, %v", got, err)
	}
	if got := len(comments(t, w, pr)); got != before+1 {
		t.Errorf("%d comments, want only the person's", got-before)
	}
}

// An answer that gets lost, at each step: there is one commit in the end, and the person is told of it.
func TestSpecApplyWithLostAnswers(t *testing.T) {
	t.Parallel()
	const repo = "/repos/{owner}/{repo}"
	lost := fault.Fault{Drop: true, After: true}
	for _, route := range []string{"POST " + repo + "/git/trees", "POST " + repo + "/git/commits", "PATCH " + repo + "/git/refs/{ref}",
		"POST " + repo + "/issues/{issue_number}/comments"} {
		t.Run(strings.ReplaceAll(route, "/", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, specFiles(t), nil)
			pr, sha := w.openWith("feature/stock", map[string]string{modelPath: model("stock")})
			w.wantSpecCheck(sha, "action_required")
			w.github.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, lost)))
			answer := w.answerTo(pr, "octo-dev", "/flaresmith spec apply")
			head := w.branch("feature/stock")
			if head == sha || !strings.Contains(answer, head) {
				t.Errorf("head %.7s after %.7s; answer: %s", head, sha, answer)
			}
			if parent := gitParent(t, w, head); parent != sha {
				t.Errorf("more than one commit")
			}
		})
	}
}

func TestSpecApplyWithoutPermission(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, specFiles(t), nil)
	pr, sha := w.openWith("feature/stock", map[string]string{modelPath: model("stock")})
	w.wantSpecCheck(sha, "action_required")
	if err := w.github.AcceptPermissions("acme", map[string]string{
		"metadata": "read", "contents": "read", "issues": "read", "checks": "write", "deployments": "write", "pull_requests": "write"}, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	if answer := w.answerTo(pr, "octo-dev", "/flaresmith spec apply"); !strings.Contains(answer, "Contents: read and write") {
		t.Errorf("answer: %s", answer)
	}
	body := `{"repository": "` + testRepo + `", "branch": "feature/stock", "headSha": "` + sha + `"}`
	answer := w.postSpec(w.github.UserToken("octo-dev"), body)
	w.wantSpecError(answer, http.StatusForbidden, "INTEGRATION_NOT_PERMITTED_GITHUB")
	if !strings.Contains(answer.text, "Contents: read and write") {
		t.Errorf("answer: %s", answer.text)
	}
	if dry := w.postSpec(w.github.UserToken("octo-dev"), strings.TrimSuffix(body, "}")+`, "dryRun": true}`); dry.Status != http.StatusOK || dry.Summary.Status != "drift" {
		t.Errorf("dry run: %s", dry.text)
	}
	if got := w.branch("feature/stock"); got != sha {
		t.Errorf("the branch moved")
	}
}

// A branch that goes on while the specs are applied keeps what it has.
func TestSpecApplyToAMovedHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, specFiles(t), nil)
	pr, sha := w.openWith("feature/stock", map[string]string{modelPath: model("stock")})
	w.wantSpecCheck(sha, "action_required")
	moved := make(chan string, 1)
	w.github.SetFaults(fault.Nth(1, 1, func(r *http.Request) *fault.Fault {
		if fault.RouteOf(r) != "PATCH /repos/{owner}/{repo}/git/refs/{ref}" {
			return nil
		}
		head, err := w.github.CommitAs("octo-dev", testRepo, "feature/stock", map[string]string{"README.md": "meanwhile"}, "meanwhile")
		if err != nil {
			t.Error(err)
		}
		moved <- head
		return nil
	}))
	answer := w.answerTo(pr, "octo-dev", "/flaresmith spec apply")
	if !strings.Contains(answer, "went on") {
		t.Errorf("answer: %s", answer)
	}
	if got, want := w.branch("feature/stock"), <-moved; got != want {
		t.Errorf("head %s, want %s", got, want)
	}
}

func gitShow(t testing.TB, dir, sha, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "show", sha+":"+path).Output()
	if err != nil {
		t.Fatalf("git show %s:%s: %v", sha, path, err)
	}
	return string(out)
}

func gitParent(t testing.TB, w *world, sha string) string {
	t.Helper()
	dir := t.TempDir() + "/clone"
	if err := w.github.Clone(t.Context(), testRepo, "octo-dev", dir); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", sha+"^").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
