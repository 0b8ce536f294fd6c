// Package neon is the database provider for Neon: branches of a project there, over its API v2. Its step is
// acting on KindDatabase. It takes an API key and a project and must not know the reconciler, the store or any
// other provider. Calls go over the transport that it is given, which bounds, budgets and repeats them.
//
// # What is made
//
// A branch named N is a Neon branch of that name with one read-write compute, made in a single call, whose
// annotation holds the owner mark and the digest. Annotations can't be changed afterwards, so a branch under
// construction is named N_new, which no resource of ours can have, and is renamed as the last act: a branch of the name
// N is a finished one. A timed-out creation is found again by its name.
//
// # Passwords
//
// A child has its parent's roles with their passwords unless the parent is protected. Each of them gets a new
// password in the child before anything uses it, and before the child has its name. Neon keeps passwords, so nothing
// but a cache of them is in this process.
//
// # Never production
//
// The project's default branch, protected branches, roots, and those that the operator names are never
// taken for one of ours, whatever their name and annotation say: by id, before every write.
package neon
