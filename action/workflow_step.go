package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flaresmith/flaresmith/action/workflow"
)

// statusError is the output "status" of a step that could not do its work.
const statusError = "error"

// stepCommand is what a step can be asked for. It reads its inputs from the step, and gives the report and the
// exit code; an error stands for a report of its own.
type stepCommand func(ctx context.Context, step *workflow.Step) (workflow.Report, int, error)

// stepCommands are those of action.yml, with the names of their checks.
func stepCommands() map[string]struct {
	check string
	run   stepCommand
} {
	return map[string]struct {
		check string
		run   stepCommand
	}{
		"secret-scan": {"Flaresmith / Secrets", stepSecretScan},
		"spec-apply":  {"Flaresmith / Specs", stepSpecApply},
		"spec-check":  {"Flaresmith / Specs", stepSpecCheck},
		"preview":     {"Flaresmith / Preview tests", stepPreview}, // the App's own is "Flaresmith / Preview"
	}
}

func newWorkflowStep(io streams, getenv func(string) string) *cobra.Command {
	return &cobra.Command{
		Use:    "workflow",
		Short:  "Run a step of a GitHub workflow: what action.yml does, with its inputs in the environment",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			step, err := workflow.New(io.out, getenv)
			if err != nil {
				return err
			}
			code, err := runStep(cmd.Context(), step)
			if err != nil {
				return err
			}
			if code != exitOK {
				return &exitError{code}
			}
			return nil
		},
	}
}

func runStep(ctx context.Context, step *workflow.Step) (int, error) {
	commands := stepCommands()
	name := step.Choice("command", "", "secret-scan", "spec-check", "spec-apply", "preview")
	step.Choice("check-run", "auto", "auto", "off")
	command, ok := commands[name]
	if !ok {
		command.check = "Flaresmith"
		command.run = func(context.Context, *workflow.Step) (workflow.Report, int, error) {
			return workflow.Report{}, exitFailed, step.CheckInputs()
		}
	}
	report, code, err := command.run(ctx, step)
	if err != nil {
		report, code = workflow.Report{Status: statusError, Title: err.Error(), Outputs: report.Outputs, Notes: report.Notes}, exitFailed
	}
	report.Check = command.check
	if name == "secret-scan" && step.CheckRunWanted() {
		report.NoCheckRun = secretsElsewhere(ctx, step)
	}
	if err := step.Publish(context.WithoutCancel(ctx), report); err != nil {
		return exitFailed, err
	}
	return code, nil
}

// plural is a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
