// Package workflow is a step of a GitHub workflow as its runner and GitHub see it: it reads the inputs and
// the event, and turns one Report into the job's summary, annotations, outputs and a check run. Around that
// it fetches the commits that a shallow checkout lacks, commits files, and waits for a preview.
//
// It knows nothing of what a command does. Text that it prints may come from a pull request, so none
// of it can become a workflow command, an output of another name, or markup.
package workflow
