// Checks Postman collections with the official schema of the format, and that no id is there twice.
//
//   node collection.mjs SCHEMA COLLECTION...
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import formats from "ajv-formats";

const [schema, ...collections] = process.argv.slice(2).map((name) => JSON.parse(readFileSync(name, "utf8")));
const valid = formats(new Ajv({ strict: false, allErrors: false, logger: false })).compile(schema);
for (const collection of collections) {
  if (!valid(collection)) throw new Error(collection.info.name + ": " + JSON.stringify(valid.errors.slice(-5), null, 1));
  const ids = new Set();
  const walk = (item) => {
    if (!item.id || ids.has(item.id)) throw new Error("id of " + item.name);
    ids.add(item.id);
    for (const child of [...(item.item ?? []), ...(item.response ?? [])]) walk(child);
  };
  for (const item of collection.item) walk(item);
}
console.log(collections.length);
