package store_test

import "testing"

// oneAfterTheOther is a test whose calls come one after the other. The race detector, which runs with -short, has those that come at once.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
