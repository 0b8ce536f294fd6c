package github_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/github"
)

// bench is a stand-in GitHub with the repository acme/shop, one open pull request, and an App.
type bench struct {
	*testing.T
	sim     *sim.Server
	app     *github.App
	project preview.Project
	pr      int
	sha     string
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t}
	var err error
	b.sim, err = sim.New(sim.Config{Dir: t.TempDir(), Validate: true})
	b.check(err)
	server := httptest.NewServer(b.sim)
	b.sim.SetURL(server.URL)
	t.Cleanup(func() {
		for _, v := range b.sim.Violations() {
			t.Errorf("not as GitHub describes it: %+v", v)
		}
		server.Close()
		b.check(b.sim.Close())
	})
	content := fstest.MapFS{"README.md": {Data: []byte("shop\n")}, "src/index.ts": {Data: []byte("export default {}\n")}}
	repoID, err := b.sim.CreateRepo("acme", "shop", content, sim.RepoOptions{Private: true})
	b.check(err)
	installation, err := b.sim.Install("acme")
	b.check(err)
	b.app, err = github.New(github.Config{AppID: 1, PrivateKey: preview.Secret(b.sim.AppKeyPEM()), APIURL: b.sim.APIURL()})
	b.check(err)
	b.project = preview.Project{ID: "p", InstallationID: installation, RepoID: repoID, Owner: "acme", Name: "shop", DefaultBranch: "main"}
	b.sha, err = b.sim.Commit("acme/shop", "cart", map[string]string{"src/cart.ts": "export {}\n"}, "cart")
	b.check(err)
	b.pr, err = b.sim.OpenPR("acme/shop", "Cart", "cart", "main", "octo-dev")
	b.check(err)
	b.sim.ResetRequests()
	return b
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// writes counts the requests that changed something, by operation, and forgets all requests.
func (b *bench) writes() map[string]int {
	counts := map[string]int{}
	for _, r := range b.sim.Writes() {
		counts[r.Route]++
	}
	b.sim.ResetRequests()
	return counts
}

const repo = "/repos/{owner}/{repo}"

// rendering is a report of a given phase, at a commit.
func (b *bench) rendering(phase report.Phase, sha string, problems ...preview.Problem) report.Rendering {
	return report.Render(report.Status{
		Phase: phase, Project: b.project, PullRequest: preview.PullRequest{Number: b.pr, HeadSHA: sha}, Problems: problems,
		Environment: preview.Environment{ID: "env-1", Kind: preview.EnvironmentPreview, Name: "preview-abcdefgh-pr-1"},
		Outputs:     preview.Outputs{URL: "http://preview-abcdefgh-pr-1.localhost"},
		Steps:       []report.Step{{Name: "database", Op: "create", OK: true, Duration: time.Second}},
	})
}

func (b *bench) publish(prev report.Published, r report.Rendering) report.Published {
	b.Helper()
	published, err := b.app.Publish(b.Context(), b.project, preview.PullRequest{Number: b.pr}, prev, r)
	b.check(err)
	return published
}

