package codegen

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestTogether(t *testing.T) {
	t.Parallel()
	failure := errors.New("failed")
	var made [3]bool
	err := together(
		func() error { made[0] = true; return nil },
		func() error { made[1] = true; return failure },
		func() error { made[2] = true; return nil },
	)
	if !errors.Is(err, failure) || made != [3]bool{true, true, true} {
		t.Errorf("error %v, done %v", err, made)
	}
}

// TestTogetherInOrder has parts that fail sooner than those before them: what is told does not depend on it.
func TestTogetherInOrder(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("one part at a time")
	}
	first, second := errors.New("first"), errors.New("second")
	failed := make(chan struct{})
	late := func() error {
		<-failed
		time.Sleep(10 * time.Millisecond) // until the other error is taken
		return first
	}
	soon := func() error { defer close(failed); return second }
	if err := together(late, soon); !errors.Is(err, first) {
		t.Errorf("error %v, want that of the first part", err)
	}
}

func TestTogetherPanicsAfterAnError(t *testing.T) {
	t.Parallel()
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "broken") {
			t.Errorf("recovered %v, want the panic", err)
		}
	}()
	failed := make(chan struct{})
	err := together(func() error { defer close(failed); return errors.New("failed") }, func() error {
		<-failed
		time.Sleep(10 * time.Millisecond)
		panic("broken")
	})
	t.Errorf("error %v hides the panic", err)
}

func TestTogetherPanicsInItsCaller(t *testing.T) {
	t.Parallel()
	defer func() {
		err, ok := recover().(error)
		if !ok || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "together_test.go") {
			t.Errorf("recovered %v, want the panic with its place", err)
		}
	}()
	_ = together(func() error { panic("broken") })
	t.Error("no panic")
}
