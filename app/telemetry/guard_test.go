package telemetry

import (
	"errors"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestGuarded(t *testing.T) {
	t.Parallel()
	err := Guarded(func() error { panic("a bug") })
	if err == nil || preview.Classify(err) != preview.ClassPermanent || !strings.Contains(err.Error(), "TestGuarded") {
		t.Errorf("a panic became %v", err)
	}
	down := errors.New("down")
	if err := Guarded(func() error { return down }); !errors.Is(err, down) {
		t.Errorf("an error became %v", err)
	}
}
