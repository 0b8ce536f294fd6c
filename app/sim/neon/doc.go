// Package neon is a stand-in of Neon for the demo and for tests: its API v2 over HTTP, and behind it a real
// PostgreSQL cluster a branch, reached through a TLS gateway that tells the branch by its host name, as Neon's
// proxy does. It is stateful, asynchronous where Neon is, keeps Neon's limits, and can fail on demand.
//
// What it does as Neon documents it: a branch is created at once and ready later, its operations tell when; it
// inherits its parent's roles and passwords unless the parent is protected; a root, default or parent branch can't be
// deleted; expired branches go by themselves; requests that touch a branch with running operations get 423;
// 700 requests a minute and 40 a second and route are let through. Every exchange can be checked against
// Neon's own description (Config.Validate).
//
// It knows nothing of the rest of the program.
package neon
