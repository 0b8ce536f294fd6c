package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	whatCompile = "the Worker does not compile"
	mainModule  = "worker.js"
	maxProblems = 50
)

// compile runs esbuild over the tree in dir, an empty folder, and returns the main module's text.
func (p *plugin) compile(ctx context.Context, dir string) ([]byte, error) {
	session, cerr := api.Context(p.options(dir))
	if cerr != nil {
		return nil, p.failed(cerr.Errors)
	}
	defer session.Dispose()
	stop := context.AfterFunc(ctx, session.Cancel)
	defer stop()
	result := session.Rebuild()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.tree.failure(); err != nil {
		return nil, err
	}
	if len(result.Errors) > 0 {
		return nil, p.failed(result.Errors)
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("esbuild gave %d files instead of one", len(result.OutputFiles))
	}
	return result.OutputFiles[0].Contents, nil
}

// options are those that Wrangler uses, as far as they matter here. There is no source map:
// for one, esbuild follows "//# sourceMappingURL=file:///…" in its input to any file.
func (p *plugin) options(dir string) api.BuildOptions {
	return api.BuildOptions{
		EntryPoints:   []string{entryModule},
		Outfile:       mainModule,
		AbsWorkingDir: dir,
		Write:         false,
		Bundle:        true,
		Format:        api.FormatESModule,
		Platform:      api.PlatformNeutral,
		Target:        p.transform.Target,
		TsconfigRaw:   p.transform.TsconfigRaw,
		Define:        p.transform.Define,
		Sourcemap:     api.SourceMapNone,
		LegalComments: api.LegalCommentsNone,
		Charset:       api.CharsetUTF8,
		KeepNames:     true,
		LogLevel:      api.LogLevelSilent,
		Plugins:       []api.Plugin{{Name: "repository", Setup: p.setup}},
	}
}

// defines are what Wrangler defines, overridden by the user's own.
func defines(config *wrangler) map[string]string {
	all := map[string]string{
		"process.env.NODE_ENV":            `"production"`,
		"global.process.env.NODE_ENV":     `"production"`,
		"globalThis.process.env.NODE_ENV": `"production"`,
		"navigator.userAgent":             `"Cloudflare-Workers"`,
	}
	maps.Copy(all, config.define)
	return all
}

// failed turns esbuild's errors into the user's problems, in the order of files and lines.
func (p *plugin) failed(messages []api.Message) error {
	problems := make([]preview.Problem, 0, len(messages))
	for _, m := range messages {
		problems = append(problems, p.problem(m))
	}
	slices.SortStableFunc(problems, func(a, b preview.Problem) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	problems = slices.Compact(problems)
	if len(problems) > maxProblems {
		problems = problems[:maxProblems]
	}
	return &preview.InvalidError{What: whatCompile, Problems: problems}
}

// problem is one error of esbuild, or of ours with the place of the import that led to it.
func (p *plugin) problem(m api.Message) preview.Problem {
	problem, ours := m.Detail.(preview.Problem)
	if problem.Message == "" {
		problem.Message = m.Text
	}
	at := m.Location
	if at == nil || strings.HasPrefix(at.File, inIdentity+":") {
		if problem.Path == "" {
			problem.Path = p.config.path
		}
		return problem
	}
	file := strings.TrimPrefix(at.File, inTree+":")
	if inPackage(file) {
		problem.Message = fmt.Sprintf("%s (in %s, line %d)", problem.Message, file, at.Line)
		if problem.Path == "" && p.tree.lock != nil {
			problem.Path = p.tree.lock.path
		}
		return problem
	}
	if ours && problem.Path != "" {
		problem.Message = fmt.Sprintf("%s (imported in %s, line %d)", problem.Message, file, at.Line)
		return problem
	}
	problem.Path, problem.Line, problem.Column = file, at.Line, at.Column+1
	return problem
}

// finish puts the bundle together and sums it up; without "main" there is no Worker in it.
func (p *plugin) finish(code []byte, worker preview.WorkerLayout, static *preview.Assets) (*preview.Bundle, error) {
	bundle := &preview.Bundle{
		CompatibilityDate:  p.config.date,
		CompatibilityFlags: p.config.flags,
		Vars:               p.config.vars,
		JSONVars:           p.config.jsonVars,
		DatabaseBinding:    worker.DatabaseBinding,
		Services:           p.config.services,
		Bindings:           p.config.bindings,
		Assets:             static,
	}
	if p.config.main != "" {
		bundle.MainModule = mainModule
		bundle.Modules = []preview.Module{{Name: mainModule, Type: preview.ModuleES, Content: code}}
	}
	total := int64(len(code))
	for _, name := range slices.Sorted(maps.Keys(p.assets)) {
		bundle.Modules = append(bundle.Modules, p.assets[name])
		total += int64(len(p.assets[name].Content))
	}
	if limit := p.tree.limits.BundleBytes; total > limit {
		return nil, preview.Invalid("the Worker is too large", preview.Problem{Path: p.config.main,
			Message: fmt.Sprintf("the bundle has %d bytes, and at most %d are allowed", total, limit),
			Hint:    "import less, or smaller packages"})
	}
	// Digest is empty here; map keys are sorted by encoding/json.
	text, err := json.Marshal(bundle)
	if err != nil {
		return nil, fmt.Errorf("sum up the bundle: %w", err)
	}
	sum := sha256.Sum256(text)
	bundle.Digest = hex.EncodeToString(sum[:])
	return bundle, nil
}
