package codegen

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// together does parts of the work at the same time, as many as there are processors, and gives the error of the first part that has one,
// whichever was faster. A panic of one is one of the caller, which may be a server that survives it: a goroutine of its own would end the
// whole process.
func together(parts ...func() error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	panics, errs := make([]*panicError, len(parts)), make([]error, len(parts))
	for i, part := range parts {
		group.Go(func() error {
			defer func() {
				if value := recover(); value != nil {
					panics[i] = &panicError{value, debug.Stack()}
				}
			}()
			errs[i] = part()
			return nil
		})
	}
	_ = group.Wait() // each part has its own error
	for _, panicked := range panics {
		if panicked != nil {
			panic(panicked)
		}
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// panicError is a panic of a part, with where it was.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("%v\n%s", e.value, e.stack) }
