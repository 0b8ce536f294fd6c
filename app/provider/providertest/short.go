package providertest

import "testing"

// OneAfterTheOther is a test whose calls come one after the other. The race detector, which runs with -short, has what is at work at
// the same time in the provider's other tests, as Run.
func OneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is at work at the same time that is not in other tests, too")
	}
}
