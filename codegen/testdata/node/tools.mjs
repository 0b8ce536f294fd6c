// Checks generated tool descriptors as a client does: names, schemas that compile by themselves, and an
// input schema that takes an object. Prints the number of tools.
//
//   node tools.mjs FILE
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const { tools } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const names = new Set();
const ajv = formats(new Ajv({ strict: true, strictTypes: false, strictRequired: false, strictTuples: false, validateFormats: false, logger: false }));
for (const tool of tools) {
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(tool.name) || names.has(tool.name)) throw new Error("name " + tool.name);
  names.add(tool.name);
  if (tool.inputSchema.type !== "object" || !tool.title || !tool.description) throw new Error(tool.name + " lacks something");
  for (const schema of [tool.inputSchema, tool.outputSchema]) {
    if (schema === undefined) continue;
    ajv.compile(schema);
  }
}
console.log(tools.length);
