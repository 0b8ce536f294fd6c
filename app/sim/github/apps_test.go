package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"
	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

func TestJWT(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	b := setup(t, func(c *github.Config) { c.Clock = func() time.Time { return now } })
	key, err := jwt.ParseRSAPrivateKeyFromPEM(b.AppKeyPEM())
	check(t, err)
	sign := func(method jwt.SigningMethod, key any, issuer string, issued, expires time.Duration) string {
		text, err := jwt.NewWithClaims(method, jwt.RegisteredClaims{
			Issuer: issuer, IssuedAt: jwt.NewNumericDate(now.Add(issued)), ExpiresAt: jwt.NewNumericDate(now.Add(expires)),
		}).SignedString(key)
		check(t, err)
		return text
	}
	tests := []struct {
		name, token string
		want        int
	}{
		{"good", sign(jwt.SigningMethodRS256, key, "1", -30*time.Second, 9*time.Minute), 200},
		{"other app", sign(jwt.SigningMethodRS256, key, "2", 0, 9*time.Minute), 404},
		{"expired", sign(jwt.SigningMethodRS256, key, "1", -10*time.Minute, -time.Minute), 401},
		{"too long", sign(jwt.SigningMethodRS256, key, "1", 0, 20*time.Minute), 401},
		{"from the future", sign(jwt.SigningMethodRS256, key, "1", 5*time.Minute, 9*time.Minute), 401},
		{"shared secret", sign(jwt.SigningMethodHS256, []byte("x"), "1", 0, 9*time.Minute), 401},
		{"other method", sign(jwt.SigningMethodRS512, key, "1", 0, 9*time.Minute), 401},
		{"no signature", strings.TrimRight(sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "1", 0, 9*time.Minute), "."), 401},
		{"nothing", "", 401},
	}
	for _, test := range tests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.APIURL()+"/app", nil)
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+test.token)
		if got, body := fetch(t, req); got != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, got, body, test.want)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	other := must(t)(b.CreateRepo("acme", "other", sample(), github.RepoOptions{}))
	shop, _, err := b.client.Repositories.Get(ctx, "acme", "shop")
	check(t, err)
	if _, _, err := b.client.Repositories.Get(ctx, "acme", "other"); status(err) != http.StatusNotFound {
		t.Errorf("repository outside of the installation: %v", err)
	}
	check(t, b.AddRepos("acme", "other"))
	if _, _, err := b.client.Repositories.Get(ctx, "acme", "other"); err != nil {
		t.Error(err)
	}
	narrow := b.clientFor(b.installation, &gh.InstallationTokenOptions{
		RepositoryIDs: []int64{shop.GetID()}, Permissions: &gh.InstallationPermissions{Contents: gh.String("read")},
	})
	list, _, err := narrow.Apps.ListRepos(ctx, nil)
	check(t, err)
	if list.GetTotalCount() != 1 || list.Repositories[0].GetID() != shop.GetID() {
		t.Errorf("narrow token sees %v", list)
	}
	if _, _, err := narrow.Repositories.Get(ctx, "acme", "other"); status(err) != http.StatusNotFound {
		t.Errorf("narrow token reaches %d: %v", other, err)
	}
	number, sha := b.openPR("cart")
	if _, _, err := narrow.Checks.CreateCheckRun(ctx, "acme", "shop", gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha}); status(err) != http.StatusForbidden {
		t.Errorf("check run without the permission: %v", err)
	}
	if _, _, err := narrow.PullRequests.Get(ctx, "acme", "shop", number); status(err) != http.StatusForbidden {
		t.Errorf("pull request without the permission: %v", err)
	}
	app := b.appClient()
	for name, options := range map[string]*gh.InstallationTokenOptions{
		"permission that is not granted": {Permissions: &gh.InstallationPermissions{Administration: gh.String("write")}},
		"unknown repository":             {RepositoryIDs: []int64{1}},
	} {
		if _, _, err := app.Apps.CreateInstallationToken(ctx, b.installation, options); status(err) != http.StatusUnprocessableEntity {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := app.Apps.CreateInstallationToken(ctx, 1, nil); status(err) != http.StatusNotFound {
		t.Errorf("unknown installation: %v", err)
	}
	if _, _, err := app.Repositories.Get(ctx, "acme", "shop"); err == nil {
		t.Error("the App's own JWT read a repository")
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	start := time.Now()
	clock := make(chan time.Time, 1)
	clock <- start
	b := setup(t, func(c *github.Config) {
		c.Clock = func() time.Time {
			now := <-clock
			clock <- now
			return now
		}
	})
	token, _, err := b.appClient().Apps.CreateInstallationToken(t.Context(), b.installation, nil)
	check(t, err)
	client, err := gh.NewClient(nil).WithAuthToken(token.GetToken()).WithEnterpriseURLs(b.URL(), b.URL())
	check(t, err)
	_, _, err = client.Repositories.Get(t.Context(), "acme", "shop")
	check(t, err)
	<-clock
	clock <- start.Add(61 * time.Minute)
	if _, _, err := client.Repositories.Get(t.Context(), "acme", "shop"); status(err) != http.StatusUnauthorized {
		t.Errorf("after an hour: %v", err)
	}
}

func TestInstallations(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t, func(c *github.Config) { c.FirstID = 1 << 40 }), t.Context()
	if b.installation <= 1<<40 {
		t.Errorf("installation id %d", b.installation)
	}
	app := b.appClient()
	self, _, err := app.Apps.Get(ctx, "")
	check(t, err)
	in, _, err := app.Apps.FindRepositoryInstallation(ctx, "acme", "shop")
	check(t, err)
	again, _, err := app.Apps.GetInstallation(ctx, in.GetID())
	check(t, err)
	list, _, err := app.Apps.ListInstallations(ctx, nil)
	check(t, err)
	if self.GetSlug() != "flaresmith" || in.GetID() != b.installation || again.GetAccount().GetLogin() != "acme" || len(list) != 1 {
		t.Errorf("app %v, installation %v", self, in)
	}
	must(t)(b.CreateRepo("acme", "other", nil, github.RepoOptions{}))
	check(t, b.AddRepos("acme", "other"))
	check(t, b.RemoveRepos("acme", "other"))
	check(t, b.RenameAccount("acme", "apex"))
	repo, _, err := b.client.Repositories.Get(ctx, "acme", "shop")
	if err != nil || repo.GetFullName() != "apex/shop" {
		t.Errorf("after the rename: %v, %v", repo, err)
	}
	check(t, b.RenameAccount("apex", "acme"))
	check(t, b.Suspend("acme", "acme"))
	if _, _, err := b.client.Repositories.Get(ctx, "acme", "shop"); err == nil {
		t.Error("a suspended installation reads")
	}
	b.openPR("quiet") // nobody is told
	check(t, b.Unsuspend("acme", "acme"))
	check(t, b.AcceptPermissions("acme", map[string]string{"metadata": "read", "contents": "read"}, "acme"))
	check(t, b.Uninstall("acme", "acme"))
	if _, _, err := app.Apps.GetInstallation(ctx, in.GetID()); status(err) != http.StatusNotFound {
		t.Errorf("after uninstall: %v", err)
	}
	want := []string{
		"installation.created", "installation_repositories.added", "installation_repositories.removed", "installation_target.renamed",
		"installation_target.renamed", "installation.suspend", "installation.unsuspend", "installation.new_permissions_accepted", "installation.deleted",
	}
	if diff := cmp.Diff(want, b.events()); diff != "" {
		t.Error(diff)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.openPR("cart")
	b.Ping()
	seen := b.take()
	app := b.appClient()
	var all []*gh.HookDelivery
	for opts := (&gh.ListCursorOptions{PerPage: 2}); ; {
		page, resp, err := app.Apps.ListHookDeliveries(ctx, opts)
		check(t, err)
		if all = append(all, page...); resp.Cursor == "" {
			break
		}
		opts.Cursor = resp.Cursor
	}
	if len(all) != len(seen) {
		t.Fatalf("%d in the list, %d received", len(all), len(seen))
	}
	oldest := all[len(all)-1]
	if oldest.GetEvent() != "installation" || oldest.GetStatusCode() != 200 || oldest.GetGUID() != seen[0].guid {
		t.Errorf("oldest: %v", oldest)
	}
	one, _, err := app.Apps.GetHookDelivery(ctx, oldest.GetID())
	check(t, err)
	if got := string(one.GetRequest().GetRawPayload()); got != string(seen[0].raw) {
		t.Errorf("payload %s", got)
	}
	_, _, err = app.Apps.RedeliverHookDelivery(ctx, oldest.GetID())
	if err != nil && !strings.Contains(err.Error(), "scheduled") { // go-github makes an error of 202
		t.Fatal(err)
	}
	again := b.take()
	if len(again) != 1 || again[0].guid != seen[0].guid || string(again[0].raw) != string(seen[0].raw) {
		t.Errorf("redelivered %v", again)
	}
	check(t, b.Redeliver(seen[1].guid))
	if got := b.take(); len(got) != 1 || got[0].guid != seen[1].guid {
		t.Errorf("redelivered %v", got)
	}
}

// The list is GitHub's: newest first, every attempt for itself, three days long, in pages by a cursor.
func TestDeliveryList(t *testing.T) {
	t.Parallel()
	var ago atomic.Int64
	b := setup(t, func(c *github.Config) {
		c.Clock = func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }
	})
	ctx, app := t.Context(), b.appClient()
	b.take()
	ago.Store(int64(73 * time.Hour))
	b.Ping()
	b.take()
	forgotten := b.Deliveries()[0]
	ago.Store(0)
	b.Ping()
	b.take()
	list := func(status string, opts gh.ListCursorOptions) (ids []int64, resp *gh.Response) {
		t.Helper()
		address := fmt.Sprintf("app/hook/deliveries?per_page=%d&cursor=%s", opts.PerPage, opts.Cursor)
		request, err := app.NewRequest(http.MethodGet, address+"&status="+status, nil)
		check(t, err)
		var page []*gh.HookDelivery
		resp, err = app.Do(ctx, request, &page)
		check(t, err)
		for _, d := range page {
			ids = append(ids, d.GetID())
		}
		return ids, resp
	}
	b.SetWebhook(github.Webhook{URL: "http://127.0.0.1:1/", Secret: "x"})
	b.Ping()
	check(t, b.Flush(ctx))
	failed := b.Deliveries()[0]
	check(t, b.Redeliver(failed.GUID))
	check(t, b.Redeliver(failed.GUID))
	check(t, b.Flush(ctx))
	attempts := b.Deliveries()[:3]
	for i, d := range attempts {
		if d.GUID != failed.GUID || d.Redelivery != (i < 2) || d.Status != "failed to connect" {
			t.Errorf("attempt %d: %+v", i, d)
		}
	}
	want := []int64{attempts[0].ID, attempts[1].ID, attempts[2].ID}
	got, _ := list("failure", gh.ListCursorOptions{PerPage: 100})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if got, _ = list("success", gh.ListCursorOptions{PerPage: 100}); slices.Contains(got, failed.ID) || slices.Contains(got, forgotten.ID) || len(got) == 0 {
		t.Errorf("successes: %v", got)
	}
	first, resp := list("failure", gh.ListCursorOptions{PerPage: 2})
	b.Ping() // does not move the next page
	check(t, b.Flush(ctx))
	second, last := list("failure", gh.ListCursorOptions{PerPage: 2, Cursor: resp.Cursor})
	if diff := cmp.Diff(want, append(first, second...)); diff != "" || last.Cursor != "" {
		t.Errorf("pages, then %q (-want +got):\n%s", last.Cursor, diff)
	}
	_, _, err := app.Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{Cursor: "17"})
	if refused := new(gh.ErrorResponse); !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusBadRequest {
		t.Errorf("a cursor of our own: %v", err)
	}

	_, _, err = app.Apps.GetHookDelivery(ctx, forgotten.ID)
	if refused := new(gh.ErrorResponse); !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusNotFound {
		t.Errorf("after three days: %v", err)
	}
}

func TestDeliveryFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.take()
	b.SetWebhook(github.Webhook{URL: "http://127.0.0.1:1/", Secret: "x"})
	b.Ping()
	check(t, b.Flush(context.Background()))
	first := b.Deliveries()[0]
	if first.StatusCode != 0 || first.Status == "OK" || first.DeliveredAt.IsZero() {
		t.Errorf("delivery to nobody: %+v", first)
	}
	b.PauseDeliveries(true)
	b.Ping()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Flush(ctx); err == nil {
		t.Error("a held delivery counts as done")
	}
	b.PauseDeliveries(false)
	check(t, b.Flush(context.Background()))
}
