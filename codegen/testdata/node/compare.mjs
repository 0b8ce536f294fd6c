// Compares generated Zod schemas with ajv, which is taken for the truth about JSON Schema: for every
// component, values that are valid and values with one thing changed. Prints one JSON object. A schema is exported under
// its component's name, or, by other generators, as fooBarSchema, FooBar or zFooBar for foo-bar.
//
//   node compare.mjs DOCUMENT.json MODULE.mjs VALUES_PER_SCHEMA
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const [documentFile, moduleFile, count] = process.argv.slice(2);
const description = JSON.parse(readFileSync(documentFile, "utf8"));
const generated = await import(pathToFileURL(moduleFile).href);

// The same numbers in every run.
let state = 42;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const pick = (list) => list[Math.floor(random() * list.length)];

// OpenAPI 3.0's keywords as JSON Schema 2020-12 says them.
const convert = (s, data = false) => {
  if (Array.isArray(s)) return s.map((x) => convert(x, data));
  if (typeof s !== "object" || s === null || data) return s;
  const out = {};
  for (const [key, value] of Object.entries(s)) {
    if (key === "properties" && typeof value === "object" && !Array.isArray(value)) {
      out.properties = Object.fromEntries(Object.entries(value).map(([k, v]) => [k, convert(v)]));
    } else {
      out[key] = convert(value, ["enum", "default", "example", "examples", "const"].includes(key));
    }
  }
  for (const [exclusive, limit] of [["exclusiveMinimum", "minimum"], ["exclusiveMaximum", "maximum"]]) {
    if (out[exclusive] === true) { out[exclusive] = out[limit]; delete out[limit]; }
    if (out[exclusive] === false) delete out[exclusive];
  }
  if (typeof out.required === "boolean") delete out.required;
  if (out.nullable === true) { delete out.nullable; return { anyOf: [out, { type: "null" }] }; }
  delete out.nullable;
  return out;
};
const truth = convert(description);
const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true, logger: false });
formats(ajv);
ajv.addSchema({ $id: "https://example.com/document", ...truth });

const at = (ref) => ref.slice(2).split("/").reduce((n, t) => n?.[decodeURIComponent(t).replaceAll("~1", "/").replaceAll("~0", "~")], truth);
const texts = {
  email: "someone@example.com", uuid: "0b8f6ab0-3f5b-4d0c-9b52-0f1f7d1c2a11", uri: "https://example.com/a?b=c", url: "https://example.com",
  date: "2024-02-29", "date-time": "2024-02-29T12:30:00Z", ipv4: "192.0.2.1", ipv6: "2001:db8::1", hostname: "example.com", byte: "aGVsbG8=", duration: "P1D",
  time: "12:30:00+02:00", "json-pointer": "/a~1b", "relative-json-pointer": "1/a", "uri-reference": "/a?b=c",
};

const sample = (s, depth) => {
  if (s === true || s === undefined || s === false) return pick(["x", 1, null, {}]);
  if (depth > 12) return null;
  if (s.$ref) return sample(at(s.$ref), depth + 1);
  if (s.const !== undefined) return s.const;
  if (s.enum) return pick(s.enum);
  const parts = [];
  if (s.oneOf) parts.push(sample(pick(s.oneOf), depth + 1));
  if (s.anyOf) parts.push(sample(depth > 4 ? s.anyOf.at(-1) : pick(s.anyOf), depth + 1));
  for (const part of s.allOf ?? []) parts.push(sample(part, depth + 1));
  if (s.if && random() < 0.6) parts.push(sample(s.if, depth + 1), random() < 0.8 ? sample(s.then ?? {}, depth + 1) : {});
  if (s.else && random() < 0.3) parts.push(sample(s.else, depth + 1));
  for (const part of Object.values(s.dependentSchemas ?? {})) if (random() < 0.7) parts.push(sample(part, depth + 1));
  const types = [s.type ?? []].flat();
  const type = types.length > 0 ? pick(types) : s.properties || s.additionalProperties ? "object" : s.items ? "array" : undefined;
  if (type === undefined && parts.length === 0) return pick(["x", 1, true, [1], { a: 1 }]);
  if (type === "object") parts.push(object(s, depth));
  else if (type !== undefined && parts.length === 0) return scalar(s, type, depth);
  return parts.every((p) => typeof p === "object" && p !== null && !Array.isArray(p)) ? Object.assign({}, ...parts) : parts[0];
};
const object = (s, depth) => {
  const value = {};
  for (const [name, property] of Object.entries(s.properties ?? {})) {
    if (s.required?.includes(name) || (random() < 0.5 && depth < 5)) value[name] = sample(property, depth + 1);
  }
  for (const name of s.required ?? []) value[name] ??= name in (s.properties ?? {}) ? value[name] : sample(undefined, depth);
  if (typeof s.additionalProperties === "object" && depth < 6) value.extra = sample(s.additionalProperties, depth + 1);
  return value;
};
const scalar = (s, type, depth) => {
  if (type === "null") return null;
  if (type === "boolean") return random() < 0.5;
  if (type === "array") return Array.from({ length: Math.max(s.minItems ?? 0, depth > 5 ? 0 : Math.floor(random() * 3)) }, (_, i) => sample(s.prefixItems?.[i] ?? s.items, depth + 1));
  if (type === "string") return texts[s.format] ?? "abcdefghijklmnopqrstuvwxyz".repeat(3).slice(0, Math.min(s.maxLength ?? 5, Math.max(s.minLength ?? 0, 5)));
  const low = s.minimum ?? (s.exclusiveMinimum !== undefined ? s.exclusiveMinimum + 1 : Math.min(0, s.maximum ?? 0));
  return type === "integer" || s.multipleOf ? Math.ceil(low) * 1 : low + 0.5 > (s.maximum ?? Infinity) ? low : low + 0.5;
};

