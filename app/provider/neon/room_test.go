package neon_test

import (
	"errors"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

// A project that is full refuses another branch without harm, and then it is known how many there can be of each of ours.
func TestRoom(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, func(c *sim.Config) { c.Branches = 2 })
	p := provider(t, s)
	first := resource(t)
	if _, known := p.Headroom(first.Mark.Project); known {
		t.Error("nobody was refused yet")
	}
	if _, err := p.Apply(t.Context(), first, preview.Inputs{}); err != nil {
		t.Fatal(err)
	}
	second := resource(t)
	for _, mark := range []preview.Mark{{Project: first.Mark.Project, Environment: second.Mark.Environment}, second.Mark} {
		second.Mark = mark
		if _, err := p.Apply(t.Context(), second, preview.Inputs{}); !errors.Is(err, preview.ErrNoRoom) || preview.Classify(err) != preview.ClassTransient {
			t.Errorf("without room: %v", err)
		}
	}
	for project, want := range map[string]int{first.Mark.Project: 1, second.Mark.Project: 0} {
		if got, known := p.Headroom(project); got != want || !known {
			t.Errorf("room for %d, %t; want %d", got, known, want)
		}
	}
	if err := p.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, known := p.Headroom(first.Mark.Project); known {
		t.Error("a branch went, and there is still no room")
	}
	if _, err := p.Apply(t.Context(), second, preview.Inputs{}); err != nil {
		t.Error(err)
	}
}

// A long-lived environment's own branch takes room of Neon's project and is no preview's: there can be as many previews as there are.
func TestRoomBesideLongLived(t *testing.T) {
	t.Parallel()
	s := world(t, func(c *sim.Config) { c.Branches = 2 })
	p := provider(t, s)
	dev := resource(t)
	dev.Name, dev.Keep = preview.CoreName("conform", preview.EnvironmentDev), true
	apply(t, p, dev)
	r := resource(t)
	r.Mark.Project = dev.Mark.Project
	if _, err := p.Apply(t.Context(), r, preview.Inputs{}); !errors.Is(err, preview.ErrNoRoom) {
		t.Errorf("without room: %v", err)
	}
	if got, known := p.Headroom(r.Mark.Project); got != 0 || !known {
		t.Errorf("room for %d previews, %t; want none", got, known)
	}
}
