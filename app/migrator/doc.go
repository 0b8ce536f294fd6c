// Package migrator applies a repository's migrations to a database, whoever made that: its step is acting on
// KindSchema, for every provider of databases. It is given a session, what can end it from outside, and the migrations,
// and gives what was applied. It knows no provider.
//
// # Hostile SQL
//
// Migrations are hostile. They run statement by statement in one transaction, as drizzle-orm's migrator runs them, in a
// [Session] that something outside ends after a time limit, and when its database has grown too much: what the SQL does
// can neither prolong nor catch that. What ends it, and how large a database is, the provider says.
//
// # Bookkeeping
//
// Folders of drizzle-kit (meta/_journal.json) are recorded in drizzle.__drizzle_migrations exactly as drizzle-orm 0.45
// does it, so that its own migrator finds nothing pending; a migration older than the newest applied one runs here though
// drizzle would skip it. Plain *.sql files run in name order, without *.down.sql, and are recorded in
// flaresmith.migrations. The reader of a parent's books may be anybody, a superuser too: nothing that a migration left
// there runs in its session.
package migrator
