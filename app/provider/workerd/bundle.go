package workerd

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxModules     = 2000
	maxModuleBytes = 64 << 20 // over all modules
	maxVars        = 256
	maxVarBytes    = 256 << 10 // over all variables
	maxNameLength  = 255
)

var (
	modulePattern = regexp.MustCompile(`^(\./)?[A-Za-z0-9_@.+$~()\[\] /-]+$`)
	datePattern   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	flagPattern   = regexp.MustCompile(`^[a-z0-9_.:-]{1,100}$`)
)

// moduleName is how the runtime wants a module called: "./a.wasm" is "a.wasm".
func moduleName(name string) string { return strings.TrimPrefix(name, "./") }

// checkBundle reports everything about a bundle that can't be written into a configuration.
func checkBundle(bundle *preview.Bundle) error {
	if bundle == nil {
		return fmt.Errorf("no bundle is given")
	}
	var problems []preview.Problem
	complain := func(format string, args ...any) {
		problems = append(problems, preview.Problem{Message: fmt.Sprintf(format, args...)})
	}
	checkModules(bundle, complain)
	if !datePattern.MatchString(bundle.CompatibilityDate) {
		complain("compatibility_date %q is not of the form yyyy-mm-dd", clip(bundle.CompatibilityDate))
	}
	for _, flag := range bundle.CompatibilityFlags {
		if !flagPattern.MatchString(flag) {
			complain("compatibility flag %q is not a flag", clip(flag))
		}
	}
	checkVars(bundle, complain)
	checkAssets(bundle, complain)
	checkServices(bundle, complain)
	if bundle.DatabaseBinding != "" && !validBinding(bundle.DatabaseBinding) {
		complain("database binding %q can't be used", clip(bundle.DatabaseBinding))
	}
	if len(problems) > 0 {
		return &preview.InvalidError{What: "the Worker can't run", Problems: problems}
	}
	return nil
}

// checkVars checks the text and the JSON variables, which share names and limits.
func checkVars(bundle *preview.Bundle, complain func(string, ...any)) {
	size := 0
	check := func(name, value string) {
		size += len(name) + len(value)
		if !validBinding(name) {
			complain("variable name %q can't be used", clip(name))
		}
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			complain("the value of variable %q is not text", clip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bundle.Vars)) {
		check(name, bundle.Vars[name])
	}
	for _, name := range slices.Sorted(maps.Keys(bundle.JSONVars)) {
		check(name, bundle.JSONVars[name])
		if _, double := bundle.Vars[name]; double {
			complain("variable %q is there twice", clip(name))
		}
		if !json.Valid([]byte(bundle.JSONVars[name])) {
			complain("the value of variable %q is not JSON", clip(name))
		}
	}
	if len(bundle.Vars)+len(bundle.JSONVars) > maxVars || size > maxVarBytes {
		complain("the variables are more than %d, or larger than %d bytes", maxVars, maxVarBytes)
	}
}

func checkModules(bundle *preview.Bundle, complain func(string, ...any)) {
	seen := map[string]bool{}
	main, size := false, 0
	for _, module := range bundle.Modules {
		name := moduleName(module.Name)
		size += len(module.Content)
		switch {
		case len(name) > maxNameLength || !modulePattern.MatchString(module.Name) || path.Clean(name) != name ||
			path.IsAbs(name) || name == "." || name == ".." || strings.HasPrefix(name, "../"):
			complain("module name %q can't be used", clip(module.Name))
		case seen[name]:
			complain("module %q is there twice", clip(name))
		}
		seen[name] = true
		switch module.Type {
		case preview.ModuleES:
			main = main || module.Name == bundle.MainModule
		case preview.ModuleText, preview.ModuleData, preview.ModuleWasm:
		default:
			complain("module %q has the unknown type %q", clip(name), clip(string(module.Type)))
		}
		if (module.Type == preview.ModuleES || module.Type == preview.ModuleText) && !utf8.Valid(module.Content) {
			complain("module %q is not UTF-8 text", clip(name))
		}
	}
	if alone := bundle.Assets != nil && len(bundle.Modules) == 0 && bundle.MainModule == ""; !main && !alone {
		complain("main module %q is not among the ES modules", clip(bundle.MainModule))
	}
	if len(bundle.Modules) > maxModules || size > maxModuleBytes {
		complain("the modules are more than %d, or larger than %d bytes", maxModules, maxModuleBytes)
	}
}

// validBinding accepts what can be a property of env and a line in a log.
func validBinding(name string) bool {
	return name != "" && len(name) <= maxNameLength && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// clip keeps a hostile name from filling a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
