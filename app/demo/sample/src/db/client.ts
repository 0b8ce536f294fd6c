// Yours: spec-apply wrote this file once and does not touch it again.
import { drizzle } from "drizzle-orm/postgres-js";
import type { Context } from "hono";
import postgres from "postgres";
import type { AppEnv } from "../env";
import * as schema from "./schema";

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
