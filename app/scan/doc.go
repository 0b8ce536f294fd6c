// Package scan looks for secrets in what pull requests and pushes bring, for repositories that say "secrets: app",
// and answers with one check run a commit.
//
// It takes a preview.Scan, which is a hint that names a pull request or a commit, and reads the rest anew: the
// default branch's policy, the pull requests whose head the commit is, with their texts and what is written below
// them, the commits of each range and what each of them changed against all of its parents, and the contents by their
// ids. What was clean before is not read again, so that a search that is interrupted goes on where it was. It must
// hold no value outside action/secretscan: checks, logs and errors tell rules and places, and hostile paths through
// Shown only.
package scan
