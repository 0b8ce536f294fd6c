package neon_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Another lifetime moves Neon's own end of the branch with one request, and changes nothing else of it.
func TestLifetime(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	first := apply(t, p, r)
	now := time.Now()
	for _, step := range []struct {
		name   string
		ends   time.Time
		extend bool
	}{
		{"it never ends", time.Time{}, false},
		{"it gets an end", now.Add(72 * time.Hour), true},
		{"a few minutes more", now.Add(72*time.Hour + 10*time.Minute), false},
		{"extended", now.Add(96 * time.Hour), true},
		{"longer than Neon takes", now.Add(90 * 24 * time.Hour), true},
		{"still longer", now.Add(120 * 24 * time.Hour), false},
		{"it never ends again", time.Time{}, true},
	} {
		r.ExpiresAt = step.ends
		observed, err := p.Observe(t.Context(), r)
		if err != nil || observed.Digest != r.Digest || observed.Extend != step.extend {
			t.Errorf("%s: observed %+v, %v", step.name, observed, err)
		}
		before := len(s.Requests())
		if again := apply(t, p, r); again.DatabaseURL != first.DatabaseURL {
			t.Errorf("%s: the address is another", step.name)
		}
		writes := slices.DeleteFunc(s.Requests()[before:], func(request string) bool { return strings.HasPrefix(request, "GET ") })
		if want := map[bool]int{true: 1}[step.extend]; len(writes) != want {
			t.Errorf("%s: wrote %v, want %d requests", step.name, writes, want)
		}
		if observed, err := p.Observe(t.Context(), r); err != nil || observed.Extend {
			t.Errorf("%s: afterwards %+v, %v", step.name, observed, err)
		}
	}
}
