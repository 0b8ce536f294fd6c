// Package plan is the diff step: desired resources × observed resources → ordered steps. It is
// pure: values in, values out, no clock and no input or output. A dry run is a printed plan.
package plan

import (
	"fmt"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Op is what a step does.
type Op string

// The operations of a step. Fetch and bundle prepare what the other steps are given.
const (
	OpFetch  Op = "fetch"
	OpBundle Op = "bundle"
	OpCreate Op = "create"
	OpUpdate Op = "update"
	OpReset  Op = "reset"
	OpDelete Op = "delete"
)

// The names of the two steps that make no resource. Every other step is named after its kind.
const (
	StepSource = "source"
	StepBundle = "bundle"
)

// Step is one node of the graph that a pass acts along.
type Step struct {
	Name     string // unique in the plan
	Op       Op
	Resource preview.Resource // zero for source and bundle
	Needs    []string         // names of steps in the same plan that must succeed first
}

// Writes reports whether the step changes anything at a provider.
func (s Step) Writes() bool { return s.Op != OpFetch && s.Op != OpBundle }

// Plan is the steps in an order in which every step comes after those that it needs.
type Plan struct {
	Steps []Step
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Has reports whether the plan has a step of that name.
func (p Plan) Has(name string) bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Name == name })
}

// Calculate compares what should exist with what exists.
//
//	desired  observed                  step
//	-------  ------------------------  ---------------------------------------
//	yes      missing                   create
//	yes      without our mark          error: preview.ErrConflict
//	yes      other digest, unfinished  update
//	yes      same digest               none
//	yes      any, Resource.Reset asks  reset of the database, update of the others
//	no       with our mark             delete
//	no       missing, or not ours      none
//
// What follows from another step:
//   - a fresh or reset database gets its schema again;
//   - a created or updated database has new credentials, so its Worker is deployed again;
//   - migrations of a database that existed wait for the bundle, as does its reset: a build that
//     fails touches no database. On first creation both sides run beside each other.
//   - a database is deleted after the Worker that uses it.
//
// undesired are the ledger's resources that are no longer desired.
func Calculate(desired, undesired []preview.Resource, observed map[preview.Kind]preview.Observed) (Plan, error) {
	ops := map[preview.Kind]Op{}
	resources := map[preview.Kind]preview.Resource{}
	for _, r := range desired {
		op, err := diff(r, observed[r.Kind])
		if err != nil {
			return Plan{}, err
		}
		resources[r.Kind] = r
		if op != "" {
			ops[r.Kind] = op
		}
	}
	force := func(kind preview.Kind) {
		if _, wanted := resources[kind]; wanted && ops[kind] == "" {
			ops[kind] = OpUpdate
		}
	}
	switch ops[preview.KindDatabase] {
	case OpCreate, OpUpdate:
		force(preview.KindSchema)
		force(preview.KindWorker)
	case OpReset:
		force(preview.KindSchema)
	}
	plan := applySteps(ops, resources)
	plan.Steps = append(plan.Steps, deleteSteps(undesired, observed)...)
	return plan, nil
}

func diff(r preview.Resource, o preview.Observed) (Op, error) {
	switch {
	case !o.Exists:
		return OpCreate, nil
	case !o.Owned:
		return "", fmt.Errorf("%s %s: %w", r.Kind, r.Name, preview.ErrConflict)
	case r.Reset && r.Kind == preview.KindDatabase:
		return OpReset, nil
	case r.Reset, o.Digest != r.Digest:
		return OpUpdate, nil
	default:
		return "", nil
	}
}

// applySteps orders the changes of desired resources and adds what prepares them.
func applySteps(ops map[preview.Kind]Op, resources map[preview.Kind]preview.Resource) Plan {
	var plan Plan
	add := func(name string, op Op, r preview.Resource, needs ...string) {
		step := Step{Name: name, Op: op, Resource: r}
		for _, need := range needs {
			if plan.Has(need) {
				step.Needs = append(step.Needs, need)
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	database, schema := string(preview.KindDatabase), string(preview.KindSchema)
	worker, collection := string(preview.KindWorker), string(preview.KindCollection)

	if ops[preview.KindSchema] != "" || ops[preview.KindWorker] != "" || ops[preview.KindCollection] != "" {
		add(StepSource, OpFetch, preview.Resource{})
	}
	if ops[preview.KindWorker] != "" {
		add(StepBundle, OpBundle, preview.Resource{}, StepSource)
	}
	fresh := ops[preview.KindDatabase] == OpCreate
	if op := ops[preview.KindDatabase]; op != "" {
		var needs []string
		if op == OpReset {
			needs = []string{StepBundle}
			if resources[preview.KindDatabase].RequireApproval { // the migrations are looked at first
				needs = []string{StepSource, StepBundle}
			}
		}
		add(database, op, resources[preview.KindDatabase], needs...)
	}
	if op := ops[preview.KindSchema]; op != "" {
		needs := []string{database, StepSource}
		if !fresh {
			needs = append(needs, StepBundle)
		}
		add(schema, op, resources[preview.KindSchema], needs...)
	}
	if op := ops[preview.KindWorker]; op != "" {
		add(worker, op, resources[preview.KindWorker], StepBundle, database, schema)
	}
	if op := ops[preview.KindCollection]; op != "" {
		add(collection, op, resources[preview.KindCollection], StepSource, worker)
	}
	return plan
}

// deleteSteps removes what is ours and no longer wanted, users before what they use.
func deleteSteps(undesired []preview.Resource, observed map[preview.Kind]preview.Observed) []Step {
	byKind := map[preview.Kind]preview.Resource{}
	for _, r := range undesired {
		if o := observed[r.Kind]; o.Exists && o.Owned {
			byKind[r.Kind] = r
		}
	}
	var steps []Step
	for _, kind := range slices.Backward(preview.Kinds()) {
		r, ok := byKind[kind]
		if !ok {
			continue
		}
		step := Step{Name: string(kind), Op: OpDelete, Resource: r}
		if kind == preview.KindDatabase || kind == preview.KindSchema {
			if _, ok := byKind[preview.KindWorker]; ok {
				step.Needs = []string{string(preview.KindWorker)}
			}
		}
		steps = append(steps, step)
	}
	return steps
}
