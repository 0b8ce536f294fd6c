package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// states returns the repository's files after each commit, the default branch first.
func states(t *testing.T) []map[string][]byte {
	t.Helper()
	sample, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	state := map[string][]byte{}
	err = fs.WalkDir(sample, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		state[path], err = fs.ReadFile(sample, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	commits, err := Commits()
	if err != nil {
		t.Fatal(err)
	}
	all := []map[string][]byte{state}
	for _, commit := range commits {
		state = maps.Clone(state)
		maps.Copy(state, commit.Files)
		all = append(all, state)
	}
	return all
}

func TestSampleHasWhatFlaresmithReads(t *testing.T) {
	t.Parallel()
	state := states(t)[0]
	for _, path := range []string{
		".github/flaresmith.yml", ".gitignore", "drizzle/meta/_journal.json", "package-lock.json",
		"package.json", "postman/001-shop.postman_collection.json", "specs/001-shop/data-model.md", "src/index.ts", "tsconfig.json", "wrangler.jsonc",
	} {
		if len(state[path]) == 0 {
			t.Errorf("%s is missing or empty", path)
		}
	}
}

func TestSampleNamesNoRegistry(t *testing.T) {
	t.Parallel()
	resolved := regexp.MustCompile(`"resolved"\s*:|registry\.`)
	for i, state := range states(t) {
		for path, content := range state {
			if found := resolved.Find(content); found != nil {
				t.Errorf("state %d: %s contains %q", i, path, found)
			}
		}
	}
}

func TestCommitsChangeSomething(t *testing.T) {
	t.Parallel()
	all := states(t)
	commits, err := Commits()
	if err != nil {
		t.Fatal(err)
	}
	for i, commit := range commits {
		if len(commit.Files) == 0 {
			t.Errorf("%s changes no file", commit.Name)
		}
		for path, content := range commit.Files {
			if bytes.Equal(all[i][path], content) {
				t.Errorf("%s: %s is as it was before", commit.Name, path)
			}
		}
		if at := commit.FailsAt; at != (Place{}) {
			if lines := strings.Count(string(all[i+1][at.Path]), "\n"); at.Line < 1 || at.Line > lines {
				t.Errorf("%s: %s has %d lines, not line %d", commit.Name, at.Path, lines, at.Line)
			}
		}
	}
}

// The journal, the SQL files and the snapshots of every state belong together, as drizzle-kit left them.
func TestMigrationsAreComplete(t *testing.T) {
	t.Parallel()
	for i, state := range states(t) {
		var want, got []string
		for n, entry := range journal(t, state).Entries {
			want = append(want, "drizzle/"+entry.Tag+".sql")
			snapshot := "drizzle/meta/" + entry.Tag[:4] + "_snapshot.json"
			if n != entry.Idx || !json.Valid(state[snapshot]) {
				t.Errorf("state %d: entry %s has index %d and snapshot %q", i, entry.Tag, entry.Idx, snapshot)
			}
		}
		for path := range state {
			if strings.HasPrefix(path, "drizzle/") && strings.HasSuffix(path, ".sql") {
				got = append(got, path)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("state %d: migrations (-journal +files):\n%s", i, diff)
		}
	}
}

// A parent whose bookkeeping disagreed with the first migration would make every preview apply it again.
func TestParentMatchesFirstMigration(t *testing.T) {
	t.Parallel()
	state := states(t)[0]
	first := journal(t, state).Entries[0]
	migration := state["drizzle/"+first.Tag+".sql"]
	sum := sha256.Sum256(migration)
	bookkeeping := "('" + hex.EncodeToString(sum[:]) + "', " + first.When.String() + ")"
	for _, part := range []string{string(migration), bookkeeping} {
		if !strings.Contains(ParentSQL(), part) {
			t.Errorf("parent.sql lacks\n%s", part)
		}
	}
}

type drizzleJournal struct {
	Entries []struct {
		Idx  int         `json:"idx"`
		Tag  string      `json:"tag"`
		When json.Number `json:"when"`
	} `json:"entries"`
}

func journal(t *testing.T, state map[string][]byte) drizzleJournal {
	t.Helper()
	var j drizzleJournal
	if err := json.Unmarshal(state["drizzle/meta/_journal.json"], &j); err != nil {
		t.Fatal(err)
	}
	if len(j.Entries) == 0 {
		t.Fatal("the journal is empty")
	}
	return j
}
