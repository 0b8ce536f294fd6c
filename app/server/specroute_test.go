package server

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// specAnswer is what POST /specs/apply answers, whatever it is.
type specAnswer struct {
	Status       int
	ChangedFiles []struct{ Path, ChangeType string }
	Summary      struct{ Status string }
	AppliedAt    *time.Time
	HeadSHA      string
	Commit       string
	Error        struct {
		Code, Message, RetryPolicy, RequestID string
		Details                               struct {
			Report struct {
				Conflicts []struct{ Path, Reason string }
			}
			Problems []struct{ Message string }
		}
	}
	text   string
	header http.Header
}

func (w *world) postSpec(token, body string, headers ...string) specAnswer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL()+"/specs/apply", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := specAnswer{Status: response.StatusCode, text: string(text), header: response.Header}
	if err := json.Unmarshal(text, &a); err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return a
}

func (w *world) wantSpecError(a specAnswer, status int, code string) {
	w.t.Helper()
	if a.Status != status || a.Error.Code != code || a.Error.Message == "" || a.Error.RequestID == "" {
		w.t.Errorf("answer %d %s, want %d %s: %s", a.Status, a.Error.Code, status, code, a.text)
	}
}

func TestPostSpecsApply(t *testing.T) {
	t.Parallel()
	files := specFiles(t)
	w := newWorld(t, files, nil)
	sha, err := w.github.CommitAs("octo-dev", testRepo, "stock", map[string]string{modelPath: model("stock")}, "stock")
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	dev, guest := w.github.UserToken("octo-dev"), w.github.UserToken("octo-guest")
	w.github.AddUser("octo-stranger")
	order := func(branch, sha, more string) string {
		return `{"repository": "` + testRepo + `", "branch": "` + branch + `", "headSha": "` + sha + `"` + more + `}`
	}
	apply := order("stock", sha, "")

	w.wantSpecError(w.postSpec("", apply), 401, "AUTH_REQUIRED")
	w.wantSpecError(w.postSpec("ghu_of_another_app", apply), 401, "AUTH_REQUIRED")
	w.wantSpecError(w.postSpec(strings.Repeat("x", 9000), apply), 401, "AUTH_REQUIRED")
	w.wantSpecError(w.postSpec(dev, apply, "Sec-Fetch-Site", "cross-site"), 403, "AUTH_CROSS_ORIGIN")
	w.wantSpecError(w.postSpec(dev, apply, "Content-Type", "text/plain"), 415, "SPEC_REQUEST_MEDIA_TYPE")
	w.wantSpecError(w.postSpec(dev, `{"branch": 1}`), 400, "SPEC_REQUEST_INVALID")
	w.wantSpecError(w.postSpec(dev, order("stock", sha, `, "force": true`)), 400, "SPEC_REQUEST_INVALID")
	w.wantSpecError(w.postSpec(dev, order("stock", "abc", "")), 400, "SPEC_REQUEST_INVALID")
	w.wantSpecError(w.postSpec(dev, order("stock", "", "")), 400, "SPEC_REQUEST_INVALID")
	w.wantSpecError(w.postSpec(dev, order(strings.Repeat("b", 20_000), sha, "")), 413, "SPEC_REQUEST_TOO_LARGE")
	w.wantSpecError(w.postSpec(dev, strings.Replace(apply, testRepo, "acme/other", 1)), 404, "SPEC_PROJECT_NOT_FOUND")
	w.wantSpecError(w.postSpec(guest, apply), 403, "AUTH_ROLE_TOO_LOW")
	w.wantSpecError(w.postSpec(dev, order("nothing", sha, "")), 404, "SPEC_BRANCH_NOT_FOUND")
	w.wantSpecError(w.postSpec(dev, order("main", w.branch("main"), "")), 422, "SPEC_DEFAULT_BRANCH")
	w.wantSpecError(w.postSpec(dev, order("stock", w.branch("main"), "")), 409, "SPEC_HEAD_MOVED")
	if w.branch("stock") != sha {
		t.Fatal("the branch moved")
	}

	dry := w.postSpec(dev, order("stock", sha, `, "dryRun": true`))
	if dry.Status != 200 || dry.Summary.Status != "drift" || len(dry.ChangedFiles) == 0 || dry.AppliedAt != nil || dry.HeadSHA != sha || dry.Commit != "" || w.branch("stock") != sha {
		t.Errorf("dry run: %s", dry.text)
	}

	// The answer that branch moved gets lost twice: between GitHub and us, and between us and who asks.
	w.github.SetFaults(fault.Nth(1, 1, fault.OnRoute("PATCH /repos/{owner}/{repo}/git/refs/{ref}", fault.Fault{Drop: true, After: true})))
	first := w.postSpec(dev, apply)
	again := w.postSpec(dev, apply)
	head := w.branch("stock")
	for _, a := range []specAnswer{first, again} {
		if a.Status != 200 || a.Commit != head || a.AppliedAt == nil || a.Summary.Status != "clean" {
			t.Errorf("answer %s; the branch is at %s", a.text, head)
		}
	}
	if parent := gitParent(t, w, head); parent != sha {
		t.Errorf("parent %s, want %s", parent, sha)
	}
	var audited int
	if err := w.server.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE operation = 'spec.apply' AND actor = 'octo-dev'`).Scan(&audited); err != nil || audited == 0 {
		t.Errorf("%d audit entries, %v", audited, err)
	}

	byHand := strings.Replace(string(files[schemaPath].Data), "export", "// mine\nexport", 1)
	if sha, err = w.github.CommitAs("octo-dev", testRepo, "hand", map[string]string{modelPath: model("stock"), schemaPath: byHand}, "by hand"); err != nil {
		t.Fatal(err)
	}
	conflict := w.postSpec(dev, order("hand", sha, ""))
	w.wantSpecError(conflict, 409, "SPEC_DRIFT_CONFLICT")
	if c := conflict.Error.Details.Report.Conflicts; len(c) != 1 || c[0].Path != schemaPath || c[0].Reason != "MANUAL_DIVERGENCE" {
		t.Errorf("conflicts: %s", conflict.text)
	}
	if dry := w.postSpec(dev, order("hand", sha, `, "dryRun": true`)); dry.Status != 200 || dry.Summary.Status != "conflicts" {
		t.Errorf("dry run: %s", dry.text)
	}
	if sha, err = w.github.CommitAs("octo-dev", testRepo, "broken", map[string]string{"specs/001-shop/contracts/openapi.yaml": strings.Replace(contract, "#/components/schemas/Product", "https://example.com/x.yaml", 1)}, "broken"); err != nil {
		t.Fatal(err)
	}
	broken := w.postSpec(dev, order("broken", sha, ""))
	w.wantSpecError(broken, 422, "SPEC_INVALID")
	if len(broken.Error.Details.Problems) == 0 {
		t.Errorf("no problems: %s", broken.text)
	}
	text := w.scrape()
	for attempt, n := range map[string]int{"applied": 1, "conflicts": 1, "invalid": 1, "moved": 0} {
		if want := fmt.Sprintf(`(?m)^spec_apply_duration_seconds_count\{outcome="%s"\} %d$`, attempt, n); !regexp.MustCompile(want).Match(text) {
			t.Errorf("no line %s", want)
		}
	}
	for _, token := range []string{dev, guest} {
		if strings.Contains(w.log.String(), token) {
			t.Error("the log has somebody's token")
		}
	}
	if v := w.github.Violations(); len(v) > 0 {
		t.Errorf("GitHub would not take it: %v", v)
	}
}

// A session's cookie does as well as a token, and rights end when they are taken.
func TestPostSpecsApplySignedIn(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, specFiles(t), nil)
	sha, err := w.github.CommitAs("octo-dev", testRepo, "stock", map[string]string{modelPath: model("stock")}, "stock")
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	body := `{"repository": "` + testRepo + `", "branch": "stock", "headSha": "` + sha + `"}`
	cookie := sessionOf(t, w, "octo-dev")
	if err := w.github.SetRole(testRepo, "octo-dev", "triage"); err != nil {
		t.Fatal(err)
	}
	w.wantSpecError(w.postSpec("", body, "Cookie", cookie), 403, "AUTH_ROLE_TOO_LOW")
	if err := w.github.SetRole(testRepo, "octo-dev", "write"); err != nil {
		t.Fatal(err)
	}
	w.wantSpecError(w.postSpec("", body, "Cookie", cookie, "Origin", "https://evil.example"), 403, "AUTH_CROSS_ORIGIN")
	if got := w.postSpec("", body, "Cookie", cookie); got.Status != 200 || got.Commit != w.branch("stock") {
		t.Errorf("answer: %s", got.text)
	}
}

// Somebody who asks all the time is told when to come back, and others are answered meanwhile.
func TestPostSpecsApplyTooOften(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	w.settle()
	cookie := sessionOf(t, w, "octo-dev")
	asked := 0
	var got specAnswer
	for got.Status != http.StatusTooManyRequests && asked < 500 {
		got = w.postSpec("", `{}`, "Cookie", cookie)
		asked++
	}
	w.wantSpecError(got, http.StatusTooManyRequests, "RATE_LIMIT_USER")
	if asked <= specAtOnce {
		t.Errorf("refused after %d", asked)
	}
	if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 5 {
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	w.wantSpecError(w.postSpec(w.github.UserToken("octo-guest"), `{}`), http.StatusBadRequest, "SPEC_REQUEST_INVALID")
}

// sessionOf signs a person in, as a browser does from a status page, and gives the cookies.
func sessionOf(t *testing.T, w *world, login string) string {
	t.Helper()
	project, err := w.server.store.ProjectByFullName(t.Context(), "acme", "shop")
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	open := visitor(t, jar)
	_, body := open(w.server.links.Page(project.ID))
	_, rest, _ := strings.Cut(body, `<a class="button" href="`)
	begin, _, _ := strings.Cut(rest, `"`)
	_, body = open(html.UnescapeString(begin))
	_, rest, _ = strings.Cut(body, `_avatar/`+login+`"> <a href="`)
	choice, _, _ := strings.Cut(rest, `"`)
	open(w.github.URL() + "/login/oauth/authorize" + html.UnescapeString(choice))
	address, err := url.Parse(w.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, c := range jar.Cookies(address) {
		cookies = append(cookies, c.String())
	}
	if len(cookies) == 0 {
		t.Fatal("no session")
	}
	return strings.Join(cookies, "; ")
}