func TestFacts(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	pr, err := b.app.PullRequest(ctx, b.project, b.pr)
	b.check(err)
	base, err := b.app.BranchHead(ctx, b.project, "main")
	b.check(err)
	want := preview.PullRequest{Number: b.pr, Open: true, Title: "Cart", Author: "octo-dev", HeadSHA: b.sha, HeadRef: "cart",
		BaseRef: "main", BaseSHA: base, Labels: []string{}, URL: pr.URL}
	if diff := cmp.Diff(want, pr); diff != "" {
		t.Error(diff)
	}
	files, err := b.app.ChangedFiles(ctx, b.project, b.pr)
	b.check(err)
	if diff := cmp.Diff([]string{"src/cart.ts"}, files); diff != "" {
		t.Error(diff)
	}
	if _, err := b.app.PullRequest(ctx, b.project, 999); !errors.Is(err, preview.ErrNotFound) || errors.Is(err, preview.ErrGone) {
		t.Errorf("missing pull request: %v", err)
	}
	if _, err := b.app.BranchHead(ctx, b.project, "nope/at/all"); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("missing branch: %v", err)
	}
	if _, err := b.app.Head(ctx, b.project, "nope/at/all"); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("head of a missing branch: %v", err)
	}
	if parent, err := b.app.Parent(ctx, b.project, b.sha); err != nil || parent != base {
		t.Errorf("parent %s, %v; want %s", parent, err, base)
	}
	if _, err := b.app.Parent(ctx, b.project, base); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("parent of the first commit: %v", err)
	}
	if got := b.sim.Counts()["POST /app/installations/{installation_id}/access_tokens"]; got != 1 {
		t.Errorf("%d tokens for one scope, want 1", got)
	}
	if got := b.writes(); len(got) != 0 {
		t.Errorf("reading wrote %v", got)
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fork, err := b.sim.Fork("acme/shop", "stranger")
	b.check(err)
	_, err = b.sim.CommitAs("stranger", fork, "evil", map[string]string{"x": "y"}, "x")
	b.check(err)
	number, err := b.sim.OpenPR("acme/shop", "From a fork", "stranger:evil", "main", "stranger")
	b.check(err)
	pr, err := b.app.PullRequest(t.Context(), b.project, number)
	b.check(err)
	if !pr.Fork {
		t.Error("a fork's head is not told from the repository's own")
	}
}

func TestRenameIsFollowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.check(b.sim.Rename("acme/shop", "acme/store", "octo-dev"))
	current, state, err := b.app.Repository(t.Context(), b.project)
	b.check(err)
	want := b.project
	want.Name = "store"
	if diff := cmp.Diff(want, current); diff != "" || state != (preview.RepositoryState{}) {
		t.Error(diff, state)
	}
	if _, err := b.app.PullRequest(t.Context(), b.project, b.pr); err != nil {
		t.Errorf("under the old name: %v", err)
	}
	published := b.publish(report.Published{}, b.rendering(report.PhaseReady, b.sha)) // still under the old name
	if published.CommentID == 0 || published.CheckRunID == 0 || published.DeploymentID == 0 {
		t.Errorf("%+v", published)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	data, err := b.app.File(ctx, b.project, b.sha, "src/cart.ts")
	b.check(err)
	if string(data) != "export {}\n" {
		t.Errorf("%q", data)
	}
	for _, path := range []string{"nope", "src", "../x", "/etc/passwd", ""} {
		if _, err := b.app.File(ctx, b.project, b.sha, path); !errors.Is(err, preview.ErrNotFound) {
			t.Errorf("%q: %v", path, err)
		}
	}
	large, err := b.sim.Commit("acme/shop", "large", map[string]string{"big": strings.Repeat("x", 1<<20+1)}, "big")
	b.check(err)
	if _, err := b.app.File(ctx, b.project, large, "big"); preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("a large file: %v", err)
	}
}

