package preview

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No Worker's name is another's or an environment's, and all of them fit a DNS label.
func TestWorkerNames(t *testing.T) {
	t.Parallel()
	hashes := []string{ProjectHash(1, 2), ProjectHash(1, 3)}
	var environments []string
	for _, hash := range hashes {
		for _, pr := range []int{1, 11, 2147483647} {
			environments = append(environments, PreviewName(hash, pr))
		}
		for _, kind := range []EnvironmentKind{EnvironmentDev, EnvironmentStaging, EnvironmentProd} {
			environments = append(environments, CoreName(hash, kind))
		}
	}
	workers := []string{"", "a", "a1", "pr-1", "dev", "admin-1", "admin", strings.Repeat("w", MaxWorkerName)}
	seen := map[string]string{}
	for _, environment := range environments {
		for _, worker := range workers {
			name := WorkerName(environment, worker)
			if other, taken := seen[name]; taken {
				t.Errorf("%s is both %s and %s/%s", name, other, environment, worker)
			}
			seen[name] = environment + "/" + worker
			if len(name) > 63 || !NamePattern.MatchString(name) {
				t.Errorf("%s can't be a provider-side name and a DNS label", name)
			}
			if e, w, ok := SplitWorkerName(name); !ok || e != environment || w != worker {
				t.Errorf("%s is taken for %q of %q", name, w, e)
			}
		}
	}
	for _, name := range []string{"", "preview-abcdefgh-pr-0", "preview-abcdefgh-pr-01", "preview-abcdefgh-pr-1-", "preview-abcdefgh-pr-1-2", "preview-abcdefgh-pr-1-a--b",
		"preview-abcdefgh-pr-1-" + strings.Repeat("w", MaxWorkerName+1), "prod-abcdefgh-A", "prod-abcdefgh-a.b", "test-abcdefgh"} {
		if e, w, ok := SplitWorkerName(name); ok {
			t.Errorf("%q is taken for %q of %q", name, w, e)
		}
	}
}

func TestLayoutWorker(t *testing.T) {
	t.Parallel()
	l := Layout{Workers: []WorkerLayout{{Name: "api"}, {Name: "admin"}}}
	for name, want := range map[string]string{"": "api", "admin": "admin"} {
		if w, ok := l.Worker(name); !ok || w.Name != want {
			t.Errorf("%q is %q, %t", name, w.Name, ok)
		}
	}
	for _, name := range []string{"api", "other"} { // the first one has no name in its key
		if w, ok := l.Worker(name); ok {
			t.Errorf("%q is %q", name, w.Name)
		}
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	first, second := Key{Kind: KindWorker}, Key{Kind: KindWorker, Worker: "admin"}
	tests := []struct {
		name    string
		outputs map[Key]Outputs
		want    Outputs
	}{
		{"nothing", nil, Outputs{}},
		{"one Worker", map[Key]Outputs{first: {URL: "u"}, {Kind: KindDatabase}: {DatabaseName: "d", DatabaseURL: "s"}, {Kind: KindCollection}: {Files: []string{"f"}}},
			Outputs{URL: "u", DatabaseName: "d", DatabaseURL: "s", Files: []string{"f"}}},
		{"two Workers", map[Key]Outputs{second: {URL: "v", WorkerName: "admin"}, first: {URL: "u", WorkerName: "api"}, {Kind: KindSchema}: {SchemaDiff: "x"}},
			Outputs{URL: "u", SchemaDiff: "x", Workers: []WorkerURL{{"api", "u"}, {"admin", "v"}}}},
		{"the second alone is there", map[Key]Outputs{second: {URL: "v", WorkerName: "admin"}}, Outputs{Workers: []WorkerURL{{"admin", "v"}}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Combine(tt.outputs)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