const pool = [null, "", "x", 0, -1, 1.5, 1, true, false, [], {}, [null], { a: 1 }, 2 ** 40, "2024-02-29", "2024-02-29T12:30:00+02:00", "12", "a".repeat(300)];
const mutate = (value) => {
  const copy = structuredClone(value);
  const places = [];
  const walk = (v) => {
    if (typeof v !== "object" || v === null) return;
    for (const key of Object.keys(v)) { places.push([v, key]); walk(v[key]); }
    places.push([v, undefined]);
  };
  walk(copy);
  if (places.length === 0 || random() < 0.05) return pick(pool);
  const [holder, key] = pick(places);
  if (Array.isArray(holder)) {
    if (key === undefined) holder.push(holder.length > 0 && random() < 0.5 ? structuredClone(holder[0]) : pick(pool));
    else holder[key] = pick(pool);
  } else if (key === undefined) holder.unknownMember = pick(pool);
  else if (random() < 0.4) delete holder[key];
  else holder[key] = pick(pool);
  return copy;
};

const plain = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
const exported = new Map(Object.entries(generated).map(([name, schema]) => [plain(name), schema]));
const found = (name) => generated[name] ?? [plain(name) + "schema", "z" + plain(name), plain(name)].map((n) => exported.get(n)).find((s) => typeof s?.safeParse === "function");
const short = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? v + "n" : v))?.slice(0, 300);

const result = { schemas: 0, perfect: 0, agreed: 0, valid: 0, validAgreed: 0, invalid: 0, invalidAgreed: 0, lossless: 0, parsed: 0, missing: [], threw: [], disagreements: [] };
for (const name of Object.keys(description.components?.schemas ?? {})) {
  const schema = found(name);
  if (schema === undefined) { result.missing.push(name); continue; }
  let check;
  try { check = ajv.compile({ $ref: "https://example.com/document#/components/schemas/" + encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1")) }); }
  catch (error) { result.threw.push(name + ": ajv: " + error.message); continue; }
  result.schemas++;
  let perfect = true, agreed = true; // without what parsing loses
  for (let i = 0; i < Number(count); i++) {
    const base = sample(truth.components.schemas[name], 0);
    for (const value of [base, mutate(base), mutate(base)]) {
      const want = check(value);
      let got;
      try { got = schema.safeParse(value); } catch (error) { result.threw.push(name + ": " + error.message); perfect = agreed = false; break; }
      const kind = want ? "valid" : "invalid";
      result[kind]++;
      if (got.success === want) result[kind + "Agreed"]++;
      else {
        if (result.disagreements.length < 40) result.disagreements.push({ name, want, value: short(value), why: short(want ? got.error.issues[0] : null), ajv: short(check.errors?.[0]) });
        perfect = agreed = false;
      }
      if (want && got.success) { result.parsed++; if (isDeepStrictEqual(got.data, value)) result.lossless++; else perfect = false; }
    }
  }
  if (perfect) result.perfect++;
  if (agreed) result.agreed++;
}
console.log(JSON.stringify(result, null, 1));
