package ir

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNames asks for names that others got by a number already.
func TestNames(t *testing.T) {
	t.Parallel()
	var taken names
	var got []string
	for _, name := range []string{"a", "a2", "a", "a", "a5", "a", "a", "a5", "a5", "a2", "b"} {
		got = append(got, taken.take(name))
	}
	want := []string{"a", "a2", "a3", "a4", "a5", "a6", "a7", "a52", "a53", "a22", "b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
