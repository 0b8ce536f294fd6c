// Package neon is the database provider for Neon: branches of a project there, over its API v2. Its step is
// acting on KindDatabase ([Branches]) and KindSchema ([Schema]). It takes an API key and a project and must not know the reconciler, the store or any
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
// but a cache of them is in this process. A reset brings the parent's, also one by a person at Neon's console: the name of the branch's
// compute says after which reset they were renewed, and a branch that was reset since is unfinished until they are again.
//
// # Migrations
//
// Package migrator applies them over the branch's own compute, not the pooler, as the owner of its database, and never
// without a certificate that somebody known vouches for. The time limit holds from outside: a second session of the
// owner ends the first, and as hostile SQL might end that one in turn, the compute is suspended over Neon's API where it
// does not help; the preview's sessions end with it, and come back by themselves.
//
// Every branch has a compute and storage of its own, so that a migration takes nothing from others; but it costs money,
// and the plan bounds a branch's size. So growth is watched as with a server of one's own: a preview's database may have
// Migrations.GrowthMB, or twice its parent's size if that is more, beyond its parent's size, as PostgreSQL tells it
// (Neon's logical_size comes late and is of all databases together). Where Neon's own limit is reached first, that is
// the migration's fault and no reason to try again. Space of what was rolled back is Neon's to reclaim.
//
// The digest of a finished schema is in the name of the branch's compute, together with the time of the branch's last
// reset. No SQL reaches that, and it is read without starting a compute that sleeps; see ADR 16. What the parent has
// meanwhile is read when anything is migrated, and every six hours at most when not.
//
// The schema difference is Neon's own comparison, asked for when a branch has other migrations than its parent.
//
// Where applied migrations changed or vanished, a fresh branch is made and migrated beside the old one and then takes
// its name, so that a failure leaves what served before. It has another address, which the outputs hold, and needs room
// for one more branch meanwhile.
//
// # Long-lived environments
//
// They have the branches that the operator names for them, which are migrated and bound, and otherwise left as they are; the comment on
// the database says whose each is. See ADR 31.
//
// # Never production
//
// The project's default branch, protected branches, roots, and those that the operator names are never
// taken for one of ours, whatever their name and annotation say: by id, before every write. A connection string that leads to another
// compute than the branch's own is neither used nor bound.
package neon
