package workerd

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

// prisoner is a Worker that tries what it is asked to, and answers with what it got.
const prisoner = `import { connect } from "cloudflare:sockets";
const read = async (s) => { const r = s.readable.getReader(); const { value } = await r.read(); return new TextDecoder().decode(value ?? new Uint8Array()); };
const callback = (start) => new Promise((ok, no) => start((e, v) => e ? no(e) : ok(v)));
const tries = {
	fetch: async (to) => "status " + (await fetch(to)).status,
	connect: async (to) => { const s = connect(to); await s.opened; return "opened " + await read(s); },
	tls: async (to) => { const s = connect(to, { secureTransport: "on" }); await s.opened; return "opened"; },
	websocket: (to) => new Promise((ok, no) => { const s = new WebSocket(to); s.onopen = () => ok("opened"); s.onerror = (e) => no(e.error ?? new Error("error")); s.onclose = () => no(new Error("closed")); }),
	upgrade: async (to) => { const r = await fetch(to, { headers: { upgrade: "websocket" } }); if (!r.webSocket) throw new Error("status " + r.status); return "opened"; },
	eventsource: (to) => new Promise((ok, no) => { const s = new EventSource(to); s.onopen = () => ok("opened"); s.onerror = () => { s.close(); no(new Error("error")); }; }),
	net: async (to) => { const net = await import("node:net"); const [host, port] = to.split("|"); return callback((done) => { const s = net.connect({ host, port: Number(port) }, () => done(null, "opened")); s.on("error", done); s.on("close", () => done(new Error("closed"))); }); },
	netpath: async (to) => { const net = await import("node:net"); return callback((done) => { const s = net.connect({ path: to }, () => done(null, "opened")); s.on("error", done); }); },
	http: async (to) => { const http = await import("node:http"); return callback((done) => http.get(to, (r) => done(null, "status " + r.statusCode)).on("error", done)); },
	dns: async (to) => { const dns = await import("node:dns"); return callback((done) => dns.resolve4(to, done)); },
	lookup: async (to) => { const dns = await import("node:dns"); return callback((done) => dns.lookup(to, (e, a) => done(e, a))); },
	dgram: async (to) => { const d = await import("node:dgram"); const s = d.createSocket("udp4"); const [host, port] = to.split("|"); return callback((done) => s.send("x", Number(port), host, (e) => done(e, "sent"))); },
	file: async (to) => { const fs = await import("node:fs"); return "content " + fs.readFileSync(to, "utf8"); },
	list: async (to) => { const fs = await import("node:fs"); return "content " + fs.readdirSync(to).join(","); },
	write: async (to) => { const fs = await import("node:fs"); fs.writeFileSync(to, "x"); return "written"; },
	link: async (to) => { const fs = await import("node:fs"); fs.symlinkSync(to, "/tmp/x"); return "content " + fs.readFileSync("/tmp/x", "utf8"); },
	exec: async (to) => { const c = await import("node:child_process"); return "ran " + c.execSync(to); },
	spawn: async (to) => { const c = await import("node:child_process"); return callback((done) => { const p = c.spawn(to); p.on("error", done); p.on("exit", () => done(null, "ran")); }); },
	thread: async () => { const w = await import("node:worker_threads"); new w.Worker("process", { eval: true }); return "ran"; },
	binding: async () => "got " + Object.keys(process.binding("fs")).join(","),
	dlopen: async (to) => { process.dlopen({ exports: {} }, to); return "loaded"; },
	eval: async (to) => "ran " + eval(to),
	function: async (to) => "ran " + new Function(to)(),
	module: async (to) => "loaded " + Object.keys(await import(to)).join(","),
};
export default { async fetch(req, env) { const url = new URL(req.url); const what = url.pathname.slice(1), to = url.searchParams.get("to");
	switch (what) {
	case "": return new Response("well");
	case "env": return Response.json({ env, process: process.env, arguments: process.argv });
	case "loop": for (;;) {}
	case "microtasks": for (;;) await null;
	case "regexp": /^(a+)+$/.test("a".repeat(60) + "b"); break;
	case "arrays": { const kept = []; for (;;) kept.push(new Array(1e6).fill(1.5)); }
	case "buffers": { const kept = []; for (;;) { kept.push(new Uint8Array(8 << 20).fill(1)); await scheduler.wait(0); } }
	case "strings": { let s = "x"; const kept = []; for (let n = 0; ; n++) kept.push((s + n).repeat(1 << 20).split("")); }
	case "streams": { const { readable, writable } = new TransformStream(undefined, undefined, { highWaterMark: 1e12 }); const w = writable.getWriter(); for (;;) { w.write(new Uint8Array(4 << 20).fill(1)); await scheduler.wait(0); } }
	}
	try { return new Response("did: " + await Promise.race([tries[what](to), scheduler.wait(5000).then(() => { throw new Error("nothing happened"); })])); }
	catch (e) { return new Response("refused: " + e.name + ": " + e.message); } } };`

