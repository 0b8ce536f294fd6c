// Package dashboard is the pages that people look at: the environments of one project with their
// states, their last passes step by step, and their Workers' logs, kept up to date without reload.
//
// It takes what the store holds, the Workers' last lines and the folder of the collections, all
// through interfaces of its own, and gives HTML and downloads. Whoever has an expiring link may
// look at that project's pages, and so may who is signed in and has a role on the repository, which
// is asked for again each minute. Nothing can be changed through the pages.
//
// Whatever it shows was written by others and is escaped; the pages run one script of ours and
// load nothing from elsewhere. The package must not know GitHub, providers or how passes are made.
package dashboard
