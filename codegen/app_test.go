package codegen_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/codegen"
)

const appData = "testdata/app"

// project is a skeleton that generated files are put into.
type project struct {
	name        string
	folder      string // below it, the files
	entry       string
	collections []string
	answers     map[string]string // to some requests
}

// TestAppRuns makes apps from contracts alone, compiles them strictly with both compilers in use, runs them
// in workerd and has newman run the generated collections against them. The shop answers by handlers that a
// person wrote; the real feature folders, where they are, by the examples of their contracts.
func TestAppRuns(t *testing.T) {
	t.Parallel()
	dir := install(t)
	projects := []project{shop(t, dir), segments(t, dir)}
	if _, err := os.Stat(sharedSpecs); err == nil {
		projects = append(projects, features(t, dir))
	} else {
		t.Log("not tried: " + sharedSpecs + " is not there")
	}
	single(t, filepath.Join(dir, "routes"), os.DirFS(golden+"/routes/in"))
	write(t, filepath.Join(dir, "tsconfig.json"), []byte(`{"compilerOptions": {"strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true, "noUnusedLocals": true, "noEmit": true,
		"skipLibCheck": true, "resolveJsonModule": true, "target": "es2022", "lib": ["es2022", "webworker"], "module": "esnext", "moduleResolution": "bundler", "types": []},
		"include": ["shop", "segments", "features", "routes"]}`))
	for _, compiler := range []string{"typescript", "typescript-5"} {
		t.Run(compiler, func(t *testing.T) {
			t.Parallel()
			if out, err := run(t.Context(), dir, "node", filepath.Join("node_modules", compiler, "bin", "tsc"), "-p", "."); err != nil {
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
	t.Run("format", func(t *testing.T) {
		t.Parallel()
		collectionFormat(t, dir, projects)
	})
	for _, p := range projects {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, bundle(t, dir, p), "")
			for _, collection := range p.collections {
				newman(t, dir, p, collection, address)
			}
			for request, want := range p.answers {
				if got := ask(t, address, request); got != want {
					t.Errorf("%s: got %s, want %s", request, got, want)
				}
			}
		})
	}
}

// single generates from one document into a folder.
func single(t *testing.T, folder string, in fs.FS) {
	t.Helper()
	files, err := codegen.Generate(t.Context(), in, codegen.Options{OpenAPI: "openapi.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, folder, files)
}

func put(t *testing.T, folder string, files codegen.Files) {
	t.Helper()
	for _, f := range files.All {
		name := filepath.Join(folder, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, name, f.Content)
	}
}

func shop(t *testing.T, dir string) project {
	t.Helper()
	return answered(t, dir, "shop", os.DirFS(appData+"/shop"))
}

// segments has paths with segments that are more than a parameter: each request finds its own route, and the
// parameters in it.
func segments(t *testing.T, dir string) project {
	t.Helper()
	p := answered(t, dir, "segments", os.DirFS(golden+"/segments/in"))
	p.answers = map[string]string{
		"GET /files/readme":                    `200 {"operation":"getFile","param":{"name":"readme"}}`,
		"GET /files/readme.txt":                `200 {"operation":"getFileAs","param":{"name":"readme","ext":"txt"}}`,
		"GET /files/archive.tar.json":          `200 {"operation":"getFileAs","param":{"name":"archive.tar","ext":"json"}}`,
		"GET /files/a%20b.txt":                 `200 {"operation":"getFileAs","param":{"name":"a b","ext":"txt"}}`,
		"GET /files/readme.exe":                `400`,
		"GET /files/x/readme.txt":              `404`,
		"GET /users/7":                         `200 {"operation":"getUser","param":{"id":7}}`,
		"GET /users/7:activate":                `200 {"operation":"isActive","param":{"id":7}}`,
		"POST /users/7:activate":               `200 {"operation":"activateUser","param":{"id":7}}`,
		"POST /users/x:activate":               `400`,
		"POST /users/7:deactivate":             `404`,
		"GET /users:batchGet":                  `200 {"operation":"batchGet","param":{}}`,
		"GET /jobs/:all":                       `200 {"operation":"allJobs","param":{}}`,
		"GET /jobs/all":                        `404`,
		"GET /users/7/posts/1-20(x)/tags/new":  `200 {"operation":"getPosts","param":{"id":7,"sum":21,"tag":"new"}}`,
		"GET /users/7/posts/1-20(xy)/tags/new": `404`,
	}
	return p
}

// ask makes a request, and gives the status and the body of an answer that is no error.
func ask(t *testing.T, address, request string) string {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return strconv.Itoa(response.StatusCode)
	}
	return "200 " + string(body)
}

// answered is an app of one document, with handlers that a person wrote.
func answered(t *testing.T, dir, name string, in fs.FS) project {
	t.Helper()
	p := project{name: name, folder: filepath.Join(dir, name), entry: "index.ts", collections: []string{"api.postman_collection.json"}}
	single(t, p.folder, in)
	handlers, err := os.ReadFile(filepath.Join(appData, name, "handlers.ts"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.folder, "handlers.ts"), handlers)
	return p
}

// features are real feature folders. Each file that people would write handlers into answers by examples.
func features(t *testing.T, dir string) project {
	t.Helper()
	p := project{name: "features", folder: filepath.Join(dir, "features"), entry: "src/index.ts"}
	in := os.DirFS(filepath.Dir(sharedSpecs))
	files, err := codegen.Generate(t.Context(), in, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, p.folder, files)
	handlers, err := os.ReadFile(appData + "/examples/handlers.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files.All {
		switch {
		case strings.HasPrefix(f.Path, "src/handlers/"):
			name := strings.TrimSuffix(filepath.Base(f.Path), ".ts") + ".answers.json"
			write(t, filepath.Join(p.folder, f.Path), bytes.ReplaceAll(handlers, []byte("ANSWERS"), []byte("./"+name)))
		case strings.HasSuffix(f.Path, ".postman_collection.json"):
			p.collections = append(p.collections, f.Path)
			name := strings.TrimSuffix(filepath.Base(f.Path), ".postman_collection.json") + ".answers.json"
			data, err := json.Marshal(answers(t, f.Content))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(p.folder, "src/handlers", name), data)
		}
	}
	return p
}

// item is a folder, or a request with examples of its answers.
type item struct {
	Item    []item
	Request struct {
		Method string
		URL    struct{ Path []string }
	}
	Response []struct {
		Code   int
		Header []struct{ Value string }
		Body   string
	}
}

type answer struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Body   string `json:"body"`
}

