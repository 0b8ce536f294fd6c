// Yours: spec-apply wrote this file once and does not touch it again.
import type { Context } from "hono";
import type { AppEnv } from "./env";
import { notImplemented } from "./http";

/**
 * Lets requests in that a contract asks a security scheme of, before generated handlers touch the database: return, or
 * throw an HTTPException with 401 or 403. As long as nobody wrote it, they answer 501.
 */
export const authorize = (_c: Context<AppEnv>, _scheme: string): Promise<void> | void => notImplemented();
