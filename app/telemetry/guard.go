package telemetry

import (
	"fmt"
	"runtime/debug"
)

// Guarded makes an error with the stack of a panic. What runs in a goroutine of its own would end the server by
// one, and again after each start, for every tenant, because of what one pull request holds.
func Guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return do()
}
