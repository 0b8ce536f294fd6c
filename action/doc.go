// Command action is Flaresmith for workflows, hooks and the command line: one binary without a server.
// It prints results, never secrets, and its exit code says how it went.
package main
