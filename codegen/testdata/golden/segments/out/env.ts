// Yours: spec-apply wrote this file once and does not touch it again.

/** What the Worker is given, and what middleware leaves for handlers. */
export type AppEnv = {
  Bindings: {
    DATABASE_URL: string;
  };
  Variables: {};
};
