package providertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Provider is what the suite tests: the same methods as the reconciler's interface of that name.
type Provider interface {
	Observe(ctx context.Context, r preview.Resource) (preview.Observed, error)
	Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error)
	Delete(ctx context.Context, r preview.Resource) error
	List(ctx context.Context) ([]preview.Found, error)
}

// Suite is one provider and what the suite must know of it. Provider, Resource and Snapshot are
// required; a test whose hook is missing is skipped with the hook's name.
type Suite struct {
	// Provider is used by all tests, one after the other.
	Provider Provider
	// Resource makes a valid resource with a name that no other call gave. The suite sets Digest.
	Resource func(t *testing.T) preview.Resource
	// Inputs makes what Apply needs for r; it may prepare what r depends on. Nil: empty inputs.
	Inputs func(t *testing.T, r preview.Resource) preview.Inputs
	// Snapshot describes everything that a write for r would change at the outside system: a
	// count of the writing requests it got, or the state itself. Equal strings mean "no write".
	Snapshot func(t *testing.T, r preview.Resource) string
	// Plant puts a thing without any mark under r's name; the suite's t cleans it up.
	Plant func(t *testing.T, r preview.Resource)
	// Restart returns a provider that knows only what the outside system holds, as after a restart.
	Restart func(t *testing.T) Provider
	// Embedded is for a kind that lives inside another resource (KindSchema): List finds nothing.
	Embedded bool
	// Timeout bounds each call. Default: one minute.
	Timeout time.Duration
}

// Run tests one provider. Every resource it makes is deleted again.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout = time.Minute
	}
	t.Run("absent", s.absent)
	t.Run("life", s.life)
	t.Run("adopt", s.adopt)
	t.Run("foreign mark", s.foreignMark)
	t.Run("unmarked", s.unmarked)
	t.Run("bad names", s.badNames)
	t.Run("cancelled", s.cancelled)
}

// absent: what does not exist is observed as absent, and deleting it is no error.
func (s Suite) absent(t *testing.T) {
	r := s.resource(t, "1")
	s.wantObserved(t, s.Provider, r, false, false, "")
	if err := s.Provider.Delete(s.ctx(t), r); err != nil {
		t.Fatalf("delete of a missing resource: %v", err)
	}
}

// life: create, a second pass that writes nothing, update, delete, gone, delete again.
func (s Suite) life(t *testing.T) {
	r := s.resource(t, "1")
	outputs := s.apply(t, s.Provider, r)
	observed := s.wantObserved(t, s.Provider, r, true, true, "1")
	if diff := cmp.Diff(outputs, observed.Outputs); diff != "" {
		t.Errorf("outputs of Apply (-) and Observe (+) differ:\n%s", diff)
	}
	s.wantListed(t, r, true)

	in := s.inputs(t, r)
	before := s.Snapshot(t, r)
	s.wantObserved(t, s.Provider, r, true, true, "1")
	s.wantSnapshot(t, r, before, "observe")
	again := s.applyWith(t, s.Provider, r, in)
	s.wantSnapshot(t, r, before, "apply of an unchanged resource")
	if diff := cmp.Diff(outputs, again); diff != "" {
		t.Errorf("outputs of the first (-) and second (+) Apply differ:\n%s", diff)
	}

	r.Digest = "2"
	s.apply(t, s.Provider, r)
	s.wantObserved(t, s.Provider, r, true, true, "2")

	s.delete(t, r)
	s.wantObserved(t, s.Provider, r, false, false, "")
	s.wantListed(t, r, false)
	s.delete(t, r)
}

// adopt: what carries our mark is taken over by a provider that has just started, and kept.
func (s Suite) adopt(t *testing.T) {
	if s.Restart == nil {
		t.Skip("no Restart hook")
	}
	r := s.resource(t, "1")
	s.apply(t, s.Provider, r)
	restarted := s.Restart(t)
	observed, err := restarted.Observe(s.ctx(t), r)
	if err != nil {
		t.Fatalf("observe after a restart: %v", err)
	}
	if !observed.Exists || !observed.Owned {
		t.Errorf("observed after a restart %+v, want it to exist and be owned", observed)
	}
	s.apply(t, restarted, r)
	s.wantObserved(t, restarted, r, true, true, "1")
}

// foreignMark: what carries another environment's mark is neither changed nor deleted.
func (s Suite) foreignMark(t *testing.T) {
	r := s.resource(t, "1")
	s.apply(t, s.Provider, r)
	other := r
	other.Mark.Environment += "-other"
	other.Digest = "2"
	s.wantRefused(t, other, s.inputs(t, r))
	s.wantObserved(t, s.Provider, r, true, true, "1")
}

// unmarked: what carries no mark is neither changed nor deleted.
func (s Suite) unmarked(t *testing.T) {
	if s.Plant == nil {
		t.Skip("no Plant hook")
	}
	r := s.resource(t, "1")
	in := s.inputs(t, r)
	s.Plant(t, r)
	s.wantRefused(t, r, in)
	s.wantListed(t, r, false)
}

// badNames: a name that is not ours by pattern reaches no outside system.
func (s Suite) badNames(t *testing.T) {
	for _, name := range []string{
		"", "x", "preview-", "postgres", "template1", "prod", "PREVIEW-a", "preview-a/../b", "../preview-a",
		"preview-a\x00", "preview-a\n", `preview-a"; DROP DATABASE postgres; --`, "preview-a b", "preview-" + fmt.Sprintf("%051d", 1),
	} {
		r := s.Resource(t)
		r.Name, r.Digest = name, "1"
		if _, err := s.Provider.Observe(s.ctx(t), r); err == nil {
			t.Errorf("observe accepts the name %q", name)
		}
		if _, err := s.Provider.Apply(s.ctx(t), r, preview.Inputs{}); err == nil {
			t.Errorf("apply accepts the name %q", name)
		}
		if err := s.Provider.Delete(s.ctx(t), r); err == nil {
			t.Errorf("delete accepts the name %q", name)
		}
	}
}

