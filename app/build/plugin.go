package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/app/preview"
)

// The namespaces of the modules that esbuild sees. None is "file", so it never looks at the disk.
const (
	inTree      = "repo"     // a file of the tree
	inRuntime   = "runtime"  // a module of the runtime that is reached by require()
	inNothing   = "disabled" // an empty module
	inIdentity  = "identity" // the module that answers for the Worker, and passes everything else on to it
	entryModule = "identity" // what esbuild is asked to bundle
)

// plugin answers every question of esbuild. Its callbacks run on many goroutines.
type plugin struct {
	ctx       context.Context // of the one build that the plugin lives for
	tree      *tree
	resolver  *resolver
	config    *wrangler
	transform api.TransformOptions // what computedImport must know

	mu     sync.Mutex
	bytes  int64 // of the files that were read
	assets map[string]preview.Module
}

// setup registers the callbacks: every path and every namespace is ours.
func (p *plugin) setup(b api.PluginBuild) {
	all := ".*"
	b.OnResolve(api.OnResolveOptions{Filter: all}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		result, err := p.resolve(args)
		if err != nil {
			return api.OnResolveResult{Errors: []api.Message{message(err)}}, nil
		}
		return result, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: all}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
		result, err := p.load(args)
		if err != nil {
			return api.OnLoadResult{Errors: []api.Message{message(err)}}, nil
		}
		return result, nil
	})
}

// message carries a problem through esbuild, which adds the place of the import.
func message(err error) api.Message {
	var problem *problemError
	if errors.As(err, &problem) {
		return api.Message{Text: problem.problem.Message, Detail: problem.problem}
	}
	return api.Message{Text: err.Error()}
}

func (p *plugin) resolve(args api.OnResolveArgs) (api.OnResolveResult, error) {
	none := api.OnResolveResult{}
	if err := p.ctx.Err(); err != nil {
		return none, p.tree.fail(err)
	}
	switch args.Kind {
	case api.ResolveEntryPoint:
		return api.OnResolveResult{Path: entryModule, Namespace: inIdentity}, nil
	case api.ResolveJSImportStatement, api.ResolveJSRequireCall, api.ResolveJSDynamicImport:
	case api.ResolveJSRequireResolve:
		return none, problemf("require.resolve(%.80q) has no meaning in a Worker", args.Path)
	default:
		return none, problemf("%.80q can't be imported: styles are not supported", args.Path)
	}
	if args.Namespace == inIdentity {
		if args.Path == mainSpecifier {
			return p.entry()
		}
		return api.OnResolveResult{Path: args.Path, External: true}, nil
	}
	if args.Namespace == inRuntime {
		return api.OnResolveResult{Path: args.Path, External: true}, nil
	}
	require := args.Kind == api.ResolveJSRequireCall
	query := request{specifier: args.Path, importer: p.tree.lock.stored(args.Importer), require: require, optional: args.Kind != api.ResolveJSImportStatement}
	found, err := p.resolver.resolve(query)
	if err != nil {
		// Wrangler's rules take "x.wasm?module" for "x.wasm".
		if plain, ok := strings.CutSuffix(args.Path, ".wasm?module"); ok {
			query.specifier = plain + ".wasm"
			found, err = p.resolver.resolve(query)
		}
		if err != nil {
			return none, err
		}
	}
	switch {
	case found.external != "" && require:
		return api.OnResolveResult{Path: found.external, Namespace: inRuntime}, nil
	case found.external != "":
		return api.OnResolveResult{Path: found.external, External: true}, nil
	case found.disabled:
		return api.OnResolveResult{Path: args.Path, Namespace: inNothing}, nil
	}
	if kind := p.config.assets[path.Ext(found.file)]; (kind == preview.ModuleWasm || kind == preview.ModuleData) && args.With["type"] == "" {
		if require {
			return none, problemf("%q must be imported with an import statement", args.Path)
		}
		return p.asset(found.file, kind)
	}
	return p.module(found.file)
}

func (p *plugin) entry() (api.OnResolveResult, error) {
	file, err := p.resolver.fileOrFolder(p.config.main, "")
	if errors.Is(err, errUnresolved) {
		return api.OnResolveResult{}, &problemError{preview.Problem{Path: p.config.path,
			Message: fmt.Sprintf("the Worker's entry point %q does not exist", p.config.main),
			Hint:    `correct "main" in the Wrangler configuration`}}
	}
	return api.OnResolveResult{Path: file, Namespace: inTree}, err
}

// module is a file of the tree. Files without side effects may be left out of the bundle.
func (p *plugin) module(file string) (api.OnResolveResult, error) {
	result := api.OnResolveResult{Path: p.tree.lock.shown(file), Namespace: inTree}
	owner, err := p.tree.nearestManifest(file)
	if err != nil {
		return result, err
	}
	if owner != nil && !owner.sideEffects(strings.TrimPrefix(strings.TrimPrefix(file, owner.dir), "/")) {
		result.SideEffects = api.SideEffectsFalse
	}
	return result, nil
}

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// asset is a file that becomes a module of its own beside the bundle, named by its content.
func (p *plugin) asset(file string, kind preview.ModuleType) (api.OnResolveResult, error) {
	text, _, err := p.read(file)
	if err != nil {
		return api.OnResolveResult{}, err
	}
	sum := sha256.Sum256([]byte(text))
	base := unsafeInName.ReplaceAllString(path.Base(file), "_")
	name := hex.EncodeToString(sum[:8]) + "-" + base[max(0, len(base)-64):]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assets[name] = preview.Module{Name: name, Type: kind, Content: []byte(text)}
	return api.OnResolveResult{Path: "./" + name, External: true}, nil
}

