// Package demo plays a pull request's life against the real server and prints what happens.
//
// It takes the sample repository and the story's commits that are embedded in it, starts the
// server, its Postgres and the stand-in GitHub, and gives a list of verified steps. It knows no
// provider: everything goes over HTTP and Git, as it would from outside.
package demo
