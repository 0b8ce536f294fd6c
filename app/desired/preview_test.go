package desired

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// eligible are facts under which a preview is wanted; tests change one of them.
func eligible() Facts {
	return Facts{
		Project:     preview.Project{ID: "p", Owner: "acme", Name: "shop", DefaultBranch: "main"},
		Environment: preview.Environment{ID: "e", Kind: preview.EnvironmentPreview, Name: "preview-abc-pr-7", PR: 7, HeadSHA: "sha1"},
		PullRequest: preview.PullRequest{Number: 7, Open: true, HeadSHA: "sha1", BaseRef: "main"},
		Configured:  true,
		Policy:      repoconfig.Default().Policy,
		Layout:      repoconfig.Default().Layout,
		Entitlement: &preview.Entitlement{Parents: map[string]string{"main": "shop"}, DefaultParent: "main", MaxPreviews: 15},
		Offered:     []string{"postgres", "workerd", "collection"},
		Now:         time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
	}
}

func TestPreviewVerdict(t *testing.T) {
	t.Parallel()
	now := eligible().Now
	tests := []struct {
		name   string
		change func(*Facts)
		want   Outcome
	}{
		{"eligible", func(*Facts) {}, Wanted},
		{"closed", func(f *Facts) { f.PullRequest.Open = false }, Closed},
		{"closed beats unconfigured", func(f *Facts) { f.PullRequest.Open, f.Configured = false, false }, Closed},
		{"no configuration", func(f *Facts) { f.Configured = false }, Unconfigured},
		{"no valid configuration ever", func(f *Facts) { f.ConfigProblems = []preview.Problem{{Message: "x"}} }, Invalid},
		{"unlisted installation", func(f *Facts) { f.Entitlement = nil }, NotEntitled},
		{"turned off", func(f *Facts) { f.Policy.Enabled = false }, Skipped},
		{"provider that the server lacks", func(f *Facts) { f.Policy.Providers.Database = "neon" }, Invalid},
		{"fork", func(f *Facts) { f.PullRequest.Fork = true }, Skipped},
		{"base branch", func(f *Facts) { f.Policy.BaseBranches = []string{"release/*"} }, Skipped},
		{"draft allowed", func(f *Facts) { f.PullRequest.Draft = true }, Wanted},
		{"draft", func(f *Facts) { f.PullRequest.Draft, f.Policy.Drafts = true, false }, Skipped},
		{"bot", func(f *Facts) { f.PullRequest.AuthorIsBot, f.Policy.Bots = true, false }, Skipped},
		{"skip label", func(f *Facts) { f.PullRequest.Labels, f.Policy.Labels.Skip = []string{"no"}, []string{"no"} }, Skipped},
		{"required label missing", func(f *Facts) { f.Policy.Labels.Require = []string{"yes"} }, Skipped},
		{"required label set", func(f *Facts) { f.PullRequest.Labels, f.Policy.Labels.Require = []string{"yes"}, []string{"yes"} }, Wanted},
		{"only ignored paths", func(f *Facts) { f.ChangedFiles, f.Policy.Paths.Ignore = []string{"docs/a.md"}, []string{"docs/**"} }, Skipped},
		{"other paths too", func(f *Facts) {
			f.ChangedFiles, f.Policy.Paths.Ignore = []string{"docs/a.md", "src/a.ts"}, []string{"docs/**"}
		}, Wanted},
		{"held", func(f *Facts) { f.Environment.Held = true }, Held},
		{"expired", func(f *Facts) { f.Environment.ExpiresAt = now }, Expired},
		{"not yet expired", func(f *Facts) { f.Environment.ExpiresAt = now.Add(time.Second) }, Wanted},
		{"stays expired at the same head", func(f *Facts) { f.Environment.ExpiredSHA = "sha1" }, Expired},
		{"a push revives", func(f *Facts) { f.Environment.ExpiredSHA, f.PullRequest.HeadSHA = "sha1", "sha2" }, Wanted},
		{"a push at the last moment", func(f *Facts) { f.Environment.ExpiresAt, f.PullRequest.HeadSHA = now, "sha2" }, Wanted},
		{"parent that is not offered", func(f *Facts) { f.Policy.Database.Parent = "prod" }, Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := eligible()
			tt.change(&f)
			got := Preview(f)
			if got.Verdict.Outcome != tt.want {
				t.Errorf("outcome %q (%s), want %q", got.Verdict.Outcome, got.Verdict.Reason, tt.want)
			}
			if (len(got.Resources) > 0) != (tt.want == Wanted) {
				t.Errorf("%d resources for %q", len(got.Resources), tt.want)
			}
		})
	}
}

