// Package reconcile makes the world match what is wanted, one environment and one pass at a time:
//
//	lease → facts → commands → desired → observe → plan → act → record → report → requeue
//
// A pass starts from facts (is the pull request open? at which commit? what exists at the
// providers?), so late, doubled, missing or reordered events are harmless. It takes an
// environment's id and leaves a row, a ledger and a report behind. It declares what it needs of
// the store, of GitHub and of the providers as small interfaces and knows none of them.
package reconcile
