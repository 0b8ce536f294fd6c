// Package postgres is the local database provider: it branches databases on any PostgreSQL 15+
// server and migrates the branches. Its step is acting on KindDatabase and KindSchema.
//
// It takes the URL of a superuser and gives two providers: [Branches] (a database with a role of
// its own, copied from a parent) and [Schema] (migrations, seed and schema difference in that
// branch). It must not know the reconciler, the store or any other provider.
//
// # What is made
//
// A branch named N is the database N and the role N. The database is owned by the administrator,
// so that the role can't touch its comment, which carries the owner mark and the digests; a second
// copy of the mark is the comment of the role. Everything inside that is no member of an extension
// belongs to the role. A copy is built under the name N_new, which no branch can have, and renamed
// last: a database of the name N is a finished one, and what a crash leaves under N_new is dropped by the
// next Apply. Passwords live in this process's memory only; after a restart the next Apply sets a new one.
//
// # What is changed on the server
//
// New revokes CONNECT from PUBLIC on every database, and every database made here is born closed,
// so that a branch's role reaches its own database alone. Roles of the operator that are no
// superusers need an explicit GRANT CONNECT afterwards.
//
// # Hostile SQL
//
// Migrations are hostile. After a branch was handed to its role, an administrator's session never
// runs anything inside it: not even a SELECT, which could be a view over a function. What is read
// there is read by the branch's role.
//
// # Copying
//
// CREATE DATABASE … TEMPLATE is used when nobody is connected to the parent, with STRATEGY wal_log up to 256 MB and
// file_copy beyond. Measured with PostgreSQL 15, fsync on (BenchmarkBranch): 10 MB take 0.2 s with both, 100 MB 0.4 s
// and 0.3 s, 1 GB 3.2 s and 0.8 s. On a slow disk 138 MB took 1.3 s and 2.7 s, and file_copy forces two checkpoints,
// which slow down every database of the server: small parents, as those of previews should be, do better without.
// On PostgreSQL 18 file_copy_method = clone makes file_copy nearly instant on file systems with reflinks.
//
// A parent in use is copied with pg_dump and pg_restore, which leave its sessions alone (100 MB: 1.2 s, 1 GB: 8 s). Without
// these tools, or if the parent is an environment of ours, whose functions must not run in an administrator's
// session, the parent is fenced: CREATE DATABASE itself holds new sessions back for as long as it
// copies, so it is enough to end the idle ones after it has begun; a crash leaves nothing to repair. A parent
// whose sessions stay in the middle of something for five seconds is a transient error.
//
// # Migrations
//
// Package migrator applies them, on a login of the branch's role that the administrator ends after a time limit.
//
// # Limits
//
// PostgreSQL can't bound the size of a database. While migrations run, its size is looked at several times a
// second, and the session is ended when it has more than Limits.GrowthMB, or twice its parent's size if that is
// more, beyond its parent's size; one that has more already is not migrated before it is reset. What is written
// between two looks is beyond the limit (87 MB were seen where 55 were allowed), and is given back afterwards:
// tables shrink, indexes keep their free pages for the next rows, system catalogs (large objects) are left to autovacuum.
// A core environment's base is its own size before each run. What a preview's Worker writes later is looked at every few
// seconds (CloseOvergrown): beyond twice what migrations may add, the database is closed to its role until it is reset.
// What is written between two looks is beyond that limit, too. A core environment's Worker is bounded by nothing but the disk.
//
// Passwords and results are in one process's memory: two processes that work on the same branch would take the
// password from each other in turn.
//
// # Schema difference
//
// github.com/stripe/pg-schema-diff computes it from two live databases, as the SQL that leads from one to
// the other. pg_dump with a text diff would need a binary of the server's version on every
// machine, and shows a reader two texts instead of the statements.
package postgres
