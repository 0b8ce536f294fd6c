// Yours: spec-apply wrote this file once and does not touch it again.
import { OpenAPIHono } from "@hono/zod-openapi";
import { register } from "./app";
import type { AppEnv } from "./env";
import { failed, invalid, missing } from "./http";

const app = new OpenAPIHono<AppEnv>({ defaultHook: invalid });
app.onError(failed);
app.notFound(missing);
register(app);

export default app;
