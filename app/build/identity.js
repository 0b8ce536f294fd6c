// Stands in front of a preview's Worker. It answers the server's signed question, which environment and which database
// this is, and passes everything else on.
import * as worker from "flaresmith:worker";
export * from "flaresmith:worker";

const path = "/.well-known/flaresmith/identity";
const patience = 10_000; // milliseconds for the database
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export default wrap(worker["default"]);

function wrap(main) {
  if (typeof main === "function") {
    return class extends main {
      fetch(request) {
        return asks(request) ? answer(request, this.env, () => pass(super.fetch, this, [request])) : pass(super.fetch, this, [request]);
      }
    };
  }
  if (main === null || typeof main !== "object") return main;
  const wrapped = {};
  for (const name of ["scheduled", "queue", "email", "tail", "trace", "tailStream", "test"]) {
    if (typeof main[name] === "function") wrapped[name] = (...args) => main[name](...args);
  }
  wrapped.fetch = (request, env, ctx) => {
    const next = () => pass(main.fetch, main, [request, env, ctx]);
    return asks(request) ? answer(request, env, next) : next();
  };
  return wrapped;
}

function pass(fetch, self, args) {
  if (typeof fetch !== "function") throw new TypeError("Handler does not export a fetch() function.");
  return fetch.apply(self, args);
}

function asks(request) {
  return request.headers.has("flaresmith-nonce") && new URL(request.url).pathname === path;
}

async function answer(request, env, next) {
  const told = typeof env?.FLARESMITH_IDENTITY === "string" ? JSON.parse(env.FLARESMITH_IDENTITY) : null;
  const nonce = request.headers.get("flaresmith-nonce");
  if (told === null || !(await signed(told, nonce, request.headers.get("flaresmith-signature") ?? ""))) return next();
  const said = { environment: told.environment, deployment: told.deployment, nonce };
  if (told.database) {
    try {
      said.database = await within(patience, database(env[told.database]));
    } catch (error) {
      said.failure = error instanceof Refusal ? error.message : "unreachable"; // never more: it may hold what is secret
    }
  }
  return Response.json(said, { headers: { "cache-control": "no-store" } });
}

async function signed(told, nonce, signature) {
  try {
    const key = await crypto.subtle.importKey("raw", base64(told.key), { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, key, base64(signature), encoder.encode(told.deployment + "\n" + nonce));
  } catch {
    return false;
  }
}

function within(time, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("too slow")), time);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

// Refusal is the database's no; its message is the five characters of an SQLSTATE.
class Refusal extends Error {}

// database connects as the Worker does and reads the name of its database and the comment on it: PostgreSQL's protocol 3
// as far as one plain query needs it.
async function database(address) {
  const url = new URL(address);
  const mode = url.searchParams.get("sslmode");
  const secure = mode !== null && mode !== "disable";
  const { connect } = await import("cloudflare:sockets");
  let socket = connect({ hostname: url.hostname, port: Number(url.port || 5432) }, { secureTransport: secure ? "starttls" : "off" });
  try {
    if (secure) socket = await encrypted(socket, url.hostname);
    const line = new Line(socket);
    const user = decodeURIComponent(url.username);
    const options = url.searchParams.get("options"); // where a proxy can't tell a database by the host's name
    await line.write(startup({ user, database: decodeURIComponent(url.pathname.slice(1)) || user, ...(options && { options }) }));
    await authenticate(line, decodeURIComponent(url.password));
    await line.send("Q", text(`SELECT pg_catalog.current_database(), pg_catalog.shobj_description(d.oid, 'pg_database')
      FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`));
    let row = [];
    for (;;) {
      const { type, body } = await line.message();
      if (type === "D") row = columns(body);
      if (type === "Z") return { name: row[0], comment: row[1] };
    }
  } finally {
    socket.close().catch(() => {});
  }
}

async function encrypted(socket, hostname) {
  const writer = socket.writable.getWriter();
  await writer.write(join(int32(8), int32(80877103)));
  writer.releaseLock();
  const reader = socket.readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  if (value?.[0] !== 83 || value.length !== 1) throw new Error("no TLS");
  return socket.startTls({ expectedServerHostname: hostname });
}

async function authenticate(line, password) {
  let scram;
  for (;;) {
    const { type, body } = await line.message();
    if (type === "Z") return;
    if (type !== "R") continue;
    const data = body.subarray(4);
    switch (new DataView(body.buffer, body.byteOffset).getInt32(0)) {
      case 0:
      case 12:
        break;
      case 3:
        await line.send("p", text(password));
        break;
      case 10: {
        scram = { password, nonce: btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18)))) };
        const first = encoder.encode("n,,n=,r=" + scram.nonce);
        await line.send("p", join(text("SCRAM-SHA-256"), int32(first.length), first));
        break;
      }
      case 11:
        await line.send("p", encoder.encode(await proof(scram, decoder.decode(data))));
        break;
      default:
        throw new Error("unknown authentication");
    }
  }
}

// proof is the client's final message of SCRAM-SHA-256 (RFC 5802, RFC 7677).
async function proof({ password, nonce }, challenge) {
  const given = Object.fromEntries(challenge.split(",").map((part) => [part[0], part.slice(2)]));
  if (!given.r.startsWith(nonce)) throw new Error("another nonce");
  const raw = await crypto.subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, ["deriveBits"]);
  const salted = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: base64(given.s), iterations: Number(given.i) }, raw, 256);
  const client = await hmac(salted, encoder.encode("Client Key"));
  const final = "c=biws,r=" + given.r;
  const signature = await hmac(await crypto.subtle.digest("SHA-256", client), encoder.encode(`n=,r=${nonce},${challenge},${final}`));
  return final + ",p=" + btoa(String.fromCharCode(...client.map((byte, i) => byte ^ signature[i])));
}

async function hmac(key, data) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

// Line reads and writes messages.
class Line {
  constructor(socket) {
    this.reader = socket.readable.getReader();
    this.writer = socket.writable.getWriter();
    this.held = new Uint8Array(0);
  }
  write(bytes) {
    return this.writer.write(bytes);
  }
  send(type, body) {
    return this.write(join(encoder.encode(type), int32(body.length + 4), body));
  }
  async take(count) {
    while (this.held.length < count) {
      const { value, done } = await this.reader.read();
      if (done) throw new Error("closed");
      this.held = join(this.held, value);
    }
    const taken = this.held.slice(0, count);
    this.held = this.held.subarray(count);
    return taken;
  }
  async message() {
    const head = await this.take(5);
    const body = await this.take(new DataView(head.buffer).getInt32(1) - 4);
    const type = String.fromCharCode(head[0]);
    if (type === "E") throw new Refusal(/(?:^|\0)C([0-9A-Z]{5})\0/.exec(decoder.decode(body))?.[1] ?? "XX000");
    return { type, body };
  }
}

function startup(parameters) {
  const body = join(int32(196608), ...Object.entries(parameters).flat().map(text), new Uint8Array(1));
  return join(int32(body.length + 4), body);
}

function columns(body) {
  const view = new DataView(body.buffer, body.byteOffset);
  const values = [];
  for (let at = 2, n = view.getInt16(0); n > 0; n--) {
    const size = view.getInt32(at);
    at += 4;
    values.push(size < 0 ? null : decoder.decode(body.subarray(at, at + size)));
    at += Math.max(size, 0);
  }
  return values;
}

function int32(n) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, n);
  return bytes;
}

function text(s) {
  return encoder.encode(s + "\0");
}

function join(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function base64(s) {
  return Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
}
