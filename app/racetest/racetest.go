// Package racetest says which tests the race detector, which runs with -short, leaves out.
package racetest

import "testing"

// OneAfterTheOther is a test whose calls, passes, builds or turns come one after the other. What is at work at the same time on the same
// ways is in other tests of its package, which the race detector runs: providers have providertest.Run, the server has TestPreviewLife,
// TestCloudPreview, TestStorm and the tests of faults.
func OneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
