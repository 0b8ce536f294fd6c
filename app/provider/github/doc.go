// Package github is how Flaresmith reads and writes GitHub as an App: facts about repositories
// and pull requests in, and deliveries that did not arrive; a report's check run, comment and deployment out.
//
// It takes an App's identity and the projects that the caller names; it gives values of
// app/preview, and errors classed as there. Every write is an upsert that finds what an earlier,
// interrupted one left, and an unchanged part costs no call. Tokens are made per repository and
// with the permissions of the kind of call only; they go to the API's own host and nowhere else.
// It must not know what a preview is made of, how a report is worded, or the store.
package github
