// Package secretscan finds secrets in a working tree, in what is staged, in a range of commits, in a
// whole history, or in a stream, and says where they are without ever saying what they are.
//
// The rules are data (rules_gen.go, written by rulegen). A scan of a text is: an automaton looks for
// literals of which each rule's matches hold one; cheap hand-written tests look at what follows; only
// where these agree does a rule's expression run, on the few bytes that a match could cover; then
// entropy, allowances and checksums decide. Encoded text is decoded and searched the same way, within
// bounds.
//
// What was matched is a value, which never leaves this package: findings, reports, errors and notes hold
// rule, place, tier and a fingerprint, and a panic in a matcher becomes an error that names the place only.
//
// It takes a folder or a stream and gives []Finding. It knows nothing of GitHub, workflows or the server.
package secretscan

//go:generate go run ./rulegen
