// Package store keeps what Flaresmith knows in Postgres: one file a table, plain SQL, values of
// package preview in and out.
//
// It takes wishes and deliveries from the inbox and the handlers, and gives the reconciler jobs to
// work on. The rule that everything rests on: a row counts what is wanted and what is done, and a
// River job is armed for it in the same transaction that raises the first count. At most one live
// job works for a row, and none is needed while both counts are equal, so that a wake-up is
// neither lost nor doubled.
//
// Errors are classed: a missing row is preview.ErrNotFound; what a retry may cure (a refused or
// broken connection, a serialisation failure, a deadlock) is a *preview.TransientError.
//
// It must not know GitHub's payloads, the providers, or how a pass is made.
package store
