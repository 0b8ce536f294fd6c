package server

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/racetest"
)

func TestPublicURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, url, address, want string }{
		{"given", "https://flaresmith.example", "127.0.0.1:8080", "https://flaresmith.example"},
		{"loopback", "", "127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"everywhere", "", "0.0.0.0:8080", "http://localhost:8080"},
		{"everywhere, version 6", "", "[::]:8080", "http://localhost:8080"},
		{"only a port", "", ":8080", "http://localhost:8080"},
	}
	for _, tt := range tests {
		if got := publicURL(config.Config{URL: tt.url}, tt.address); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestGitHubURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://api.github.com/":              "https://github.com",
		"https://github.example/api/v3/":       "https://github.example",
		"https://api.octo-org.github.example/": "https://octo-org.github.example",
		"http://127.0.0.1:4000/api/v3/":        "http://127.0.0.1:4000",
	}
	for api, want := range tests {
		if got := gitHubURL(api); got != want {
			t.Errorf("%s: %q, want %q", api, got, want)
		}
	}
}

// visitor opens addresses as a browser with those cookies does.
func visitor(t testing.TB, jar http.CookieJar) func(address string) (status int, body string) {
	client := &http.Client{Jar: jar, Timeout: patience}
	return func(address string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
}

// The check leads to the page, whose address carries no token; the operator's link opens it.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), map[string]string{"FLARESMITH_LINK_KEY": strings.Repeat("k", 40)})
	_, sha := w.open("feature/a")
	check := w.wantCheck(sha, "success")
	w.settle()
	details, err := url.Parse(check.DetailsURL)
	if err != nil || details.RawQuery != "" || !strings.HasPrefix(check.DetailsURL, w.server.URL()+"/projects/") {
		t.Fatalf("details %q: %v", check.DetailsURL, err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	open := visitor(t, jar)
	if status, _ := open(check.DetailsURL); status != http.StatusForbidden {
		t.Errorf("without a link the page answered %d", status)
	}
	c, err := config.Load(w.config)
	if err != nil {
		t.Fatal(err)
	}
	c.URL = w.server.URL() // the port was not known before
	link, err := Link(t.Context(), c, testRepo, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	status, body := open(link)
	if status != http.StatusOK || !strings.Contains(body, "Pull request #1") || !strings.Contains(body, sha[:7]) || !strings.Contains(body, "succeeded") ||
		!strings.Contains(body, "Answers") || !strings.Contains(body, "<code>feature/a</code>") || !strings.Contains(body, "Change feature/a</bdi>") {
		t.Errorf("the page answered %d: %s", status, body)
	}
	if err := w.github.EditTitle(testRepo, 1, "Called <b>otherwise</b>", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if status, body := open(check.DetailsURL); status != http.StatusOK || !strings.Contains(body, "Called &lt;b&gt;otherwise&lt;/b&gt;</bdi>") {
		t.Errorf("the check's link answered %d to somebody who was let in: %s", status, body)
	}
	once, err := w.server.OneTimeLink(t.Context(), testRepo, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusOK, http.StatusForbidden} {
		if status, _ := open(once); status != want {
			t.Errorf("use %d of the one-time link was answered %d, want %d", i+1, status, want)
		}
	}
	for name, project := range map[string]string{"unknown": "acme/nothing", "not a name": "shop"} {
		if link, err := Link(t.Context(), c, project, time.Hour); err == nil {
			t.Errorf("%s: %s", name, link)
		}
	}
	c.LinkKey = ""
	if _, err := Link(t.Context(), c, testRepo, time.Hour); err == nil || !strings.Contains(err.Error(), "FLARESMITH_LINK_KEY") {
		t.Errorf("without a key: %v", err)
	}
}

// From the check to the page, by signing in: the way of somebody who was given no link.
func TestSignInFromTheCheck(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	if err := w.github.SetPrivate(testRepo, true, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.github.AddUser("octo-stranger")
	_, sha := w.open("feature/a")
	details := w.wantCheck(sha, "success").DetailsURL
	w.settle()
	for login, want := range map[string]int{"octo-guest": http.StatusOK, "octo-dev": http.StatusOK, "octo-stranger": http.StatusForbidden} {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		open := visitor(t, jar)
		status, body := open(details)
		if status != http.StatusForbidden {
			t.Errorf("before the sign-in the page answered %d", status)
		}
		_, rest, _ := strings.Cut(body, `<a class="button" href="`)
		begin, _, _ := strings.Cut(rest, `"`)
		_, body = open(html.UnescapeString(begin))
		_, rest, _ = strings.Cut(body, `_avatar/`+login+`"> <a href="`)
		choice, _, _ := strings.Cut(rest, `"`)
		status, body = open(w.github.URL() + "/login/oauth/authorize" + html.UnescapeString(choice))
		if status != want || strings.Contains(body, "Pull request #1") != (want == http.StatusOK) {
			t.Errorf("%s sees %d: %s", login, status, body)
		}
		if status, _ := open(details); status != want {
			t.Errorf("later %s sees %d", login, status)
		}
	}
	w.valid()
}

// With real providers the page shows the Worker's log and hands out the collections, and the host
// name of a preview that is gone says so.
func TestStatusPageOfLocalProviders(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files["src/index.js"] = &fstest.MapFile{Data: []byte("export default { fetch() { console.log('asked <b>'); return new Response('one'); } };\n")}
	files["postman/shop.postman_collection.json"] = &fstest.MapFile{Data: []byte(`{"info": {"name": "Shop",
		"schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}, "item": []}`)}
	w, _ := newLocalWorld(t, files, `CREATE TABLE items (id int PRIMARY KEY)`)
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", map[string]string{"README.md": "one"}, "one")
	if err != nil {
		t.Fatal(err)
	}
	pr, err := w.github.OpenPR(testRepo, "Change", "feature/a", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
	if status, body := w.ask(name); status != http.StatusOK || body != "one" {
		t.Fatalf("the preview answers %d %q", status, body)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	open := visitor(t, jar)
	link, err := w.server.OneTimeLink(t.Context(), testRepo, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	open(link)
	page, _, _ := strings.Cut(link, "?")
	w.until("the page shows the log", func() bool {
		_, body := open(page)
		return strings.Contains(body, "asked &lt;b&gt;")
	})
	if status, body := open(page + "/" + name + "/files/shop.postman_collection.json"); status != http.StatusOK || !strings.Contains(body, `"Shop"`) {
		t.Errorf("the collection: %d %s", status, body)
	}
	if status, _ := open(page + "/" + name + "/files/mark.json"); status != http.StatusNotFound {
		t.Errorf("the mark: %d", status)
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if status, body := w.ask(name); status != http.StatusNotFound || !strings.Contains(body, "ENV_PREVIEW_CLOSED") {
		t.Errorf("after the close: %d %s", status, body)
	}
}

// What a Worker logs can't turn the page's text around, nor hide in it.
func TestVisible(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"plain\ttext, Grüße 👍🏽":   "plain\ttext, Grüße 👍🏽",
		"\x1b[31mred":             `\u{1b}[31mred`,
		"user\u202etxt.exe\u2066": `user\u{202e}txt.exe\u{2066}`,
	} {
		if got := visible(line); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
}
