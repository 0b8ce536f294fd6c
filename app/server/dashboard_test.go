package server

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
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

// The check leads to the page, whose address carries no token; the operator's link opens it.
func TestStatusPage(t *testing.T) {
	t.Parallel()
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
	client := &http.Client{Jar: jar, Timeout: patience}
	open := func(address string) (int, string) {
		t.Helper()
		response, err := client.Get(address) //nolint:noctx // bounded by the client
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
		!strings.Contains(body, "Answers") {
		t.Errorf("the page answered %d: %s", status, body)
	}
	if status, _ := open(check.DetailsURL); status != http.StatusOK {
		t.Errorf("the check's link answered %d to somebody who was let in", status)
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
