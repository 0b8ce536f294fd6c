package build

import "testing"

// oneAfterTheOther is a test of one build after the other. The race detector, which runs with -short, has those that share packages, and
// builds in processes of their own.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
