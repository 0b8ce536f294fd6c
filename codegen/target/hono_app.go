package target

import (
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// HonoPart is a contract's share of an app: modules, without extension, as the app imports them.
type HonoPart struct {
	Name             string // what tells it apart
	Routes, Handlers string
	CRUD             string // handlers for plain CRUD, or empty
}

// HonoDatabase are the modules, without extension, that an app with handlers for plain CRUD imports.
type HonoDatabase struct {
	Client, Authorize string
}

// HonoApp writes the module that adds the routes of all contracts to an app.
func HonoApp(parts []HonoPart, env string, database HonoDatabase) []byte {
	w := &writer{}
	w.text("import type { OpenAPIHono } from \"@hono/zod-openapi\";\nimport type { AppEnv } from ")
	w.quote(env)
	w.text(";\n")
	if slices.ContainsFunc(parts, func(p HonoPart) bool { return p.CRUD != "" }) {
		w.text("import { authorize } from ")
		w.quote(database.Authorize)
		w.text(";\nimport { withDatabase } from ")
		w.quote(database.Client)
		w.text(";\n")
	}
	taken := map[string]bool{"authorize": true, "withDatabase": true}
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = partName(part.Name, taken)
		if part.CRUD != "" {
			w.text("import { crud as ", names[i], "Crud } from ")
			w.quote(part.CRUD)
			w.text(";\n")
		}
		w.text("import { handlers as ", names[i], "Handlers } from ")
		w.quote(part.Handlers)
		w.text(";\nimport { register as ", names[i], "Routes } from ")
		w.quote(part.Routes)
		w.text(";\n")
	}
	w.text("\n/** Adds the routes of all contracts to an app, with the handlers that answer them. */\nexport const register = (app: OpenAPIHono<AppEnv>): void => {")
	w.indent++
	for i, name := range names {
		w.line()
		if parts[i].CRUD == "" {
			w.text(name, "Routes(app, ", name, "Handlers);")
		} else {
			w.text(name, "Routes(app, { ...", name, "Crud(withDatabase, authorize), ...", name, "Handlers });")
		}
	}
	w.indent--
	w.line()
	w.text("};\n")
	return w.out
}

