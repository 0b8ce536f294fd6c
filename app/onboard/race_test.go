package onboard_test

import "testing"

// oneAfterTheOther is a test whose looks come one after the other. The race detector, which runs with -short, has TestAtOnce and
// TestInterrupted.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
