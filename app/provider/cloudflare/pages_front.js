// Stands in front of a Worker on Cloudflare Pages: what is a static file is served as one, as Workers do by themselves.
import * as worker from "flaresmith:worker";
export * from "flaresmith:worker";

const told = "flaresmith:told";
const paths = new Set(told.paths);
const rules = told.first.map((text) => {
  const not = text.startsWith("!");
  const parts = (not ? text.slice(1) : text).split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return { not, pattern: new RegExp("^" + parts.join(".*") + "$") };
});

export default wrap(worker["default"]);

function wrap(main) {
  if (typeof main === "function") {
    return class extends main {
      fetch(request) {
        return isFile(request) ? this.env.ASSETS.fetch(request) : super.fetch(request);
      }
    };
  }
  if (main === null || typeof main !== "object") return main;
  return { fetch: (request, env, ctx) => (isFile(request) ? env.ASSETS.fetch(request) : main.fetch(request, env, ctx)) };
}

function isFile(request) {
  const { pathname } = new URL(request.url);
  const match = (rule) => rule.pattern.test(pathname);
  if (rules.some((rule) => rule.not && match(rule))) return true;
  if (rules.some((rule) => !rule.not && match(rule))) return false;
  let path = pathname;
  try {
    path = decodeURIComponent(pathname);
  } catch {
    // not a file's, then
  }
  return paths.has(path) || (told.navigations && request.headers.get("Sec-Fetch-Mode") === "navigate");
}
