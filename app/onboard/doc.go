// Package onboard proposes a configuration to a repository that has none: one pull request
// "Configure Flaresmith", and never another one after that was closed.
//
// It takes a project and reads the repository through GitHub; it gives the pull request's file and
// text. Detect and Proposal are pure: paths and a few files in, a layout and Markdown out. Whatever
// is read comes from strangers: it is bounded, parsed and never run, and escaped where it is shown.
//
// GitHub is the memory of what was proposed, so that an answer survives the loss of our database
// and another installation; the store only tells our own unfinished branch from somebody else's.
// It must not know what a preview is made of, nor who calls it.
package onboard
