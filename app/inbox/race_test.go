package inbox_test

import "testing"

// oneAfterTheOther is a test of one turn after the other. The race detector, which runs with -short, has two at once.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
