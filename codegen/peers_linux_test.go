package codegen_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// peer is another tool that makes something of an OpenAPI document; openapi-typescript makes types alone.
type peer struct {
	name, target string                              // of ours, what it is compared with
	program      string                              // in the folder of its packages
	config       string                              // of a file config.mjs beside them, with %[1]q the document and %[2]q where to write; empty: none
	args         func(document, out string) []string // config.mjs is in the working directory
	schemas      string                              // the modules with schemas of Zod 4, a pattern below where it writes; empty: none
}

func peers() []peer {
	configured := func(string, string) []string { return []string{"--config", "config.mjs"} }
	return []peer{
		{name: "kubb", target: "zod", program: "kubb", schemas: "zod/*.ts", args: func(string, string) []string { return []string{"generate", "--config", "config.mjs"} }, config: `import { defineConfig } from "kubb/config";
import { pluginZod } from "@kubb/plugin-zod";
export default defineConfig({ input: %[1]q, output: { path: %[2]q, clean: false, format: false, lint: false }, plugins: [pluginZod({ output: { path: "zod" } })] });
`},
		{name: "orval", target: "zod", program: "orval", args: configured, schemas: "api.ts", config: `export default { api: { input: %[1]q,
  output: { client: "zod", mode: "single", target: %[2]q + "/api.ts", override: { zod: { generateReusableSchemas: true } } } } };
`},
		{name: "hey-api", target: "zod", program: "openapi-ts", schemas: "zod.gen.ts", args: func(document, out string) []string {
			return []string{"-i", document, "-o", out, "-p", "zod", "--no-log-file"}
		}},
		{name: "cerios", target: "zod", program: "openapi-to-zod", args: configured, schemas: "api.ts", config: `export default { specs: [{ input: %[1]q, outputTypes: %[2]q + "/api.ts" }] };
`},
		{name: "openapi-zod-client", target: "zod", program: "openapi-zod-client", args: func(document, out string) []string {
			return []string{document, "-o", out + "/api.ts", "--export-schemas"}
		}},
		{name: "openapi-typescript", target: "zod", program: "openapi-typescript", args: func(document, out string) []string {
			return []string{document, "-o", out + "/api.ts"}
		}},
		{name: "hono-takibi", target: "hono", program: "hono-takibi", args: func(document, out string) []string {
			return []string{document, "-o", out + "/api.ts"}
		}},
		{name: "openapi-to-postmanv2", target: "postman", program: "openapi2postmanv2", args: func(document, out string) []string {
			return []string{"-s", document, "-o", out + "/api.json"}
		}},
		{name: "openapi-mcp-generator", target: "mcp", program: "openapi-mcp-generator", args: func(document, out string) []string {
			return []string{"-i", document, "-o", out, "--force"}
		}},
	}
}

// measured is one process from its start to its end.
type measured struct {
	wall, cpu time.Duration
	peak      int64 // bytes, of the largest process
	failed    string
}

// enough is the CPU, in seconds, after which a tool is ended.
const enough = 60

