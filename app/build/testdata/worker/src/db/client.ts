import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import * as schema from "./schema.js";

export function connect(url: string) {
  const sql = postgres(url, { max: 5, fetch_types: false });
  return { db: drizzle(sql, { schema }), close: () => sql.end() };
}
