package secretscan

import "testing"

// oneGoroutine is a test of what one goroutine does after the other: the race detector, which runs with -short, takes its time
// there and sees nothing that is not in the tests of histories and ranges, too.
func oneGoroutine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
}