// answers are the first examples of success, by method and path as Hono writes it.
func answers(t *testing.T, collection []byte) map[string]answer {
	t.Helper()
	var root item
	if err := json.Unmarshal(collection, &root); err != nil {
		t.Fatal(err)
	}
	all := map[string]answer{}
	var walk func([]item)
	walk = func(items []item) {
		for _, i := range items {
			walk(i.Item)
			for _, r := range i.Response {
				key := i.Request.Method + " /" + strings.Join(i.Request.URL.Path, "/")
				if _, known := all[key]; known || r.Code >= 400 {
					continue
				}
				a := answer{Status: r.Code, Body: r.Body}
				if len(r.Header) > 0 {
					a.Type = r.Header[0].Value
				}
				all[key] = a
			}
		}
	}
	walk(root.Item)
	return all
}

// collectionFormat checks every collection with Postman's own schema.
func collectionFormat(t *testing.T, dir string, projects []project) {
	for _, name := range []string{"node/collection.mjs", "postman/collection-v2.1.0.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(name)), data)
	}
	args := []string{"collection.mjs", "collection-v2.1.0.json", filepath.Join(dir, "routes", "api.postman_collection.json")}
	for _, p := range projects {
		for _, collection := range p.collections {
			args = append(args, filepath.Join(p.folder, collection))
		}
	}
	if out, err := run(t.Context(), dir, "node", args...); err != nil {
		t.Errorf("%v\n%.4000s", err, out)
	}
}

// bundle makes one module of an app, as deployment does.
func bundle(t *testing.T, dir string, p project) []byte {
	t.Helper()
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{filepath.Join(p.folder, p.entry)}, AbsWorkingDir: dir, Bundle: true, Format: api.FormatESModule, Platform: api.PlatformNeutral,
		MainFields: []string{"module", "main"}, Conditions: []string{"workerd", "worker", "browser"}, Target: api.ES2022,
		External: []string{"node:*", "cloudflare:*"},
	})
	if len(result.Errors) > 0 {
		t.Fatalf("%+v", result.Errors[0])
	}
	return result.OutputFiles[0].Contents
}

const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "internet", network = (allow = ["private", "public"]))],
  sockets = [(name = "http", service = "main", http = ())]
);
const main :Workerd.Worker = (
  modules = [(name = "app.js", esModule = embed "app.js")],
  compatibilityDate = "2025-11-01",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [(name = "DATABASE_URL", text = embed "database")]
);
`

// serve runs a module in workerd, with the URL of a database or none, until the test ends, and returns its address
// when it answers.
func serve(t *testing.T, code []byte, database string) string {
	t.Helper()
	binary := embeddedtest.Workerd(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app.js"), code)
	write(t, filepath.Join(dir, "database"), []byte(database))
	write(t, filepath.Join(dir, "config.capnp"), []byte(workerdConfig))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close() // the file holds the socket open
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "serve", "config.capnp", "--socket-fd", "http=3")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.WaitDelay = dir, &log, &log, []*os.File{socket}, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	t.Cleanup(func() { // the test's context is done, which ends the process
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("workerd said:\n%.4000s", log.String())
		}
	})
	client := &http.Client{Timeout: time.Minute} // the socket is open before workerd takes requests from it
	response, err := client.Get(address + "/is-there-nothing")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Fatalf("a path that is not there: %s", response.Status)
	}
	return address
}

// newman runs a collection against an address. Each request must be made, and no test may fail.
func newman(t *testing.T, dir string, p project, collection, address string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	name := filepath.Join(p.folder, collection)
	out, err := run(t.Context(), dir, "node", filepath.Join("node_modules", "newman", "bin", "newman.js"), "run", name,
		"--environment", filepath.Join(filepath.Dir(name), "dev.postman_environment.json"), "--env-var", "baseUrl="+address, "--env-var", "token=secret",
		"--color", "off", "--timeout", "120000", "--reporters", "cli,json", "--reporter-json-export", report)
	if err != nil {
		t.Errorf("newman: %v\n%.6000s", err, out)
		return
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Run struct {
			Stats    struct{ Requests, Assertions struct{ Total, Failed int } }
			Failures []json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	stats := got.Run.Stats
	t.Logf("%s: %d requests, %d assertions", collection, stats.Requests.Total, stats.Assertions.Total)
	if wanted := len(answers(t, content)); stats.Requests.Total != wanted || stats.Requests.Failed > 0 || stats.Assertions.Total < wanted || len(got.Run.Failures) > 0 {
		t.Errorf("%d requests, %d failed, %d assertions, %d failures; %d operations\n%.6000s",
			stats.Requests.Total, stats.Requests.Failed, stats.Assertions.Total, len(got.Run.Failures), wanted, out)
	}
}