// read reads a file and counts it.
func (p *plugin) read(file string) (string, spot, error) {
	text, at, err := p.tree.read(file)
	if err != nil {
		if p.tree.failure() == nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoFile) || errors.Is(err, errTooLarge)) {
			err = &problemError{preview.Problem{Path: repoPath(file), Message: readMessage(err)}}
		}
		return "", at, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes += int64(len(text)); p.bytes > p.tree.limits.InputBytes {
		return "", at, problemf("the files of the Worker are larger than %d bytes together", p.tree.limits.InputBytes)
	}
	return text, at, nil
}

func (p *plugin) load(args api.OnLoadArgs) (api.OnLoadResult, error) {
	none := api.OnLoadResult{}
	if err := p.ctx.Err(); err != nil {
		return none, p.tree.fail(err)
	}
	switch args.Namespace {
	case inIdentity:
		text := identityModule
		return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
	case inNothing:
		empty := "module.exports = {}"
		return api.OnLoadResult{Contents: &empty, Loader: api.LoaderJS}, nil
	case inRuntime:
		// require() of an external module would fail at run time: import it instead.
		text := fmt.Sprintf("import all from %q;\nmodule.exports = all;\n", args.Path)
		return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
	case inTree:
	default:
		return none, problemf("%.80q can't be loaded", args.Path)
	}
	file := p.tree.lock.stored(args.Path)
	loader, err := p.loader(file, args.With)
	if err != nil {
		return none, err
	}
	text, at, err := p.read(file)
	if err != nil {
		return none, err
	}
	if slices.Contains([]api.Loader{api.LoaderJSON, api.LoaderText, api.LoaderBinary}, loader) {
		return api.OnLoadResult{Contents: &text, Loader: loader}, nil
	}
	if problems := p.checkScript(args.Path, text, at, loader); len(problems) > 0 {
		return api.OnLoadResult{Errors: problems}, nil
	}
	// No ResolveDir: nothing of esbuild's own may ever be relative to a folder.
	return api.OnLoadResult{Contents: &text, Loader: loader}, nil
}

// loader says how a file is read, by an import attribute or its ending.
func (p *plugin) loader(file string, with map[string]string) (api.Loader, error) {
	for key, value := range with {
		switch {
		case key == "type" && value == "json":
			return api.LoaderJSON, nil
		case key == "type" && value == "text":
			return api.LoaderText, nil
		case key == "type" && value == "bytes":
			return api.LoaderBinary, nil
		}
		return api.LoaderNone, problemf("importing with the attribute %.40q of %.40q is not supported", key, value)
	}
	ext := path.Ext(file)
	switch ext {
	case ".js", ".mjs", ".cjs", ".jsx":
		return api.LoaderJSX, nil // as Wrangler does
	case ".ts", ".mts", ".cts":
		return api.LoaderTS, nil
	case ".tsx":
		return api.LoaderTSX, nil
	case ".json":
		return api.LoaderJSON, nil
	case "":
		if inPackage(file) {
			return api.LoaderJS, nil
		}
	}
	if p.config.assets[ext] == preview.ModuleText {
		return api.LoaderText, nil
	}
	return api.LoaderNone, &problemError{preview.Problem{
		Message: fmt.Sprintf("%q can't be imported: files that end in %q are not known", file, ext),
		Hint:    fmt.Sprintf(`add a rule to "rules" in %s`, p.config.path)}}
}

// checkScript keeps computed imports from esbuild. What it said of a package's file is kept.
func (p *plugin) checkScript(file, text string, at spot, loader api.Loader) []api.Message {
	if !mayCompute(text) {
		return nil
	}
	if at.pack != nil {
		if _, clean := at.pack.verdicts.Load(verdictKey{at.inside, p.transform.TsconfigRaw}); clean && len(p.config.define) == 0 {
			return nil
		}
	}
	computed, problems := computedImport(text, loader, p.transform)
	for i := range problems {
		if problems[i].Location == nil {
			problems[i].Location = &api.Location{Line: 1}
		}
		problems[i].Location.File, problems[i].Location.Namespace = file, inTree
		problems[i].Notes = nil
	}
	if computed {
		return []api.Message{{
			Text:     "an import() or require() whose path is put together at run time can't be bundled",
			Detail:   preview.Problem{Hint: "write out each path as a plain text, for example in a switch"},
			Location: &api.Location{File: file, Namespace: inTree, Line: computedLine(text)},
		}}
	}
	if len(problems) == 0 && at.pack != nil && len(p.config.define) == 0 {
		at.pack.verdicts.Store(verdictKey{at.inside, p.transform.TsconfigRaw}, struct{}{})
	}
	return problems
}

// verdictKey is a file of a package, and the compiler options it was looked at with.
type verdictKey struct{ file, options string }

var dynamicCall = regexp.MustCompile(`\b(?:import|require)\s*\(`)

// computedLine guesses the line of the call that computedImport found.
func computedLine(text string) int {
	for _, at := range dynamicCall.FindAllStringIndex(text, -1) {
		if !literalCall(text[at[1]-1:]) {
			return 1 + strings.Count(text[:at[0]], "\n")
		}
	}
	return 1
}

// repoPath is a path of the tree as the user knows it; empty for what is not in the repository.
func repoPath(file string) string {
	if inPackage(file) {
		return ""
	}
	return file
}
