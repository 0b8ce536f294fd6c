package main

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestActionFile holds action.yml against itself: every input is described and reaches the program, every output
// comes from it, and no other action is used.
func TestActionFile(t *testing.T) {
	t.Parallel()
	var action struct {
		Inputs map[string]struct {
			Description string
			Default     *string
			Required    bool
		}
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []struct {
				ID, Uses, Run, Shell string
				Env                  map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../action.yml")), &action); err != nil {
		t.Fatal(err)
	}
	if action.Runs.Using != "composite" || len(action.Runs.Steps) != 1 || action.Runs.Steps[0].Uses != "" || action.Runs.Steps[0].Shell != "bash" {
		t.Fatalf("runs: %+v", action.Runs)
	}
	step := action.Runs.Steps[0]
	if step.Env["FLARESMITH_JOB_TOKEN"] != "${{ github.token }}" || len(step.Env) != len(action.Inputs)+1 {
		t.Errorf("%d inputs, %d variables", len(action.Inputs), len(step.Env))
	}
	for name, input := range action.Inputs {
		variable := "INPUT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if input.Description == "" || step.Env[variable] != "${{ inputs."+name+" }}" || (input.Default == nil) != input.Required {
			t.Errorf("input %s: %+v, %s is %q", name, input, variable, step.Env[variable])
		}
	}
	for name, output := range action.Outputs {
		if output.Description == "" || output.Value != "${{ steps."+step.ID+".outputs."+name+" }}" {
			t.Errorf("output %s: %+v", name, output)
		}
	}
	// Text from outside reaches the shell in variables only.
	if strings.Contains(step.Run, "${{") {
		t.Error("the script holds an expression")
	}
	commands := stepCommands()
	for name := range commands {
		if !slices.Contains(strings.FieldsFunc(action.Inputs["command"].Description, func(r rune) bool { return r == ' ' || r == ',' }), name) {
			t.Errorf("the input command does not tell of %s", name)
		}
	}
}
