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
	OpExtend Op = "extend" // moves the time at which it goes by itself, and nothing else
	OpDelete Op = "delete"
)

// StepSource is the name of the step that fetches the repository. Every other step is named after its
// resource's key, and the one that compiles a Worker has "bundle" in place of the kind.
const StepSource = "source"

// bundleOf names the step that compiles a Worker.
func bundleOf(worker preview.Key) string {
	worker.Kind = "bundle"
	return worker.String()
}

// Step is one node of the graph that a pass acts along.
type Step struct {
	Name     string // unique in the plan
	Op       Op
	Resource preview.Resource // zero for source; for a bundle the Worker that it is of
	Needs    []string         // names of steps in the same plan that must succeed first
}

// Writes reports whether the step changes anything at a provider.
func (s Step) Writes() bool { return s.Op != OpFetch && s.Op != OpBundle }

// Title names the step for a person: where Workers have names, the first one's is said, too.
func (s Step) Title() string {
	w, ok := s.Resource.Layout.Worker(s.Resource.Worker)
	if !ok || s.Resource.Kind != preview.KindWorker || s.Resource.Worker != "" || w.Name == "" {
		return s.Name
	}
	return s.Name + " " + w.Name
}

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
//	yes      same digest, other end    extend (Observed.Extend)
//	yes      same digest               none
//	yes      any, Resource.Reset asks  reset of the database, update of the others
//	no       with our mark             delete
//	no       missing, or not ours      none
//
// What follows from another step:
//   - a fresh or reset database gets its schema again;
//   - a created or updated database has new credentials, so its Worker is deployed again, as it is after
//     a reset of one that gets new ones by it (Observed.ResetRenews);
//   - a Worker that is made may answer elsewhere than one before, so the collection is written again;
//   - migrations of a database that existed wait for every bundle, as does its reset: a build that
//     fails touches no database. On first creation both sides run beside each other.
//   - each Worker waits for every bundle: an environment is one commit, so that none is deployed at
//     a commit at which another does not compile.
//   - a database is deleted after the Workers that use it.
//
// undesired are the ledger's resources that are no longer desired.
func Calculate(desired, undesired []preview.Resource, observed map[preview.Key]preview.Observed) (Plan, error) {
	ops := map[preview.Key]Op{}
	for _, r := range desired {
		op, err := diff(r, observed[r.Key()])
		if err != nil {
			return Plan{}, err
		}
		if op != "" {
			ops[r.Key()] = op
		}
	}
	force := func(kind preview.Kind) {
		for _, r := range desired {
			if r.Kind == kind && ops[r.Key()] == "" {
				ops[r.Key()] = OpUpdate
			}
		}
	}
	database := preview.Key{Kind: preview.KindDatabase}
	switch op := ops[database]; op {
	case OpCreate, OpUpdate, OpReset:
		force(preview.KindSchema)
		if op != OpReset || observed[database].ResetRenews {
			force(preview.KindWorker)
		}
	}
	if slices.ContainsFunc(desired, func(r preview.Resource) bool { return r.Kind == preview.KindWorker && ops[r.Key()] == OpCreate }) {
		force(preview.KindCollection)
	}
	plan := applySteps(desired, ops)
	plan.Steps = append(plan.Steps, deleteSteps(undesired, observed)...)
	return plan, nil
}

func diff(r preview.Resource, o preview.Observed) (Op, error) {
	switch {
	case !o.Exists:
		return OpCreate, nil
	case !o.Owned:
		return "", fmt.Errorf("%s %s: %w", r.Key(), r.Name, preview.ErrConflict)
	case r.Reset && r.Kind == preview.KindDatabase:
		return OpReset, nil
	case r.Reset, o.Digest != r.Digest:
		return OpUpdate, nil
	case o.Extend:
		return OpExtend, nil
	default:
		return "", nil
	}
}

// applySteps orders the changes of desired resources and adds what prepares them.
func applySteps(desired []preview.Resource, ops map[preview.Key]Op) Plan {
	var plan Plan
	database, schema := preview.Key{Kind: preview.KindDatabase}, preview.Key{Kind: preview.KindSchema}
	add := func(name string, op Op, r preview.Resource, needs ...string) {
		step := Step{Name: name, Op: op, Resource: r}
		for _, need := range needs {
			if plan.Has(need) {
				step.Needs = append(step.Needs, need)
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	changing := func(kind preview.Kind) []preview.Resource {
		return slices.DeleteFunc(slices.Clone(desired), func(r preview.Resource) bool { return r.Kind != kind || ops[r.Key()] == "" })
	}
	workers, collections, schemas := changing(preview.KindWorker), changing(preview.KindCollection), changing(preview.KindSchema)
	if len(workers)+len(collections)+len(schemas) > 0 {
		add(StepSource, OpFetch, preview.Resource{})
	}
	var bundles, deployed []string
	for _, r := range workers {
		bundles, deployed = append(bundles, bundleOf(r.Key())), append(deployed, r.Key().String())
		add(bundleOf(r.Key()), OpBundle, r, StepSource)
	}
	for _, r := range changing(preview.KindDatabase) {
		var needs []string
		if op := ops[database]; op == OpReset {
			if r.RequireApproval { // the migrations are looked at first
				needs = []string{StepSource}
			}
			needs = append(needs, bundles...)
		}
		add(database.String(), ops[database], r, needs...)
	}
	for _, r := range schemas {
		needs := []string{database.String(), StepSource}
		if ops[database] != OpCreate {
			needs = append(needs, bundles...)
		}
		add(r.Key().String(), ops[r.Key()], r, needs...)
	}
	for _, r := range workers {
		add(r.Key().String(), ops[r.Key()], r, append(slices.Clone(bundles), database.String(), schema.String())...)
	}
	for _, r := range collections {
		add(r.Key().String(), ops[r.Key()], r, append([]string{StepSource}, deployed...)...)
	}
	return plan
}

// deleteSteps removes what is ours and no longer wanted, users before what they use.
func deleteSteps(undesired []preview.Resource, observed map[preview.Key]preview.Observed) []Step {
	var steps []Step
	var workers []string
	for _, kind := range slices.Backward(preview.Kinds()) {
		for _, r := range undesired {
			if o := observed[r.Key()]; r.Kind != kind || !o.Exists || !o.Owned {
				continue
			}
			step := Step{Name: r.Key().String(), Op: OpDelete, Resource: r}
			switch kind {
			case preview.KindWorker:
				workers = append(workers, step.Name)
			case preview.KindDatabase, preview.KindSchema:
				step.Needs = workers
			}
			steps = append(steps, step)
		}
	}
	return steps
}
