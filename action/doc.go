// Command action is Flaresmith for workflows, Git hooks and the command line: one binary without a server.
// It prints results, never secrets, and its exit code says how it went.
//
// A command reads what it was told, calls codegen or the scanner, and gives a result. On the command line that
// is printed; as a step of a workflow (the hidden command "workflow", which action.yml calls) it becomes one
// workflow.Report.
package main
