package github_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	gh "github.com/google/go-github/v62/github"
)

func fetch(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(body)
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	check(t, err)
	return fetch(t, req)
}

func TestPage(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, sha := b.openPR("cart")
	run, _, err := b.client.Checks.CreateCheckRun(ctx, "acme", "shop", gh.CreateCheckRunOptions{
		Name: "Flaresmith / Preview", HeadSHA: sha, Conclusion: gh.String("failure"), Status: gh.String("completed"),
		Output: &gh.CheckRunOutput{Title: gh.String("Does not compile"), Summary: gh.String("| a | b |\n|---|---|\n| 1 | 2 |"), Annotations: []*gh.CheckRunAnnotation{
			{Path: gh.String("src/cart.ts"), StartLine: gh.Int(3), EndLine: gh.Int(3), AnnotationLevel: gh.String("failure"), Message: gh.String("expected ;")},
		}},
		Actions: []*gh.CheckRunAction{{Label: "Rebuild", Description: "From the parent", Identifier: "rebuild"}},
	})
	check(t, err)
	_, _, err = b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String(
		"<!-- marker -->\n### Preview\n\n<details><summary>Schema</summary>\n\n```sql\nselect 1;\n```\n\n</details>\n\n<sub>x</sub> <script>alert(1)</script><img src=x onerror=alert(2)> [bad](javascript:alert(3))\n\n> [!WARNING]\n> behind")})
	check(t, err)
	page := b.URL() + "/acme/shop/pull/1"
	status, html := get(t, page)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		"<details><summary>Schema</summary>", `<code class="language-sql">`, "<sub>x</sub>", "<td>1</td>", "src/cart.ts:3", "expected ;", ">Rebuild</button>",
		`<blockquote class="alert warning">`, "Does not compile", "Add cart",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "onerror", "javascript:", "marker"} {
		if strings.Contains(html, bad) {
			t.Errorf("page has %q", bad)
		}
	}
	for _, path := range []string{"/", "/_deliveries", "/acme/shop", "/acme/shop/commit/" + sha, "/_assets/page.css", "/_avatar/octo-dev.svg", strings.TrimPrefix(run.GetHTMLURL(), b.URL())} {
		if status, _ := get(t, b.URL()+path); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	b.take()
	if _, list := get(t, b.URL()+"/_deliveries"); !strings.Contains(list, "pull_request.opened") {
		t.Errorf("deliveries page lacks the event: %s", list)
	}
	if status, _ := get(t, b.URL()+"/acme/shop/pull/99"); status != http.StatusNotFound {
		t.Errorf("unknown pull request: %d", status)
	}
}

func TestPageForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPR("cart")
	post := func(action string, form url.Values, header http.Header) int {
		form.Set("user", "octo-dev")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL()+"/acme/shop/pull/1/"+action, strings.NewReader(form.Encode()))
		check(t, err)
		req.Header = header
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if host := header.Get("X-Host"); host != "" {
			req.Host = host
		}
		status, _ := fetch(t, req)
		return status
	}
	b.take()
	for name, header := range map[string]http.Header{
		"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "other origin": {"Origin": {"http://evil.localhost"}}, "other host": {"X-Host": {"evil.example"}},
	} {
		if got := post("comment", url.Values{"body": {"x"}}, header); got < 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := b.events(); len(got) != 0 {
		t.Errorf("refused forms did something: %v", got)
	}
	own := func() http.Header { return http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {b.URL()}} }
	for _, step := range []struct {
		action string
		want   int
	}{{"comment", 200}, {"close", 200}, {"close", 409}, {"reopen", 200}, {"merge", 200}, {"nothing", 404}} {
		if got := post(step.action, url.Values{"body": {"hello"}}, own()); got != step.want {
			t.Errorf("%s: %d, want %d", step.action, got, step.want)
		}
	}
	got := strings.Join(b.events("issue_comment", "pull_request"), " ")
	if want := "issue_comment.created pull_request.closed pull_request.reopened pull_request.closed"; got != want {
		t.Errorf("events %s", got)
	}
}
