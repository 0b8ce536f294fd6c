// Package drift is the last step of spec apply before anything is written: it compares the files
// that were generated with those that are there, and says what would change and what stands in the
// way. A manifest of hashes tells its own files from those that people wrote or changed; a file
// whose head carries the hash of its content is recognised without one. A file that is written once
// belongs to people as soon as it is there: whatever it holds is neither drift nor a conflict, and only
// an untouched one goes with its spec.
//
// The package reads through an fs.FS and writes nothing.
package drift
