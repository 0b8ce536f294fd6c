// Package postman is a stand-in of Postman's API for the demo and for tests: the key's user, workspaces,
// collections and environments, over HTTP and in memory.
//
// What it does as Postman documents it: without a workspace in the query a new thing lands in the oldest personal one;
// names are not unique; a created collection gets ids of Postman's own, whatever its items brought; a PUT keeps the items
// that bring their ids, and removes and recreates the others; ids of another collection are refused; "Prefer: respond-async"
// answers 202 and a task to ask about; a write without Content-Length is a 411; 300 requests a minute and a number
// of requests a month are let through, and every answer says how many are left.
//
// It knows nothing of the rest of the program.
package postman
