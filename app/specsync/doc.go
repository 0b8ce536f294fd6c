// Package specsync keeps what is generated from a repository's specs in step with them: it compares the two at a
// pull request's head and says in a check run which lines drifted, and it commits what is missing where a person who
// may write asks for it, by a button, a slash command or POST /specs/apply.
//
//	source → Compare → check run
//	              └──→ Apply → commit on the branch
//
// The specs, the generated files and the configuration that names targets and folders are all the pull request's
// own: they are hostile, bounded, parsed and never run, and what is made of them goes to the very branch that they
// come from. Who may ask is GitHub's answer of that moment. The package is the one of the server that imports
// codegen. It must not know how previews are made.
package specsync
