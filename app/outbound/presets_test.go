package outbound

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGitHubRequests(t *testing.T) {
	t.Parallel()
	type facts struct {
		Operation       string
		Points, Content int
		Safe            bool
	}
	const api = "https://api.github.com"
	tests := []struct {
		name, method, url string
		want              facts
	}{
		{"a read", "GET", api + "/repos/acme/shop/pulls/7", facts{"GET pulls", 1, 0, true}},
		{"the last own word", "GET", api + "/repos/acme/shop/issues/7/comments?page=2", facts{"GET comments", 1, 0, true}},
		{"a creation", "POST", api + "/repos/acme/shop/issues/7/comments", facts{"POST comments", 5, 1, false}},
		{"an update", "PATCH", api + "/repos/acme/shop/check-runs/7", facts{"PATCH check-runs", 5, 0, false}},
		{"a token", "POST", api + "/app/installations/1/access_tokens", facts{"POST access_tokens", 5, 0, true}},
		{"a sign-in", "POST", "https://github.com/login/oauth/access_token", facts{"POST sign-in", 5, 0, false}},
		{"Enterprise", "POST", "https://git.example/api/v3/app/installations/1/access_tokens", facts{"POST access_tokens", 5, 0, true}},
		{"a repository with a telling name", "POST", api + "/repos/acme/access_tokens/deployments", facts{"POST deployments", 5, 1, false}},
		{"an unknown path", "GET", api + "/repos/acme/shop", facts{"GET other", 1, 0, true}},
		{"an unknown method", "BREW", api + "/secret", facts{"other other", 5, 0, false}},
		{"an archive", "GET", "https://codeload.github.com/acme/shop/legacy.tar.gz/abc?token=hush", facts{"GET archive", 0, 0, true}},
	}
	p := GitHub().withDefaults()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := facts{p.Operation(r), p.Budgets[0].Cost(r), p.Budgets[1].Cost(r), p.Retry.Safe(r)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
