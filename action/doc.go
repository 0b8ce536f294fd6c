// Command action is what workflow steps and people at a terminal run in a checkout: inputs in;
// files, a report and an exit code out. It links nothing of the server.
package main
