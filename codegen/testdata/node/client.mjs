// Has a client of the Model Context Protocol list generated tools from a server that offers them, by the revision
// that they are written for, and prints how many there are.
//
//   node client.mjs FILE
import { readFileSync } from "node:fs";
import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { Server } from "@modelcontextprotocol/server";

const { tools } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const server = new Server({ name: "generated", version: "1.0.0" }, { capabilities: { tools: {} } });
server.setRequestHandler("tools/list", () => ({ tools }));
const client = new Client({ name: "test", version: "1.0.0" });
const [one, other] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(one), client.connect(other)]);
const listed = await client.listTools();
for (const tool of listed.tools) {
  if (tool.inputSchema.type !== "object" || !tool.annotations || !tool.title) throw new Error(tool.name + " lacks something");
}
console.log(listed.tools.length);
await client.close();