// What a bot pushes gets no rows, unless the policy says otherwise, and may get another parent.
func TestPreviewOrigin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		bot    bool
		policy repoconfig.Database
		parent string
		empty  bool
	}{
		{"a person", false, repoconfig.Default().Policy.Database, "shop", false},
		{"a bot", true, repoconfig.Default().Policy.Database, "shop", true},
		{"a bot with a parent of its own", true, repoconfig.Database{Parent: "main", Data: repoconfig.DataCopy, Bots: repoconfig.Origin{Parent: "masked", Data: repoconfig.DataCopy}}, "shop-masked", false},
		{"a person beside it", false, repoconfig.Database{Parent: "main", Data: repoconfig.DataSchemaOnly, Bots: repoconfig.Origin{Parent: "masked", Data: repoconfig.DataCopy}}, "shop", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := eligible()
			f.Entitlement.Parents["masked"] = "shop-masked"
			f.PullRequest.AuthorIsBot, f.Policy.Database = tt.bot, tt.policy
			database := Preview(f).Resources[0]
			if database.Parent != tt.parent || database.SchemaOnly != tt.empty {
				t.Errorf("parent %q, without rows: %t", database.Parent, database.SchemaOnly)
			}
		})
	}
}

func TestPreviewDigests(t *testing.T) {
	t.Parallel()
	changed := func(change func(*Facts)) []preview.Kind {
		f := eligible()
		change(&f)
		var kinds []preview.Kind
		old := Preview(eligible()).Resources
		for i, r := range Preview(f).Resources {
			if r.Digest != old[i].Digest {
				kinds = append(kinds, r.Kind)
			}
		}
		return kinds
	}
	tests := []struct {
		name   string
		change func(*Facts)
		want   []preview.Kind
	}{
		{"nothing", func(*Facts) {}, nil},
		{"a push keeps the database", func(f *Facts) { f.PullRequest.HeadSHA = "sha2" },
			[]preview.Kind{preview.KindSchema, preview.KindWorker, preview.KindCollection}},
		{"another parent", func(f *Facts) { f.Entitlement.Parents["main"] = "other" },
			[]preview.Kind{preview.KindDatabase, preview.KindSchema}},
		{"another migrations folder", func(f *Facts) { f.Layout.Migrations = "sql" }, []preview.Kind{preview.KindSchema}},
		{"labels", func(f *Facts) { f.PullRequest.Labels = []string{"x"} }, nil},
		{"another lifetime", func(f *Facts) { f.Policy.TTL, f.Environment.ExpiresAt = time.Hour, f.Now.Add(90*time.Hour) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, changed(tt.change)); diff != "" {
				t.Errorf("kinds with another digest (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDigestsStay: another digest is another deployment. Those of a repository with one Worker are what
// earlier versions computed, so that an upgrade deploys nothing.
func TestDigestsStay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		worker preview.WorkerLayout
		want   map[string]string
	}{
		{"default", repoconfig.Default().Layout.Workers[0], map[string]string{"database": "f620838c76ccfa64b374bc38475d9da6",
			"schema": "0247321c518698162abed25d559ee24a", "worker": "645e26645914f7d1f70f633b534a4517", "collection": "ca3d316ea8ec7e0e01970a6c5c6b94a2"}},
		{"own layout", preview.WorkerLayout{WranglerConfig: "w/wrangler.toml", Entry: "w/x.ts", DatabaseBinding: "PG"}, map[string]string{
			"database": "f620838c76ccfa64b374bc38475d9da6", "schema": "0247321c518698162abed25d559ee24a",
			"worker": "f1b6cbeb9e2e5d33a65623c3af398742", "collection": "ca3d316ea8ec7e0e01970a6c5c6b94a2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := eligible()
			f.Layout.Workers = []preview.WorkerLayout{tt.worker}
			got := map[string]string{}
			for _, r := range Preview(f).Resources {
				got[r.Key().String()] = r.Digest
				if r.Name != f.Environment.Name {
					t.Errorf("%s is called %s", r.Key(), r.Name)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("digests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSeveralWorkers: the first one has the environment's name, each further one its own behind it.
func TestSeveralWorkers(t *testing.T) {
	t.Parallel()
	api := preview.WorkerLayout{Name: "api", WranglerConfig: "api/wrangler.jsonc", DatabaseBinding: "DATABASE_URL"}
	admin := preview.WorkerLayout{Name: "admin", WranglerConfig: "admin/wrangler.jsonc", DatabaseBinding: "PG"}
	digests := func(workers ...preview.WorkerLayout) (names []string, byKey map[string]string) {
		f := eligible()
		f.Layout.Workers = workers
		byKey = map[string]string{}
		for _, r := range Preview(f).Resources {
			if byKey[r.Key().String()] = r.Digest; r.Kind == preview.KindWorker {
				names = append(names, r.Key().String()+" "+r.Name)
			}
		}
		return names, byKey
	}
	names, both := digests(api, admin)
	if diff := cmp.Diff([]string{"worker preview-abc-pr-7", "worker admin preview-abc-pr-7-admin"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if both["worker"] == both["worker admin"] {
		t.Error("two Workers have one digest")
	}
	_, alone := digests(api)
	for key, changes := range map[string]bool{"database": false, "schema": false, "worker": true, "collection": true} {
		if got := alone[key] != both[key]; got != changes {
			t.Errorf("without the second Worker the digest of %s changes: %t", key, got)
		}
	}
}

func TestCoreWishes(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 11, 1, 12, minute, 0, 0, time.UTC) }
	policy := repoconfig.Policy{Environments: map[preview.EnvironmentKind]repoconfig.Core{
		preview.EnvironmentDev:  {Branch: "feature/*", Deploy: repoconfig.DeployPush},
		preview.EnvironmentProd: {Branch: "main", Deploy: repoconfig.DeployPromotion},
	}}
	heads := []preview.Push{
		{Branch: "feature/a", SHA: "a", PushedAt: at(1)},
		{Branch: "feature/b", SHA: "b", PushedAt: at(3)},
		{Branch: "feature/gone", SHA: "g", PushedAt: at(4), Deleted: true},
		{Branch: "main", SHA: "m", PushedAt: at(5)},
	}
	want := []CoreWish{{Kind: preview.EnvironmentDev, Head: heads[1]}}
	if diff := cmp.Diff(want, CoreWishes(policy, heads)); diff != "" {
		t.Errorf("newest push wins, prod waits for promotion (-want +got):\n%s", diff)
	}
	policy.Environments[preview.EnvironmentProd] = repoconfig.Core{Branch: "main", Deploy: repoconfig.DeployPush}
	want = append(want, CoreWish{Kind: preview.EnvironmentProd, Head: heads[3]})
	if diff := cmp.Diff(want, CoreWishes(policy, heads)); diff != "" {
		t.Errorf("prod follows pushes where it says so (-want +got):\n%s", diff)
	}
	if got := CoreWishes(policy, heads[2:3]); got != nil {
		t.Errorf("a deleted branch moves nothing, got %v", got)
	}
}

func TestCoreIsNeverReset(t *testing.T) {
	t.Parallel()
	f := eligible()
	f.Policy.Environments = map[preview.EnvironmentKind]repoconfig.Core{preview.EnvironmentDev: {Branch: "develop", Deploy: repoconfig.DeployPush}}
	f.Environment = preview.Environment{ID: "d", Kind: preview.EnvironmentDev, Name: "dev-abc", SHA: "sha", Rebuild: true, ResetDatabase: true}
	d := Core(f)
	if d.Verdict.Outcome != Wanted {
		t.Fatalf("verdict %+v", d.Verdict)
	}
	for _, r := range d.Resources {
		if r.Reset || !r.Keep || r.LongLived != "" {
			t.Errorf("%s: reset %v, keep %v, long-lived %q", r.Kind, r.Reset, r.Keep, r.LongLived)
		}
	}
	f.Entitlement.LongLived = map[preview.EnvironmentKind]string{preview.EnvironmentDev: "develop", preview.EnvironmentProd: "main"}
	for _, r := range Core(f).Resources {
		if ofDatabase := r.Kind == preview.KindDatabase || r.Kind == preview.KindSchema; (r.LongLived == "develop") != ofDatabase {
			t.Errorf("%s: long-lived %q", r.Kind, r.LongLived)
		}
	}
}

// TestMadeAnew: reset-db concerns the database alone, rebuild everything; a database that was reset
// is not reset again while the rest of a rebuild is still being tried.
func TestMadeAnew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		rebuild, reset bool
		want           []preview.Kind
	}{
		{"nothing asked", false, false, nil},
		{"reset-db", false, true, []preview.Kind{preview.KindDatabase}},
		{"rebuild", true, true, preview.Kinds()},
		{"rebuild whose database is done", true, false, []preview.Kind{preview.KindSchema, preview.KindWorker, preview.KindCollection}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := eligible()
			f.Environment.Rebuild, f.Environment.ResetDatabase = tt.rebuild, tt.reset
			var got []preview.Kind
			for _, r := range Preview(f).Resources {
				if r.Reset {
					got = append(got, r.Kind)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("made anew (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLifetime: a preview's resources carry its end, those of a core environment none.
func TestLifetime(t *testing.T) {
	t.Parallel()
	f := eligible()
	anew, sooner, later := f.Now.Add(f.Policy.TTL), f.Now.Add(time.Hour), f.Now.Add(f.Policy.TTL+time.Hour)
	tests := []struct {
		name   string
		change func(*Facts)
		want   time.Time
	}{
		{"begins", func(*Facts) {}, anew},
		{"goes on at the same head", func(f *Facts) { f.Environment.ExpiresAt = sooner }, sooner},
		{"begins anew with a push", func(f *Facts) { f.Environment.ExpiresAt, f.PullRequest.HeadSHA = sooner, "sha2" }, anew},
		{"extended", func(f *Facts) { f.Environment.ExpiresAt = later }, later},
		{"a push takes nothing from an extended one", func(f *Facts) { f.Environment.ExpiresAt, f.PullRequest.HeadSHA = later, "sha2" }, later},
	}
	for _, tt := range tests {
		f := eligible()
		tt.change(&f)
		for _, r := range Preview(f).Resources {
			if !r.ExpiresAt.Equal(tt.want) {
				t.Errorf("%s: %s ends %v, want %v", tt.name, r.Kind, r.ExpiresAt, tt.want)
			}
		}
	}
	f.Policy.Environments = map[preview.EnvironmentKind]repoconfig.Core{preview.EnvironmentDev: {Branch: "develop", Deploy: repoconfig.DeployPush}}
	f.Environment = preview.Environment{ID: "d", Kind: preview.EnvironmentDev, Name: "dev-abc", SHA: "sha", ExpiresAt: sooner}
	for _, r := range Core(f).Resources {
		if !r.ExpiresAt.IsZero() {
			t.Errorf("%s of a core environment ends %v", r.Kind, r.ExpiresAt)
		}
	}
}

func TestApproval(t *testing.T) {
	t.Parallel()
	f := eligible()
	head := f.PullRequest.HeadSHA
	tests := []struct {
		name, approved    string
		policy            repoconfig.Destructive
		requires, allowed bool
	}{
		{"warn", "", repoconfig.DestructiveWarn, false, false},
		{"nobody", "", repoconfig.DestructiveRequireApproval, true, false},
		{"the head", head, repoconfig.DestructiveRequireApproval, true, true},
		{"an old head", "0" + head, repoconfig.DestructiveRequireApproval, true, false},
	}
	for _, tt := range tests {
		f := eligible()
		f.Policy.Migrations.Destructive, f.Environment.ApprovedSHA = tt.policy, tt.approved
		for _, r := range Preview(f).Resources {
			if r.RequireApproval != tt.requires || r.Approved != tt.allowed {
				t.Errorf("%s: %s requires %t approved %t", tt.name, r.Kind, r.RequireApproval, r.Approved)
			}
		}
	}
}

// What Workers may be bound to comes from the policy, and only where there is an account; a new list deploys them again.
func TestBindings(t *testing.T) {
	t.Parallel()
	worker := func(change func(*Facts)) preview.Resource {
		f := eligible()
		f.Policy.Bindings.Allow = []string{"kv:0f1e"}
		f.Entitlement.AnyBinding = true
		f.Layout.Bindings = preview.Allowance{Account: true, Allow: []string{"kv:of-the-base-branch"}}
		change(&f)
		for _, r := range Preview(f).Resources {
			if r.Kind == preview.KindWorker {
				return r
			}
		}
		t.Fatal("no Worker")
		return preview.Resource{}
	}
	cloud := func(f *Facts) { f.Offered = append(f.Offered, "cloudflare") }
	local, bound := worker(func(*Facts) {}), worker(cloud)
	other := worker(func(f *Facts) { cloud(f); f.Policy.Bindings.Allow = []string{"kv:beef"} })
	if diff := cmp.Diff(preview.Allowance{Section: "preview"}, local.Layout.Bindings); diff != "" {
		t.Errorf("local (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(preview.Allowance{Account: true, Allow: []string{"kv:0f1e"}, Section: "preview"}, bound.Layout.Bindings); diff != "" {
		t.Errorf("cloud (-want +got):\n%s", diff)
	}
	if bound.Digest == other.Digest || bound.Digest == local.Digest {
		t.Error("a new list leaves the digest as it is")
	}
	f := eligible()
	f.Environment.Kind = preview.EnvironmentStaging
	if a := allowance(f); a.Section != "" {
		t.Errorf("staging is deployed from the section %q", a.Section)
	}
}

// A repository's list picks among what the operator lets it bind: of an account that several have, each binds its own things. What
// is listed and not offered is for the build to refuse where a Worker has it: an environment stays wanted, and nothing of it goes.
func TestBindingsOfTheOperator(t *testing.T) {
	t.Parallel()
	both := []string{"kv:0f1e", "d1:b"}
	tests := []struct {
		name   string
		change func(*Facts)
		want   preview.Allowance
	}{
		{"nothing is offered", func(*Facts) {}, preview.Allowance{Account: true, Withheld: both}},
		{"others are offered", func(f *Facts) { f.Entitlement.Bindings = []string{"r2:0f1e", "kv:0f1"} }, preview.Allowance{Account: true, Withheld: both}},
		{"one of two", func(f *Facts) { f.Entitlement.Bindings = both[:1] }, preview.Allowance{Account: true, Allow: both[:1], Withheld: both[1:]}},
		{"both and more", func(f *Facts) { f.Entitlement.Bindings = []string{"r2:c", "d1:b", "kv:0f1e"} }, preview.Allowance{Account: true, Allow: both}},
		{"everything is offered", func(f *Facts) { f.Entitlement.AnyBinding = true }, preview.Allowance{Account: true, Allow: both}},
		{"nothing is listed", func(f *Facts) { f.Policy.Bindings.Allow = nil }, preview.Allowance{Account: true}},
		{"there is no account", func(f *Facts) { f.Offered = nil }, preview.Allowance{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := eligible()
			f.Offered, f.Policy.Bindings.Allow = []string{"cloudflare"}, both
			f.Policy.Environments = map[preview.EnvironmentKind]repoconfig.Core{preview.EnvironmentDev: {Branch: "develop", Deploy: repoconfig.DeployPush}}
			tt.change(&f)
			dev := f
			dev.Environment = preview.Environment{ID: "d", Kind: preview.EnvironmentDev, Name: "dev-abc", SHA: "sha"}
			for _, got := range []Desired{Preview(f), Core(dev)} {
				i := slices.IndexFunc(got.Resources, func(r preview.Resource) bool { return r.Kind == preview.KindWorker })
				if i < 0 {
					t.Fatalf("no Worker: %+v", got.Verdict)
				}
				bindings := got.Resources[i].Layout.Bindings
				bindings.Section = "" // see TestBindings
				if diff := cmp.Diff(tt.want, bindings); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}
