package target

import "slices"

// CRUDShared is the module that handlers for plain CRUD share.
func CRUDShared(env string) []byte {
	return slices.Concat([]byte(`import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { AppEnv } from `), quoted(env), []byte(`;

/** A database of Drizzle's, whichever driver is behind it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the schema of relational queries, which are not used
export type Database = PgDatabase<PgQueryResultHKT, any>;

/** Gives work a database, and frees afterwards what that took. */
export type WithDatabase = <T>(c: Context<AppEnv>, work: (db: Database) => Promise<T>) => Promise<T>;

/** Lets a request in, or throws an HTTPException. The scheme is named as in the contract. */
export type Authorize = (c: Context<AppEnv>, scheme: string) => Promise<void> | void;

/** Tells what Postgres found wrong with a row: another has its values, what it refers to is not there or in use, or its values are none. */
export const violation = (error: unknown): "clash" | "reference" | "invalid" | undefined => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const code = "code" in at ? String(at.code) : "";
    if (code === "23505" || code === "23P01") return "clash";
    if (code === "23503" || code === "23001") return "reference";
    if (code === "23502" || code === "23514" || /^22[0-9A-Z]{3}$/.test(code)) return "invalid";
  }
  return undefined;
};

/** Answers what Postgres refuses, where a contract says nothing of it. */
export const answering =
  (withDatabase: WithDatabase): WithDatabase =>
  async (c, work) => {
    try {
      return await withDatabase(c, work);
    } catch (error) {
      const why = violation(error);
      if (why === undefined) throw error;
      if (why === "invalid") throw new HTTPException(400, { message: "Values of the request can't be stored", cause: error });
      throw new HTTPException(409, { message: "The request clashes with what is there", cause: error });
    }
  };

/** Tells whether there is anything to change. */
export const given = (values: Record<string, unknown>): boolean => Object.values(values).some((value) => value !== undefined);
`))
}

// DatabaseClient is the file in which people say how a request gets its database.
func DatabaseClient(env, tables string) []byte {
	return slices.Concat([]byte(`// Yours: spec-apply wrote this file once and does not touch it again.
import { drizzle } from "drizzle-orm/postgres-js";
import type { Context } from "hono";
import postgres from "postgres";
import type { AppEnv } from `), quoted(env), []byte(`;
import * as schema from `), quoted(tables), []byte(`;

const connect = (client: postgres.Sql) => drizzle(client, { schema });

/**
 * Gives work a connection of its own, which is closed after it: a Worker can't share one between requests.
 *
 *   await withDatabase(c, (db) => db.query.things.findMany());
 */
export const withDatabase = async <T>(c: Context<AppEnv>, work: (db: ReturnType<typeof connect>) => Promise<T>): Promise<T> => {
  const client = postgres(c.env.DATABASE_URL, { max: 1, fetch_types: false, prepare: false });
  try {
    return await work(connect(client));
  } finally {
    c.executionCtx.waitUntil(client.end());
  }
};
`))
}

// Authorize is the file in which people say who may do what.
func Authorize(env, http string) []byte {
	return slices.Concat([]byte(`// Yours: spec-apply wrote this file once and does not touch it again.
import type { Context } from "hono";
import type { AppEnv } from `), quoted(env), []byte(`;
import { notImplemented } from `), quoted(http), []byte(`;

/**
 * Lets requests in that a contract asks a security scheme of, before generated handlers touch the database: return, or
 * throw an HTTPException with 401 or 403. As long as nobody wrote it, they answer 501.
 */
export const authorize = (_c: Context<AppEnv>, _scheme: string): Promise<void> | void => notImplemented();
`))
}