// cancelled: an Apply that is interrupted at any time leaves nothing that looks finished, and the next one ends well.
func (s Suite) cancelled(t *testing.T) {
	r := s.resource(t, "1")
	in := s.inputs(t, r)
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := s.Provider.Apply(ctx, r, in)
		cancel()
		if err == nil {
			s.wantObserved(t, s.Provider, r, true, true, "1")
			break
		}
		if class := preview.Classify(err); class == preview.ClassInvalid || class == preview.ClassConflict {
			t.Errorf("apply cancelled after %v: class %s: %v", after, class, err)
		}
		observed, err := s.Provider.Observe(s.ctx(t), r)
		if err != nil {
			t.Fatalf("observe after a cancelled apply: %v", err)
		}
		if observed.Digest != "" {
			t.Errorf("apply cancelled after %v left digest %q, want none", after, observed.Digest)
		}
	}
	s.apply(t, s.Provider, r)
	s.wantObserved(t, s.Provider, r, true, true, "1")
}

// resource makes one that is deleted at the end of the test, if it is ours by then.
func (s Suite) resource(t *testing.T, digest string) preview.Resource {
	t.Helper()
	r := s.Resource(t)
	r.Digest = digest
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), s.Timeout)
		defer cancel()
		if err := s.Provider.Delete(ctx, r); err != nil && !errors.Is(err, preview.ErrConflict) {
			t.Errorf("clean up %s: %v", r.Name, err)
		}
	})
	return r
}

func (s Suite) inputs(t *testing.T, r preview.Resource) preview.Inputs {
	t.Helper()
	if s.Inputs == nil {
		return preview.Inputs{}
	}
	return s.Inputs(t, r)
}

func (s Suite) apply(t *testing.T, p Provider, r preview.Resource) preview.Outputs {
	t.Helper()
	return s.applyWith(t, p, r, s.inputs(t, r))
}

func (s Suite) applyWith(t *testing.T, p Provider, r preview.Resource, in preview.Inputs) preview.Outputs {
	t.Helper()
	outputs, err := p.Apply(s.ctx(t), r, in)
	if err != nil {
		t.Fatalf("apply %s with digest %s: %v", r.Name, r.Digest, err)
	}
	return outputs
}

func (s Suite) delete(t *testing.T, r preview.Resource) {
	t.Helper()
	if err := s.Provider.Delete(s.ctx(t), r); err != nil {
		t.Fatalf("delete %s: %v", r.Name, err)
	}
}

func (s Suite) wantObserved(t *testing.T, p Provider, r preview.Resource, exists, owned bool, digest string) preview.Observed {
	t.Helper()
	got, err := p.Observe(s.ctx(t), r)
	if err != nil {
		t.Fatalf("observe %s: %v", r.Name, err)
	}
	type seen struct {
		Exists, Owned bool
		Digest        string
	}
	if diff := cmp.Diff(seen{exists, owned, digest}, seen{got.Exists, got.Owned, got.Digest}); diff != "" {
		t.Fatalf("observed %s (-want +got):\n%s", r.Name, diff)
	}
	return got
}

// wantRefused expects a conflict from Apply and Delete, and nothing written.
func (s Suite) wantRefused(t *testing.T, r preview.Resource, in preview.Inputs) {
	t.Helper()
	before := s.Snapshot(t, r)
	observed, err := s.Provider.Observe(s.ctx(t), r)
	if err != nil {
		t.Fatalf("observe %s: %v", r.Name, err)
	}
	if !observed.Exists || observed.Owned || observed.Digest != "" {
		t.Errorf("observed %+v, want it to exist, not owned, without digest", observed)
	}
	if _, err := s.Provider.Apply(s.ctx(t), r, in); preview.Classify(err) != preview.ClassConflict || err == nil {
		t.Errorf("apply over what is not ours: %v, want a conflict", err)
	}
	if err := s.Provider.Delete(s.ctx(t), r); err == nil || preview.Classify(err) != preview.ClassConflict {
		t.Errorf("delete of what is not ours: %v, want a conflict", err)
	}
	s.wantSnapshot(t, r, before, "a refused call")
}

func (s Suite) wantSnapshot(t *testing.T, r preview.Resource, before, what string) {
	t.Helper()
	if diff := cmp.Diff(before, s.Snapshot(t, r)); diff != "" {
		t.Errorf("%s wrote (-before +after):\n%s", what, diff)
	}
}

// wantListed expects List to be in name order and to hold r, or not.
func (s Suite) wantListed(t *testing.T, r preview.Resource, want bool) {
	t.Helper()
	found, err := s.Provider.List(s.ctx(t))
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if s.Embedded {
		if len(found) != 0 {
			t.Errorf("list of an embedded kind = %v, want nothing", found)
		}
		return
	}
	listed := false
	for i, f := range found {
		if i > 0 && found[i-1].Name > f.Name {
			t.Errorf("list is not in name order: %s before %s", found[i-1].Name, f.Name)
		}
		if f == (preview.Found{Kind: r.Kind, Name: r.Name, Mark: r.Mark}) {
			listed = true
		}
	}
	if listed != want {
		t.Errorf("%s in list = %t, want %t", r.Name, listed, want)
	}
}

func (s Suite) ctx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	t.Cleanup(cancel)
	return ctx
}