func TestConfigFile(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	if _, found, err := b.app.ConfigFile(ctx, b.project, "main"); found || err != nil {
		t.Errorf("without any file: %t, %v", found, err)
	}
	_, err := b.sim.CreateRepo("acme", ".github", fstest.MapFS{"flaresmith.yml": {Data: []byte("preview: {ttl: 24h}\n")}}, sim.RepoOptions{Private: true})
	b.check(err)
	data, found, err := b.app.ConfigFile(ctx, b.project, "main")
	b.check(err)
	if !found || string(data) != "preview: {ttl: 24h}\n" {
		t.Errorf("the organisation's default: %t %q", found, data)
	}
	_, err = b.sim.Commit("acme/shop", "main", map[string]string{".github/flaresmith.yml": "remote: evil/repo\n"}, "config")
	b.check(err)
	data, found, err = b.app.ConfigFile(ctx, b.project, "main")
	b.check(err)
	if !found || string(data) != "remote: evil/repo\n" { // not followed
		t.Errorf("the repository's own: %t %q", found, data)
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body, err := b.app.Archive(t.Context(), b.project, b.sha)
	b.check(err)
	unzip, err := gzip.NewReader(body)
	b.check(err)
	var names []string
	for files := tar.NewReader(unzip); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		b.check(err)
		if _, name, ok := strings.Cut(header.Name, "/"); ok && name != "" && !strings.HasSuffix(name, "/") {
			names = append(names, name)
		}
	}
	b.check(body.Close())
	slices.Sort(names)
	if diff := cmp.Diff([]string{"README.md", "src/cart.ts", "src/index.ts"}, names); diff != "" {
		t.Error(diff)
	}
	if _, err := b.app.Archive(t.Context(), b.project, strings.Repeat("0", 40)); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("missing commit: %v", err)
	}
	if _, err := b.app.Archive(t.Context(), b.project, "main"); err == nil {
		t.Error("a branch is taken for a commit")
	}
}

func TestRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for role, want := range map[string]preview.Role{"admin": preview.RoleOwner, "maintain": preview.RoleMaintainer,
		"write": preview.RoleContributor, "triage": preview.RoleViewer, "read": preview.RoleViewer} {
		login := "octo-" + role
		b.sim.AddUser(login)
		b.check(b.sim.SetRole("acme/shop", login, role))
		got, err := b.app.Role(t.Context(), b.project, login)
		b.check(err)
		if got != want {
			t.Errorf("%s: %s, want %s", role, got, want)
		}
	}
	for _, login := range []string{"nobody-here", "a/b", "", "x?y"} {
		if got, err := b.app.Role(t.Context(), b.project, login); err != nil || got != preview.RoleNone {
			t.Errorf("%q: %s, %v", login, got, err)
		}
	}
}

func TestReplyAndReact(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	asked, err := b.sim.Comment("acme/shop", b.pr, "octo-dev", "/flaresmith help")
	b.check(err)
	command := preview.Command{Key: fmt.Sprintf("comment:%d", asked), Verb: preview.VerbHelp, CommentID: asked}
	body := report.CommandReply(report.Answer{Kind: report.AnswerHelp, Command: command})
	var ids []int64
	for range 2 {
		id, err := b.app.Reply(ctx, b.project, b.pr, report.CommandMarker(command), body)
		b.check(err)
		ids = append(ids, id)
		b.check(b.app.React(ctx, b.project, asked, "eyes"))
	}
	if ids[0] != ids[1] || ids[0] == 0 {
		t.Errorf("replies %v", ids)
	}
	comments, err := b.sim.Comments("acme/shop", b.pr)
	b.check(err)
	if len(comments) != 2 || len(comments[0].Reactions) != 1 || comments[1].Edits != 0 {
		t.Errorf("%+v", comments)
	}
	review, lines, err := b.sim.Review("acme/shop", b.pr, "octo-stranger", "nice", sim.LineComment{Path: "src/cart.ts", Line: 1, Body: "why?"})
	b.check(err)
	all, whole, err := b.app.Comments(ctx, b.project, b.pr)
	b.check(err)
	if diff := cmp.Diff([]preview.Comment{
		{What: "comment", ID: asked, Author: "octo-dev", Body: "/flaresmith help"},
		{What: "comment", ID: ids[0], Author: b.sim.BotLogin(), Body: comments[1].Body},
		{What: "review", ID: review, Author: "octo-stranger", Body: "nice"},
		{What: "review comment", ID: lines[0], Author: "octo-stranger", Body: "why?"},
	}, all); diff != "" || !whole {
		t.Errorf("whole %v (-want +got):\n%s", whole, diff)
	}
	b.check(b.app.React(ctx, b.project, 424242, "eyes")) // gone meanwhile
	if err := b.app.React(ctx, b.project, asked, "shrug"); err == nil {
		t.Error("an unknown reaction is sent")
	}
}

func TestAnswerCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		b.check(b.app.AnswerCheck(t.Context(), b.project, b.sha, report.MergeGroupCheck(b.sha)))
	}
	if diff := cmp.Diff(map[string]int{"POST " + repo + "/check-runs": 1}, b.writes()); diff != "" {
		t.Error(diff)
	}
	runs, err := b.sim.CheckRuns("acme/shop", b.sha)
	b.check(err)
	if len(runs) != 1 || runs[0].Conclusion != "neutral" {
		t.Errorf("%+v", runs)
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	t.Run("uninstalled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.check(b.sim.Uninstall("acme", "octo-dev"))
		if _, err := b.app.PullRequest(t.Context(), b.project, b.pr); !errors.Is(err, preview.ErrGone) {
			t.Error(err)
		}
		published, err := b.app.Publish(t.Context(), b.project, preview.PullRequest{Number: b.pr}, report.Published{}, b.rendering(report.PhaseReady, b.sha))
		if !errors.Is(err, preview.ErrGone) || published.CheckRunID != 0 {
			t.Error(err, published)
		}
	})
	t.Run("repository deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.check(b.sim.DeleteRepo("acme/shop", "octo-dev"))
		if _, err := b.app.PullRequest(t.Context(), b.project, b.pr); !errors.Is(err, preview.ErrGone) {
			t.Error(err)
		}
	})
	t.Run("suspended is not gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.check(b.sim.Suspend("acme", "octo-dev"))
		_, err := b.app.PullRequest(t.Context(), b.project, b.pr)
		if err == nil || errors.Is(err, preview.ErrGone) || preview.Classify(err) != preview.ClassPermanent {
			t.Error(err)
		}
	})
	t.Run("permission not granted is not gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.check(b.sim.AcceptPermissions("acme", map[string]string{"metadata": "read"}, "octo-dev"))
		_, err := b.app.PullRequest(t.Context(), b.project, b.pr)
		if err == nil || errors.Is(err, preview.ErrGone) || !strings.Contains(err.Error(), "permissions requested are not granted") {
			t.Error(err)
		}
	})
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	for range 100 {
		b.sim.Ping()
	}
	b.check(b.sim.Flush(ctx))
	tried := b.sim.Deliveries()
	page, next, err := b.app.Deliveries(ctx, "")
	b.check(err)
	if len(page) != 100 || next == "" {
		t.Fatalf("a page of %d, then %q", len(page), next)
	}
	rest, end, err := b.app.Deliveries(ctx, next)
	b.check(err)
	if len(page)+len(rest) != len(tried) || end != "" {
		t.Errorf("%d and %d attempts of %d, then %q", len(page), len(rest), len(tried), end)
	}
	last, oldest := rest[len(rest)-1], tried[len(tried)-1]
	want := preview.Attempt{ID: oldest.ID, GUID: oldest.GUID, Event: oldest.Event, At: oldest.DeliveredAt}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
	payload, err := b.app.DeliveryPayload(ctx, last.ID)
	if err != nil || string(payload) != string(oldest.Payload) {
		t.Errorf("payload %s, %v", payload, err)
	}
	if _, err := b.app.DeliveryPayload(ctx, 1); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("an attempt that is not there: %v", err)
	}
	if _, _, err := b.app.Deliveries(ctx, "17"); preview.Classify(err) != preview.ClassPermanent {
		t.Errorf("a cursor that is none: %v", err)
	}
	b.sim.SetFaults(fault.OnRoute("GET /app/hook/deliveries", sim.RateLimited(http.StatusForbidden, time.Minute)))
	var limited *preview.TransientError
	if _, _, err := b.app.Deliveries(ctx, ""); !errors.As(err, &limited) || limited.After != time.Minute {
		t.Errorf("limited: %v", err)
	}
}
