package server

import "testing"

// oneAfterTheOther is a test whose passes come one after the other, on ways that TestPreviewLife, TestCloudPreview,
// TestStorm and the tests of faults take at once. The race detector runs those, with -short, and not this one.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}

// someOf is a table whose rows take the same way through the code: with -short each third.
func someOf[T any](rows []T) []T {
	if !testing.Short() {
		return rows
	}
	var some []T
	for i := 0; i < len(rows); i += 3 {
		some = append(some, rows[i])
	}
	return some
}
