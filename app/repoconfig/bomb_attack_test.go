package repoconfig

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestConfigurationBombs reads files that cost a reader more than they weigh, in the server's own
// process: each ends at once, with a problem that has a place.
func TestConfigurationBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%[1]c [*%c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c]\n", c, c-1)
	}
	const room = maxSize - 100
	tests := []struct{ name, text, want string }{
		{"aliases of aliases", laughs, "not supported"},
		{"an alias of itself", "preview: &a\n  database: *a\n", "not supported"},
		{"merged without end", "a: &a {<<: *a}\n", ""},
		{"brackets", strings.Repeat("[", room), ""},
		{"maps", strings.Repeat("{a: ", room/4), ""},
		{"indentation", strings.Repeat("- ", room/2), ""},
		{"keys", strings.Repeat("? ", room/2), ""},
		{"many documents", strings.Repeat("---\n", room/4), "more than one document"},
		{"many keys", strings.Repeat("a: 1\n", room/5), "already set"},
		{"a long key", strings.Repeat("x", room) + ": 1", ""},
		{"a long number", "preview: {max_active: " + strings.Repeat("9", room-100) + "}", "max_active"},
		{"a binary", "a: !!binary " + strings.Repeat("A", room), "Tags"},
		{"heavy patterns", "preview: {paths: {ignore: [" + strings.TrimSuffix(strings.Repeat(`"**a**a**a**a**a**", `, 1000), ", ") + "]}}", "more than 50 entries"},
		{"too large", strings.Repeat("# x\n", 10<<20), "larger than 64 kB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, problems := Parse([]byte(tt.text))
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %s", took)
			}
			text := ""
			for _, p := range problems {
				text += p.String() + "\n"
				if p.Line == 0 {
					t.Errorf("no place: %s", p)
				}
			}
			if len(problems) == 0 || !strings.Contains(text, tt.want) || len(text) > 20_000 {
				t.Errorf("%d problems, want one with %q:\n%.500s", len(problems), tt.want, text)
			}
		})
	}
}

// TestHeavyPatterns matches the worst patterns that are allowed against paths made for them.
func TestHeavyPatterns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	deep := strings.Repeat("a/", 500) + "a"
	for _, pattern := range []string{"**/a/**/a/**/a/**/b", "**/*a*a*a*a*a*a*b", strings.Repeat("*a", 99) + "b", "**/" + strings.Repeat("?*", 90) + "b", strings.Repeat("[a-z]*", 33)} {
		if err := checkPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		for _, path := range []string{deep, strings.Repeat("a", 1000), strings.Repeat("a", 250) + "/" + strings.Repeat("a", 250)} {
			began := time.Now()
			BranchMatches(pattern, path)
			if took := time.Since(began); took > 3*time.Minute {
				t.Errorf("%s takes %s with a path of %d bytes", pattern, took, len(path))
			}
		}
	}
}
