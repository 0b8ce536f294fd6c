// Package migration reads a repository's migrations before anything runs them: the folder's files in
// their order, the statements of a file with their places, and which statements destroy data or break
// code that still runs.
//
// It is given a file tree that is hostile and gives values; it knows no database and no provider.
// What is said of statements is told from their text alone: what a function does when it is called
// is not followed, so that the answer helps a reviewer and is no fence. The fence is that a preview
// has a copy of the data.
package migration
