package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

func resources(kinds ...preview.Kind) []preview.Resource {
	var rs []preview.Resource
	for _, k := range kinds {
		rs = append(rs, preview.Resource{Kind: k, Name: "preview-abc-pr-7", Digest: "new"})
	}
	return rs
}

// twoWorkers are the resources of an environment whose repository has a second Worker.
func twoWorkers() []preview.Resource {
	rs := resources(preview.KindDatabase, preview.KindSchema, preview.KindWorker, preview.KindWorker, preview.KindCollection)
	rs[3].Worker, rs[3].Name = "admin", preview.WorkerName(rs[3].Name, "admin")
	return rs
}

func TestCalculate(t *testing.T) {
	t.Parallel()
	ours := func(digest string) preview.Observed {
		return preview.Observed{Exists: true, Owned: true, Digest: digest}
	}
	all := resources(preview.Kinds()...)
	reset := resources(preview.Kinds()...)
	reset[0].Reset = true
	guarded := resources(preview.Kinds()...)
	guarded[0].Reset, guarded[0].RequireApproval = true, true
	rebuild := resources(preview.Kinds()...)
	for i := range rebuild {
		rebuild[i].Reset = true
	}
	two := twoWorkers()
	tests := []struct {
		name      string
		reason    string
		desired   []preview.Resource
		undesired []preview.Resource
		observed  map[preview.Key]preview.Observed
		want      []string // "name op <- needs"
	}{
		{
			name: "first creation", reason: "branch and migrations run beside fetch and bundle",
			desired: all,
			want: []string{"source fetch", "bundle bundle <- source", "database create", "schema create <- database source",
				"worker create <- bundle database schema", "collection create <- source worker"},
		},
		{
			name: "a push", reason: "migrations wait for the bundle",
			desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("old"),
				{Kind: "worker"}: ours("old"), {Kind: "collection"}: ours("old")},
			want: []string{"source fetch", "bundle bundle <- source", "schema update <- source bundle",
				"worker update <- bundle schema", "collection update <- source worker"},
		},
		{
			name: "nothing changed", reason: "a second pass writes nothing", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
		},
		{
			name: "credentials renewed", reason: "a Worker with an old password can't connect", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours(""), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "database update",
				"schema update <- database source bundle", "worker update <- bundle database schema"},
		},
		{
			name: "reset", reason: "the data is replaced, the URL stays", desired: reset,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "database reset", "schema update <- database source"},
		},
		{
			name: "another end", reason: "a lifetime alone changes nothing of what serves", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: {Exists: true, Owned: true, Digest: "new", ResetRenews: true, Extend: true},
				{Kind: "schema"}: ours("new"), {Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"database extend"},
		},
		{
			name: "a push with another end", reason: "the migrations come after it", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: {Exists: true, Owned: true, Digest: "new", Extend: true},
				{Kind: "schema"}: ours("old"), {Kind: "worker"}: ours("old"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "database extend", "schema update <- database source bundle",
				"worker update <- bundle database schema"},
		},
		{
			name: "reset that renews the password", reason: "a Worker with an old password can't connect", desired: reset,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: {Exists: true, Owned: true, Digest: "new", ResetRenews: true},
				{Kind: "schema"}: ours("new"), {Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "database reset <- bundle",
				"schema update <- database source bundle", "worker update <- bundle database schema"},
		},
		{
			name: "push to a database whose resets renew the password", reason: "nothing is reset", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: {Exists: true, Owned: true, Digest: "new", ResetRenews: true},
				{Kind: "schema"}: ours("old"), {Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "schema update <- source"},
		},
		{
			name: "reset behind an approval", reason: "the migrations are looked at before the data goes", desired: guarded,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "database reset <- source", "schema update <- database source"},
		},
		{
			name: "reset with a push", reason: "a build that fails touches no database", desired: reset,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("old"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "database reset <- bundle",
				"schema update <- database source bundle", "worker update <- bundle database schema"},
		},
		{
			name: "rebuild", reason: "everything is made anew at the same commit", desired: rebuild,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "database reset <- bundle",
				"schema update <- database source bundle", "worker update <- bundle database schema", "collection update <- source worker"},
		},
		{
			name: "teardown", reason: "users before what they use; what is not ours stays", undesired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"), {Kind: "worker"}: ours(""),
				{Kind: "collection"}: {Exists: true}},
			want: []string{"worker delete", "schema delete <- worker", "database delete <- worker"},
		},
		{name: "teardown of nothing", undesired: all},
		{
			name: "two Workers", reason: "bundles run beside each other, uploads too, and each waits for every bundle", desired: two,
			want: []string{"source fetch", "bundle bundle <- source", "bundle admin bundle <- source", "database create", "schema create <- database source",
				"worker create <- bundle bundle admin database schema", "worker admin create <- bundle bundle admin database schema",
				"collection create <- source worker worker admin"},
		},
		{
			name: "a push to two Workers", reason: "a Worker that does not compile keeps the other back, and touches no database", desired: two,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("old"),
				{Kind: "worker"}: ours("old"), {Kind: "worker", Worker: "admin"}: ours("old"), {Kind: "collection"}: ours("old")},
			want: []string{"source fetch", "bundle bundle <- source", "bundle admin bundle <- source", "schema update <- source bundle bundle admin",
				"worker update <- bundle bundle admin schema", "worker admin update <- bundle bundle admin schema",
				"collection update <- source worker worker admin"},
		},
		{
			name: "a second Worker", reason: "the first one is as it should be", desired: two,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "collection"}: ours("old")},
			want: []string{"source fetch", "bundle admin bundle <- source", "worker admin create <- bundle admin", "collection update <- source worker admin"},
		},
		{
			name: "a Worker at another place", reason: "what is sent to it has its address", desired: all,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"), {Kind: "collection"}: ours("new")},
			want:     []string{"source fetch", "bundle bundle <- source", "worker create <- bundle", "collection update <- source worker"},
		},
		{
			name: "a Worker less", reason: "the one that stays is not touched", desired: all, undesired: two[3:4],
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "worker", Worker: "admin"}: ours("new"), {Kind: "collection"}: ours("old")},
			want: []string{"source fetch", "collection update <- source", "worker admin delete"},
		},
		{
			name: "renewed credentials of two Workers", reason: "each has the old password", desired: two,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours(""), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "worker", Worker: "admin"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"source fetch", "bundle bundle <- source", "bundle admin bundle <- source", "database update",
				"schema update <- database source bundle bundle admin", "worker update <- bundle bundle admin database schema",
				"worker admin update <- bundle bundle admin database schema"},
		},
		{
			name: "teardown of two Workers", reason: "the database goes after both", undesired: two,
			observed: map[preview.Key]preview.Observed{{Kind: "database"}: ours("new"), {Kind: "schema"}: ours("new"),
				{Kind: "worker"}: ours("new"), {Kind: "worker", Worker: "admin"}: ours("new"), {Kind: "collection"}: ours("new")},
			want: []string{"collection delete", "worker delete", "worker admin delete", "schema delete <- worker worker admin", "database delete <- worker worker admin"},
		},
		{
			name: "no database", reason: "a Worker alone needs none", desired: resources(preview.KindWorker),
			want: []string{"source fetch", "bundle bundle <- source", "worker create <- bundle"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Calculate(tt.desired, tt.undesired, tt.observed)
			if err != nil {
				t.Fatalf("Calculate: %v", err)
			}
			if diff := cmp.Diff(tt.want, lines(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
			}
		})
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	two := twoWorkers()
	named := preview.Layout{Workers: []preview.WorkerLayout{{Name: "api"}, {Name: "admin"}}}
	for i := range two {
		two[i].Layout = named
	}
	only := resources(preview.KindWorker)
	only[0].Layout = preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "wrangler.jsonc"}}}
	for reason, tt := range map[string]struct {
		desired []preview.Resource
		want    []string
	}{
		"Workers with names": {two, []string{"source", "bundle api", "bundle admin", "database", "schema", "worker api", "worker admin", "collection"}},
		"one without":        {only, []string{"source", "bundle", "worker"}},
	} {
		p, err := Calculate(tt.desired, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Steps {
			got = append(got, s.Title())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestCalculateConflict(t *testing.T) {
	t.Parallel()
	_, err := Calculate(resources(preview.KindDatabase), nil,
		map[preview.Key]preview.Observed{{Kind: "database"}: {Exists: true}})
	if !errors.Is(err, preview.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
}

func lines(p Plan) []string {
	var out []string
	for _, s := range p.Steps {
		line := s.Name + " " + string(s.Op)
		for i, need := range s.Needs {
			if i == 0 {
				line += " <-"
			}
			line += " " + need
		}
		out = append(out, line)
	}
	return out
}