func measure(b *testing.B, dir, program, out string, args ...string) measured {
	b.Helper()
	line := append([]string{"-c", `ulimit -t "$0"; exec "$@"`, strconv.Itoa(enough), program}, args...)
	cmd := exec.CommandContext(b.Context(), "sh", line...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KUBB_DISABLE_TELEMETRY=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	err := cmd.Run()
	m := measured{wall: time.Since(began)}
	if cmd.ProcessState == nil {
		b.Fatal(err)
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	written, _ := filepath.Glob(out + "/*")
	if err != nil || len(written) == 0 {
		m.failed = strings.Join(strings.Fields(fmt.Sprintf("no output after %.1f s of CPU and %d MiB: %v %.600s", m.cpu.Seconds(), m.peak>>20, err, said.String())), " ")
	}
	return m
}

// versus are the runs of one document: of each tool, and of ours in turn with it.
type versus struct {
	peer
	theirs, ours []measured
	output       string // of the first run, in the folder of its packages
}

// BenchmarkPeers runs the program and its peers in turn on the documents that FLARESMITH_BENCH_OPENAPI lists as PATH lists folders, and prints medians. What a peer
// makes in its first round is compiled strictly and, where it has schemas of Zod 4, compared with ajv, as ours is.
// FLARESMITH_BENCH_PEERS is a folder with one for each peer, by its name, that its packages are installed in; a peer without one is left out, which is said.
func BenchmarkPeers(b *testing.B) {
	folder, documents := os.Getenv("FLARESMITH_BENCH_PEERS"), filepath.SplitList(os.Getenv("FLARESMITH_BENCH_OPENAPI"))
	if folder == "" || len(documents) == 0 {
		b.Skip("FLARESMITH_BENCH_PEERS and FLARESMITH_BENCH_OPENAPI name the peers' folder and documents")
	}
	lane := install(b)
	program := filepath.Join(lane, "spec-apply")
	if said, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../action").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	for _, document := range documents {
		b.Run(filepath.Base(document), func(b *testing.B) { against(b, folder, lane, program, document) })
	}
}

func against(b *testing.B, folder, lane, program, document string) {
	ours := func(out, target string) measured {
		args := []string{"spec-apply", "--openapi", document, "--out", out}
		if target != "" {
			args = append(args, "--target", target)
		}
		return measure(b, lane, program, out, args...)
	}
	var all []*versus
	for _, p := range peers() {
		if _, err := os.Stat(filepath.Join(folder, p.name)); err != nil {
			b.Logf("not measured: %v", err)
			continue
		}
		all = append(all, &versus{peer: p})
	}
	var full, unchanged []measured
	for b.Loop() {
		for _, v := range all {
			if len(v.theirs) > 0 && v.theirs[0].failed != "" {
				continue
			}
			dir := filepath.Join(folder, v.name)
			out, err := os.MkdirTemp(dir, "out-") //nolint:usetesting // a compiler looks for packages above what it compiles
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := os.RemoveAll(out); err != nil {
					b.Error(err)
				}
			})
			if v.config != "" {
				write(b, filepath.Join(dir, "config.mjs"), fmt.Appendf(nil, v.config, document, out))
			}
			v.ours = append(v.ours, ours(b.TempDir(), v.target))
			v.theirs = append(v.theirs, measure(b, dir, filepath.Join(dir, "node_modules", ".bin", v.program), out, v.args(document, out)...))
			if v.output == "" {
				v.output = out
			}
		}
		out := b.TempDir()
		full, unchanged = append(full, ours(out, "")), append(unchanged, ours(out, ""))
	}
	b.Log("| tool | compared with | wall | CPU | peak | CPU, spec-apply | its peak | ratio of CPU | runs |\n|---|---|---|---|---|---|---|---|---|")
	for _, v := range all {
		if failed := v.theirs[0].failed; failed != "" {
			b.Logf("| %s | %s | %s |", v.name, v.target, failed)
			continue
		}
		theirs, mine := middle(v.theirs), middle(v.ours)
		b.Logf("| %s | %s | %.2f s | %.2f s | %d MiB | %.2f s | %d MiB | %.1f | %d |", v.name, v.target, theirs.wall.Seconds(), theirs.cpu.Seconds(), theirs.peak>>20,
			mine.cpu.Seconds(), mine.peak>>20, theirs.cpu.Seconds()/mine.cpu.Seconds(), len(v.theirs))
	}
	for i, list := range [][]measured{full, unchanged} {
		m := middle(list)
		b.Logf("spec-apply, all five%s: wall %.3f s, CPU %.3f s, peak %d MiB, %d runs", []string{"", ", nothing changed"}[i], m.wall.Seconds(), m.cpu.Seconds(), m.peak>>20, len(list))
	}
	judge(b, lane, document, all)
}

