// Package repoconfig reads a repository's .github/flaresmith.yml: bytes in, a checked
// configuration or every problem with its line and column out.
//
// The file is written by anybody who can open a pull request, so the parse is strict: unknown and
// doubled keys, wrong types, anchors, aliases, tags, further documents, and anything over 64 kB
// are refused, and paths are local to the repository. It performs no input or output, and must
// not know where the file came from: which parts of which branch's file count is decided by the
// caller (Policy from the default branch only, Layout from the pull request's base).
//
// The shape of the file is published as flaresmith.schema.json; see Schema.
package repoconfig