// isolations are the two ways that a server can run Workers: as root, each with a user and a network
// of its own, and as anybody else.
func isolations(t *testing.T) map[string]func(*Config) {
	t.Helper()
	ways := map[string]func(*Config){"the server's user": func(c *Config) { c.SwitchUser = false }}
	if os.Geteuid() == 0 {
		ways["a user and a network of its own"] = func(c *Config) { c.SwitchUser = true }
	}
	return ways
}

// TestHostileWorkerReachesNothing tries from inside every way out that the runtime has an API for.
func TestHostileWorkerReachesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rt := newRuntime(t, change)
			other := resource()
			apply(t, rt, other, worker(answering(`return new Response("neighbour")`)))
			r := resource()
			bundle := worker(prisoner)
			bundle.DatabaseBinding = testBinding
			if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle, Outputs: preview.Outputs{DatabaseURL: preview.Secret(embeddedtest.Postgres(t))}}); err != nil {
				t.Fatal(err)
			}
			var reached atomic.Int64
			count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
			port := trap(t, "tcp", "0.0.0.0:0", count).(*net.TCPAddr).Port
			path := filepath.Join(t.TempDir(), "s")
			trap(t, "unix", path, count)
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			gateway := serve(t, rt)
			admin, err := url.Parse(embeddedtest.Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			secretFile := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(secretFile, []byte("treasure"), 0o644); err != nil {
				t.Fatal(err)
			}
			neighbours, err := filepath.Glob(filepath.Join(rt.sockets, "*.in"))
			if err != nil || len(neighbours) != 2 {
				t.Fatalf("sockets %v, %v", neighbours, err)
			}
			tests := map[string][]string{
				"file":  {"/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/1/environ", "/proc/self/fd/5/config.capnp", secretFile, rt.config.Dir, "/dev/mem"},
				"list":  {"/etc", "/proc", "/proc/self/fd", rt.config.Dir, rt.sockets},
				"link":  {"/etc/passwd", secretFile},
				"write": {secretFile, "/etc/flaresmith", filepath.Join(rt.config.Dir, "x"), "/proc/self/oom_score_adj"},
				"exec":  {"id"}, "spawn": {"id"}, "thread": {""}, "binding": {""}, "dlopen": {"/lib/x86_64-linux-gnu/libc.so.6"},
				"eval": {"1"}, "function": {"return 1"}, "module": {"file:///etc/passwd", "/etc/passwd", "http://127.0.0.1/x.js", "data:text/javascript,export default 1"},
				"dns": {"example.com", "localhost", other.Name + ".localhost"}, "lookup": {"example.com"},
				"netpath": append([]string{path}, neighbours...), "dgram": {fmt.Sprintf("127.0.0.1|%d", port)},
				"fetch": {"unix:" + path, "http://unix:" + path, "file:///etc/passwd"}, "connect": {"unix:" + path, "unix:" + neighbours[0]},
			}
			hosts := []string{"127.0.0.1", "127.88.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "metadata.google.internal", "2130706433", "0x7f.1", "example.com"}
			for _, host := range hosts {
				at := fmt.Sprintf("%s:%d", host, port)
				tests["fetch"] = append(tests["fetch"], "http://"+at+"/", "https://"+at+"/", "http://"+host+"/latest/meta-data/")
				tests["connect"] = append(tests["connect"], at, host+":80", host+":22")
				tests["tls"] = append(tests["tls"], at)
			}
			own := fmt.Sprintf("127.0.0.1:%d", port)
			for what, scheme := range map[string]string{"websocket": "ws", "upgrade": "http", "eventsource": "http", "http": "http"} {
				tests[what] = []string{scheme + "://" + own + "/", scheme + "://" + gateway + "/", scheme + "://169.254.169.254/"}
			}
			tests["net"] = []string{strings.Replace(own, ":", "|", 1), strings.Replace(gateway, ":", "|", 1), strings.Replace(admin.Host, ":", "|", 1)}
			tests["connect"] = append(tests["connect"], admin.Host, gateway)
			tests["fetch"] = append(tests["fetch"], "http://"+gateway+"/", "http://"+other.Name+".localhost:8080/", "http://"+other.Name+"."+gateway+"/", "http://"+admin.Host+"/")
			for what, list := range tests {
				for _, to := range list {
					status, body := get(t, rt, r.Name, "/"+what+"?to="+url.QueryEscape(to))
					if status != http.StatusOK || !strings.HasPrefix(body, "refused: ") || strings.Contains(body, "nothing happened") {
						t.Errorf("%s %s: %d %.300q", what, to, status, body)
					}
				}
			}
			if n := reached.Load(); n > 0 {
				t.Errorf("it reached what listens on this machine %d times", n)
			}
			if text, err := os.ReadFile(secretFile); err != nil || string(text) != "treasure" {
				t.Errorf("the file holds %q, %v", text, err)
			}
			wantOwnEnvironment(t, rt, r)
			wantGet(t, rt, other.Name, "/", "neighbour")
		})
	}
}

