package cloudflare

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

var (
	moduleName  = regexp.MustCompile(`^[A-Za-z0-9_@.+$~()\[\] /-]{1,255}$`)
	bindingName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,254}$`)
	datePattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// check reports everything about a bundle that can't be uploaded.
func check(r preview.Resource, b *preview.Bundle, database preview.Secret) error {
	if b == nil {
		return fmt.Errorf("no bundle is given")
	}
	invalid := &preview.InvalidError{What: "the Worker can't be uploaded"}
	complain := func(format string, args ...any) {
		invalid.Problems = append(invalid.Problems, preview.Problem{Message: fmt.Sprintf(format, args...)})
	}
	checkModules(b, complain)
	if !datePattern.MatchString(b.CompatibilityDate) {
		complain("compatibility_date %.20q is not of the form yyyy-mm-dd", b.CompatibilityDate)
	}
	names := map[string]bool{}
	bind := func(name string) {
		if !bindingName.MatchString(name) || names[name] {
			complain("the binding name %.80q can't be used, or is used twice", name)
		}
		names[name] = true
	}
	if b.DatabaseBinding != "" {
		bind(b.DatabaseBinding)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Vars)) {
		if name != b.DatabaseBinding {
			bind(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.JSONVars)) {
		if name != b.DatabaseBinding {
			bind(name)
		}
		if !json.Valid([]byte(b.JSONVars[name])) {
			complain("the value of variable %.80q is not JSON", name)
		}
	}
	if b.Assets != nil && b.Assets.Binding != "" {
		bind(b.Assets.Binding)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Services)) {
		bind(name)
		if to := b.Services[name]; to != "" && !preview.ValidWorkerName(to) {
			complain("the binding %.80q leads to %.80q, which is no Worker's name", name, to)
		}
	}
	checkBindings(b, r, bind, complain)
	if len(invalid.Problems) > 0 {
		return invalid
	}
	if b.DatabaseBinding != "" && database == "" {
		return fmt.Errorf("the Worker's database has no connection string")
	}
	return nil
}

// checkBindings refuses what the default branch does not list, though the bundle should not have it: only this is
// between a pull request and everything in the account.
func checkBindings(b *preview.Bundle, r preview.Resource, bind func(string), complain func(string, ...any)) {
	for _, to := range b.Bindings {
		bind(to.Name)
		if _, ok := accountBinding(to); !ok || !r.Layout.Bindings.Allows(to.Kind, to.Target) {
			complain("the binding %.80q leads to the %.20s %.120q, which bindings.allow of the default branch does not list", to.Name, to.Kind, to.Target)
		}
	}
}

func checkModules(b *preview.Bundle, complain func(string, ...any)) {
	main := false
	seen := map[string]bool{}
	for _, m := range b.Modules {
		name := partName(m.Name)
		if !moduleName.MatchString(name) || path.Clean(name) != name || path.IsAbs(name) || strings.HasPrefix(name, "../") || name == metadataPart || seen[name] {
			complain("the module name %.80q can't be used, or is used twice", m.Name)
		}
		seen[name] = true
		main = main || m.Name == b.MainModule && m.Type == preview.ModuleES
		if partType(m.Type) == "" {
			complain("the module %.80q has the unknown type %.20q", m.Name, m.Type)
		}
	}
	if alone := b.Assets != nil && len(b.Modules) == 0 && b.MainModule == ""; !main && !alone {
		complain("the main module %.80q is not among the ES modules", b.MainModule)
	}
}

// partName is what Cloudflare knows a module by: imports are relative to the main module's.
func partName(module string) string { return strings.TrimPrefix(module, "./") }

// partType is how a type of module is told to Cloudflare; empty: not known.
func partType(t preview.ModuleType) string {
	switch t {
	case preview.ModuleES:
		return "application/javascript+module"
	case preview.ModuleText:
		return "text/plain"
	case preview.ModuleData:
		return "application/octet-stream"
	case preview.ModuleWasm:
		return "application/wasm"
	}
	return ""
}
