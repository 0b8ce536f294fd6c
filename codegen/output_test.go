package codegen

import (
	"errors"
	"testing"
)

// TestFilesTooLarge has files of which each may be as large as it is, but not all of them.
func TestFilesTooLarge(t *testing.T) {
	t.Parallel()
	content := make([]byte, maxFiles/2)
	w := &output{}
	w.add(zod, "a.ts", content)
	w.add(zod, "b.ts", content)
	if err := w.write(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.add(zod, "c.ts", content)
	more := false
	err := w.addModule(t.Context(), zod, "d.ts", "api.json", func() ([]byte, error) { more = true; return nil, nil })
	if !errors.Is(err, errTooLarge) || more {
		t.Errorf("error %v, made another: %v", err, more)
	}
	if err := w.write(t.Context(), nil); !errors.Is(err, errTooLarge) || len(w.all) > 0 {
		t.Errorf("error %v, %d files", err, len(w.all))
	}
}