// wantOwnEnvironment makes sure that a Worker sees its bindings, and of the database's address nothing but our stand-in for it.
func wantOwnEnvironment(t *testing.T, rt *Runtime, r preview.Resource) {
	t.Helper()
	_, body := get(t, rt, r.Name, "/env")
	var seen struct {
		Env, Process map[string]string
		Arguments    []string
	}
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(seen.Env) != 1 || !strings.Contains(seen.Env[testBinding], DatabaseAddress) {
		t.Errorf("bindings %v", seen.Env)
	}
	for name, value := range seen.Process {
		if name != testBinding && os.Getenv(name) == value && value != "" {
			t.Errorf("it sees the server's variable %s", name)
		}
	}
	for _, text := range seen.Arguments {
		if strings.Contains(text, "fd") {
			t.Errorf("it sees the arguments of its process: %v", seen.Arguments)
		}
	}
}

// trap listens on an address that a Worker must not reach.
func trap(t *testing.T, network, address string, handler http.Handler) net.Addr {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr()
}

// TestHostileWorkerTakesNothing: a Worker that computes for ever or eats memory is ended, started
// again, and its log says why; its neighbour serves all the while.
func TestHostileWorkerTakesNothing(t *testing.T) {
	t.Parallel()
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		rt := newRuntime(t, func(c *Config) { c.BusyLimit = 2 * time.Second })
		takesNothing(t, rt, "It kept a processor busy for 2s", "loop", "microtasks", "regexp")
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		rt := newRuntime(t, nil) // to eat memory takes a processor, too: on a busy machine for more than seconds
		takesNothing(t, rt, "It used more than its 256 MB of memory", "arrays", "buffers", "strings", "streams")
	})
}

func takesNothing(t *testing.T, rt *Runtime, want string, attacks ...string) {
	t.Helper()
	other := resource()
	apply(t, rt, other, worker(answering(`return new Response("neighbour")`)))
	for _, attack := range attacks {
		r := resource()
		apply(t, rt, r, worker(prisoner))
		ended := make(chan string)
		go func() {
			status, body := get(t, rt, r.Name, "/"+attack)
			ended <- fmt.Sprintf("%d %.100s", status, body)
		}()
		answer := ""
		for answer == "" {
			select {
			case answer = <-ended:
			case <-time.After(50 * time.Millisecond):
				wantGet(t, rt, other.Name, "/", "neighbour")
			}
		}
		if !strings.HasPrefix(answer, "502 ") && !strings.HasPrefix(answer, "500 ") {
			t.Errorf("%s: answered %s", attack, answer)
		}
		eventually(t, attack+": it serves again", func() bool { status, _ := get(t, rt, r.Name, "/"); return status == http.StatusOK })
		if log := logText(rt, r.Name); !strings.Contains(log, want) {
			t.Errorf("%s: log %s", attack, log)
		}
		if err := rt.Delete(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
}
