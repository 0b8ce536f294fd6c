// Package handlers says what each GitHub event means: one file an event, each decode, guard and one
// wish recorded in the store.
//
// An event is a hint that names a key: which project, which pull request, which branch. What it says
// of their state is used only where GitHub gives a time to order it by; everything else is read anew
// by the reconciler. So an event may come late, twice, or never, and in any order.
//
// It takes the raw payload of a verified delivery and gives rows in the store. It must not call
// GitHub or a provider, and needs nothing of the server's configuration but the App's id. A payload
// that does not decode is an *preview.InvalidError whose text quotes none of it; an action that we
// do not know, or an event of a repository where the App is not installed, is nothing to do.
package handlers
