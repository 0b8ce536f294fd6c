export default {
  async fetch(request, env) {
    const file = await env.ASSETS.fetch(new URL("/", request.url));
    return Response.json({ GREETING: env.GREETING, LIST: env.LIST, ASSETS: file.ok ? "found" : "missing" });
  },
};