// partName makes a name in code of a contract's: shopAdmin of 001-shop/admin.
func partName(name string, taken map[string]bool) string {
	pascal := ir.Pascal(strings.TrimLeft(name, "0123456789-"))
	base := strings.ToLower(pascal[:1]) + pascal[1:]
	name = base
	for n := 2; taken[name]; n++ {
		name = base + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}

// HonoHandlers is the file that people write their handlers into.
func HonoHandlers(routes string) []byte {
	return slices.Concat([]byte(`// Yours: spec-apply wrote this file once and does not touch it again.
import type { Handlers } from `), quoted(routes), []byte(`;

/**
 * What answers the operations, by their names; one that is not here answers 501. With "satisfies Handlers" in
 * place of "satisfies Partial<Handlers>", the compiler asks for all of them.
 *
 *   listThings: async (c) => c.json(await things(c.req.valid("query").limit), 200),
 */
export const handlers = {} satisfies Partial<Handlers>;
`))
}

// HonoEnv is the file that people say their Worker's bindings in.
func HonoEnv() []byte {
	return []byte(`// Yours: spec-apply wrote this file once and does not touch it again.

/** What the Worker is given, and what middleware leaves for handlers. */
export type AppEnv = {
  Bindings: {
    DATABASE_URL: string;
  };
  Variables: {};
};
`)
}

// HonoEntry is the Worker's entry, which people add middleware to.
func HonoEntry(app, env, http string) []byte {
	return slices.Concat([]byte(`// Yours: spec-apply wrote this file once and does not touch it again.
import { OpenAPIHono } from "@hono/zod-openapi";
import { register } from `), quoted(app), []byte(`;
import type { AppEnv } from `), quoted(env), []byte(`;
import { failed, invalid, missing } from `), quoted(http), []byte(`;

const app = new OpenAPIHono<AppEnv>({ defaultHook: invalid });
app.onError(failed);
app.notFound(missing);
register(app);

export default app;
`))
}

// HonoHTTP is the module that routes share: readers of parameters, and answers that are errors.
func HonoHTTP(env string) []byte {
	return slices.Concat([]byte(`import type { Hook } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import * as z from "zod";
import type { AppEnv } from `), quoted(env), []byte(`;

/** The body of an answer that is an error: problem details as in RFC 9457. */
export type Problem = {
  title: string;
  status: number;
  detail?: string;
  errors?: { in: string; path: string; message: string }[];
};

export const problem = (c: Context, status: ContentfulStatusCode, title: string, more: Pick<Problem, "detail" | "errors"> = {}): Response =>
  c.body(JSON.stringify({ title, status, ...more } satisfies Problem), status, { "Content-Type": "application/problem+json" });

/** Answers requests that are not as their contract says. */
export const invalid: Hook<unknown, AppEnv, string, Response | undefined> = (result, c) =>
  result.success
    ? undefined
    : problem(c, 400, "The request is not as the contract says", {
        errors: result.error.issues.map((issue) => ({ in: result.target, path: issue.path.map(String).join("."), message: issue.message })),
      });

/** Answers what handlers throw. Only an HTTPException below 500 tells its message. */
export const failed = (error: Error, c: Context<AppEnv>): Response => {
  if (error instanceof HTTPException) {
    if (error.res) return error.getResponse();
    if (error.status < 500) return problem(c, error.status as ContentfulStatusCode, error.message || "The request can't be carried out");
  }
  console.error(error);
  return problem(c, error instanceof HTTPException ? (error.status as ContentfulStatusCode) : 500, "Something went wrong");
};

export const missing = (c: Context<AppEnv>): Response => problem(c, 404, "There is nothing here");

export const notImplemented = (): never => {
  throw new HTTPException(501, { res: new Response(JSON.stringify({ title: "Not implemented", status: 501 } satisfies Problem), { status: 501, headers: { "Content-Type": "application/problem+json" } }) });
};

/** Refuses requests without a body, where the contract leaves open of which type it is. */
export const bodyRequired: MiddlewareHandler = async (c, next) => {
  if (c.req.header("Content-Type") === undefined) throw new HTTPException(400, { message: "The request has no body" });
  await next();
};

/** Reads a number. What is none stays as it is, so that the schema refuses it. */
export const number = (value: unknown): unknown => (typeof value === "string" && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value) ? Number(value) : value);

export const boolean = (value: unknown): unknown => (value === "true" ? true : value === "false" ? false : value);

/** Reads a list: of one text that a separator divides, or of all that came under the name. */
export const list = (separator: string, item: (value: unknown) => unknown = (value) => value) => (value: unknown): unknown => {
  if (value === undefined) return value;
  const texts = Array.isArray(value) ? value : typeof value === "string" && separator !== "" ? (value === "" ? [] : value.split(separator)) : [value];
  return texts.map(item);
};

/** Reads the parameters in segments of a path that are more than one parameter. */
export const divided = <T extends z.ZodObject>(segments: Record<string, [pattern: RegExp, ...names: string[]]>, params: T): T =>
  z.preprocess((value) => {
    const all: Record<string, unknown> = { ...(value as Record<string, unknown>) };
    for (const [segment, [pattern, ...names]] of Object.entries(segments)) {
      const found = pattern.exec(String(all[segment]));
      names.forEach((name, at) => (all[name] = found?.[at + 1]));
    }
    return all;
  }, params) as unknown as T; // it reads what comes as texts, and gives what the object gives

export const json = (value: unknown): unknown => {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
};
`))
}

func quoted(text string) []byte {
	w := &writer{}
	w.quote(text)
	return w.out
}
