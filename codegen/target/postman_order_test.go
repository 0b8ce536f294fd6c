package target

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// randomFolders have requests that set, use and delete few variables, so that they often need each other.
func randomFolders(random *rand.Rand) []*folder {
	key := func() string { return fmt.Sprintf("k%d", random.IntN(8)) }
	folders := make([]*folder, 1+random.IntN(7))
	for i := range folders {
		folders[i] = &folder{name: fmt.Sprintf("f%d", i)}
		for range 1 + random.IntN(3) {
			r := &request{Operation: &ir.Operation{Method: http.MethodGet, Path: "/a/{id}"}, paths: map[string]string{}, sets: map[string]string{}}
			if random.IntN(2) == 0 {
				r.paths["id"] = key()
				r.Method = []string{http.MethodGet, http.MethodDelete}[random.IntN(2)]
			}
			if random.IntN(2) == 0 {
				r.sets[key()] = "id"
			}
			if random.IntN(3) == 0 {
				r.bears = map[string]string{"other": key()}
			}
			folders[i].requests = append(folders[i].requests, r)
		}
	}
	return folders
}

func namesOf(folders []*folder) []string {
	var list []string
	for _, f := range folders {
		list = append(list, fmt.Sprint(f.name, len(f.requests)))
	}
	return list
}

// TestByNeed compares with what the order is defined as: the first folder that needs none of the rest, or else the first.
func TestByNeed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		folders := randomFolders(rand.New(rand.NewPCG(seed, 0)))
		got := namesOf((&postman{}).byNeed(folders))
		needs := func(f *folder, rest []*folder) bool {
			return slices.ContainsFunc(rest, func(other *folder) bool {
				return slices.ContainsFunc(f.lacks, func(key string) bool { return other.sets[key] })
			})
		}
		var want []*folder
		for rest := slices.Clone(folders); len(rest) > 0; {
			next := max(0, slices.IndexFunc(rest, func(f *folder) bool { return !needs(f, rest) }))
			want = append(want, rest[next])
			rest = slices.Delete(rest, next, next+1)
		}
		if diff := cmp.Diff(namesOf(want), got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// TestCleanUp compares with what is defined as removed at last: what the requests that are left in other folders use.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		p := &postman{folders: randomFolders(rand.New(rand.NewPCG(seed, 1)))}
		left := map[*folder][]*request{}
		for _, f := range p.folders {
			left[f] = slices.Clone(f.requests)
		}
		want := 0
		for _, f := range p.folders {
			left[f] = slices.DeleteFunc(left[f], func(r *request) bool {
				used := false
				for other, requests := range left {
					used = used || other != f && slices.ContainsFunc(requests, func(o *request) bool { return slices.Contains(o.uses(), r.paths["id"]) })
				}
				if r.Method == http.MethodDelete && used {
					want++
					return true
				}
				return false
			})
		}
		folders := slices.Clone(p.folders)
		p.cleanUp()
		got := 0
		if last := p.folders[len(p.folders)-1]; last.last {
			got = len(last.requests)
		}
		if got != want {
			t.Fatalf("seed %d: %d requests were moved, want %d", seed, got, want)
		}
		for _, f := range folders {
			if !slices.Equal(f.requests, left[f]) {
				t.Fatalf("seed %d: folder %s has other requests", seed, f.name)
			}
		}
	}
}

// TestToolNames has names that others took by a number already, and such that are cut.
func TestToolNames(t *testing.T) {
	t.Parallel()
	long := "x123456789012345678901234567890123456789012345678901234567890123456789"
	taken := map[string]int{}
	var got []string
	for _, id := range []string{"a", "a_2", "a", "a", "a_3", "a_3", "/", "/", long, long} {
		got = append(got, toolName(id, taken))
	}
	want := []string{"a", "a_2", "a_3", "a_4", "a_3_2", "a_3_3", "_2", "_3", long[:64], long[:62] + "_2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
