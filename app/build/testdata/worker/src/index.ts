import { Hono } from "hono";
import { cors } from "hono/cors";
import { desc } from "drizzle-orm";
import { connect } from "@/db/client";
import { notes } from "@/db/schema";
import { Page } from "./page";
import about from "./about.txt";

type Bindings = { DATABASE_URL: string; GREETING: string };

const app = new Hono<{ Bindings: Bindings }>();
app.use("*", cors());

app.get("/", (c) => c.html(Page({ title: c.env.GREETING }) as unknown as string));
app.get("/about", (c) => c.text(about));
app.get("/notes", async (c) => {
  const { db, close } = connect(c.env.DATABASE_URL);
  const rows = await db.select().from(notes).orderBy(desc(notes.id));
  c.executionCtx.waitUntil(close());
  return c.json(rows);
});

export default app;
