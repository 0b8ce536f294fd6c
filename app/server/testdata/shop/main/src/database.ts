import { drizzle } from "drizzle-orm/postgres-js";
import { createMiddleware } from "hono/factory";
import postgres from "postgres";

import * as schema from "./schema";

const connect = (client: postgres.Sql) => drizzle(client, { schema });

export type Env = {
  Bindings: { DATABASE_URL: string; SHOP_CURRENCY: string };
  Variables: { db: ReturnType<typeof connect> };
};

// A Worker may not share a socket between requests: each request gets one connection,
// closed after the answer.
export const database = createMiddleware<Env>(async (c, next) => {
  const client = postgres(c.env.DATABASE_URL, { max: 1, fetch_types: false, prepare: false });
  c.set("db", connect(client));
  try {
    await next();
  } finally {
    c.executionCtx.waitUntil(client.end());
  }
});