// middle has the median of each figure.
func middle(list []measured) measured {
	value := func(of func(measured) int64) int64 {
		values := make([]int64, len(list))
		for i, m := range list {
			values[i] = of(m)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return measured{
		wall: time.Duration(value(func(m measured) int64 { return int64(m.wall) })),
		cpu:  time.Duration(value(func(m measured) int64 { return int64(m.cpu) })), peak: value(func(m measured) int64 { return m.peak }),
	}
}

// judge compiles what the tools made, and compares their schemas and ours with ajv.
func judge(b *testing.B, lane, document string, all []*versus) {
	b.StopTimer()
	data, err := os.ReadFile(document)
	if err != nil {
		b.Fatal(err)
	}
	root, problems := spec.Parse(document, data)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	write(b, filepath.Join(lane, "document.json"), toJSON(b, root))
	script, err := os.ReadFile("testdata/node/compare.mjs")
	if err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(lane, "compare.mjs"), script)
	out := filepath.Join(lane, "out-"+strconv.Itoa(len(data)))
	if said, err := run(b.Context(), lane, filepath.Join(lane, "spec-apply"), "spec-apply", "--openapi", document, "--out", out, "--target", "zod"); err != nil {
		b.Fatalf("%v\n%s", err, said)
	}
	all = append(slices.Clone(all), &versus{peer: peer{name: "spec-apply", target: "zod", schemas: "*.ts"}, theirs: []measured{{}}, output: out})
	for _, v := range all {
		if v.theirs[0].failed != "" {
			continue
		}
		if v.target == "zod" || v.target == "hono" {
			b.Logf("%s: tsc --strict: %s", v.name, compiled(b, lane, v.output))
		}
		if v.schemas == "" {
			continue
		}
		if err := oneModule(v.output, v.schemas, filepath.Join(lane, v.name+".mjs")); err != nil {
			b.Logf("%s: %v", v.name, err)
			continue
		}
		got, err := agree(b, lane, "document", v.name, 8)
		if err != nil {
			b.Logf("%s: %v", v.name, err)
			continue
		}
		share := func(some, of int) float64 { return 100 * float64(some) / float64(of) }
		b.Logf("%s: %d schemas, %d missing, %d threw; agreed on all values of %.2f %%, on %.2f %% of values (mean of valid and invalid ones), lossless %.2f %%", v.name, got.Schemas, len(got.Missing), len(got.Threw),
			share(got.Agreed, got.Schemas), (share(got.ValidAgreed, got.Valid)+share(got.InvalidAgreed, got.Invalid))/2, share(got.Lossless, got.Parsed))
	}
}

var compilerError = regexp.MustCompile(`error (TS\d+)`)

// compiled says what the compiler finds in the modules of a folder.
func compiled(b *testing.B, lane, folder string) string {
	b.Helper()
	var modules []string
	for _, pattern := range []string{"*.ts", "*/*.ts"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			b.Fatal(err)
		}
		modules = append(modules, found...)
	}
	if len(modules) == 0 {
		return "no TypeScript"
	}
	list := filepath.Join(folder, "tsconfig.json")
	write(b, list, fmt.Appendf(nil, `{ "compilerOptions": { "strict": true, "noEmit": true, "skipLibCheck": true, "target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": [] }, "files": ["%s"] }`, strings.Join(modules, `", "`)))
	said, err := run(b.Context(), folder, "node", "--max-old-space-size=8192", filepath.Join(lane, "node_modules/typescript/bin/tsc"), "-p", list)
	if err == nil {
		return "clean"
	}
	errors := compilerError.FindAllStringSubmatch(said, -1)
	if len(errors) == 0 {
		return fmt.Sprintf("%v %.300s", err, said)
	}
	return fmt.Sprintf("%d errors, the first one %s", len(errors), errors[0][1])
}

// oneModule makes one module of JavaScript of all that modules export.
func oneModule(folder, pattern, out string) error {
	modules, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return err
	}
	var entry strings.Builder
	for _, name := range modules {
		fmt.Fprintf(&entry, "export * from %q;\n", name)
	}
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: entry.String(), ResolveDir: folder}, Bundle: true, Write: true, Outfile: out,
		Format: api.FormatESModule, Platform: api.PlatformNeutral, External: []string{"zod"},
	})
	if len(result.Errors) > 0 {
		return fmt.Errorf("no module: %s", result.Errors[0].Text)
	}
	return nil
}
