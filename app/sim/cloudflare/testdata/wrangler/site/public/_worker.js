export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname !== "/api") return env.ASSETS.fetch(request);
    return Response.json({ GREETING: env.GREETING, LIST: env.LIST, SECRET: env.SECRET ?? "none" });
  },
};
