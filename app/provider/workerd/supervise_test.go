package workerd

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

func logText(rt *Runtime, name string) string {
	var b strings.Builder
	for _, line := range rt.Logs(name) {
		b.WriteString(string(line.Stream) + ": " + line.Text + "\n")
	}
	return b.String()
}

func TestCrashRestarts(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	pid := rt.pids()[0]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unhealthy", func() bool {
		observed, err := rt.Observe(t.Context(), r)
		return err == nil && observed.Exists && observed.Digest == ""
	})
	if status, body := get(t, rt, r.Name, "/"); status == http.StatusBadGateway && !strings.Contains(body, `"ENV_PREVIEW_DOWN"`) {
		t.Errorf("while down: %d %s", status, body)
	}
	eventually(t, "restarted", func() bool { status, _ := get(t, rt, r.Name, "/"); return status == http.StatusOK })
	observed, err := rt.Observe(t.Context(), r)
	if err != nil || observed.Digest != "1" {
		t.Errorf("observed %+v, %v", observed, err)
	}
	if now := rt.pids()[0]; now == pid || alive(pid) {
		t.Errorf("process %d, now %d", pid, now)
	}
	if text := logText(rt, r.Name); !strings.Contains(text, "supervisor: the Worker's process is gone (signal: killed)") {
		t.Errorf("log %s", text)
	}
	// An Apply does not wait for the backoff.
	if err := syscall.Kill(rt.pids()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unhealthy again", func() bool { o, err := rt.Observe(t.Context(), r); return err == nil && o.Digest == "" })
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	wantGet(t, rt, r.Name, "/", "hi")
}

func TestMemory(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	eater := `let kept = globalThis.kept ??= []; for (;;) { kept.push(new Uint8Array(8 << 20).fill(1)); await scheduler.wait(0); }`
	r := resource()
	apply(t, rt, r, worker(answering(`if (url.pathname === "/eat") { `+eater+` } return new Response("hi")`)))
	pid := rt.pids()[0]
	if status, body := get(t, rt, r.Name, "/eat"); status != http.StatusBadGateway {
		t.Errorf("eater: %d %s", status, body)
	}
	eventually(t, "killed and restarted", func() bool {
		status, _ := get(t, rt, r.Name, "/")
		return status == http.StatusOK && !alive(pid)
	})
	if text := logText(rt, r.Name); !strings.Contains(text, "It used more than its 256 MB of memory") {
		t.Errorf("log %s", text)
	}

	// At its top level, without a pause.
	r = resource()
	_, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: worker(`const kept = []; for (;;) kept.push(new Array(1e6).fill(1.5));`)})
	if preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("eater at the top level: %v", err)
	}
	t.Log(err)
}

func TestLogs(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, func(c *Config) { c.LogBytes = 4 << 10 })
	r := resource()
	bundle := worker(answering(`if (url.pathname === "/many") for (let n = 0; n < 1000; n++) console.log("line", n); else {
		console.log("env", JSON.stringify(env), JSON.stringify(process.env)); console.error(encodeURIComponent("p@ss/w%rd"), "p@ss/w%rd", "tok-12345");
		} return new Response("ok")`))
	bundle.DatabaseBinding = testBinding
	_, err := rt.Apply(t.Context(), r, preview.Inputs{
		Bundle: bundle, Redact: []preview.Secret{"tok-12345"},
		Outputs: preview.Outputs{DatabaseURL: "postgres://u:p%40ss%2Fw%25rd@127.0.0.1:1/d"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantGet(t, rt, r.Name, "/many", "ok")
	eventually(t, "last line", func() bool { return strings.Contains(logText(rt, r.Name), "line 999\n") })
	wantGet(t, rt, r.Name, "/", "ok")
	eventually(t, "the secrets", func() bool {
		text := logText(rt, r.Name)
		return strings.Contains(text, "stdout: env") && strings.Contains(text, "stderr: ")
	})
	text := logText(rt, r.Name)
	if len(text) > 6<<10 || strings.Contains(text, "line 5\n") {
		t.Errorf("log of %d bytes is not bounded", len(text))
	}
	if !strings.Contains(text, `"`+testBinding+`":"***"`) {
		t.Errorf("the environment that it logs is not masked:\n%s", text)
	}
	for _, secret := range []string{"p@ss", "p%40ss", "tok-12345"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q:\n%s", secret, text)
		}
	}
}

// A flag that the Worker's date has anyhow is no error of its user's.
func TestNeedlessFlag(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	bundle := worker(answering(`console.error("that is all"); return new Response("ok")`))
	bundle.CompatibilityDate, bundle.CompatibilityFlags = "2026-10-01", []string{"nodejs_compat", "url_standard"}
	apply(t, rt, r, bundle)
	wantGet(t, rt, r.Name, "/", "ok")
	eventually(t, "a line", func() bool { return logText(rt, r.Name) != "" })
	if text := logText(rt, r.Name); text != "stderr: that is all\n" {
		t.Errorf("log:\n%s", text)
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	l := newLogs(1 << 20)
	l.hide([]preview.Secret{"p@ss/w%rd", "postgres://u:p%40ss%2Fw%25rd@h/d", "abc"})
	w := &lineWriter{logs: l, stream: Stdout}
	for _, chunk := range []string{"a postgres://u:p%40ss%2Fw%25rd@h/d b\npart", "ial p@s", "s/w%rd end\r\nabc\n", strings.Repeat("x", maxRawLine-4) + "p@ss/w%rd\nnext\n", "\xff\n"} {
		if _, err := w.Write([]byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, line := range l.snapshot() {
		if strings.Contains(line.Text, "p@") || len(line.Text) > maxLine {
			t.Errorf("line %.80q of %d bytes", line.Text, len(line.Text))
		}
		got = append(got, line.Text)
	}
	want := []string{"a *** b", "partial *** end", "abc", got[3], "next", "\uFFFD"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("lines %q", got)
	}
}

// A process of a server that is root has a user of its own and can't look at its neighbours.
func TestUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: user ids are not switched")
	}
	rt := newRuntime(t, nil)
	owners := map[uint32]bool{}
	for range 3 {
		apply(t, rt, resource(), worker(answering(`return new Response("hi")`)))
	}
	for _, pid := range rt.pids() {
		raw, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		var info syscall.Stat_t
		if err := syscall.Stat("/proc/"+itoa(pid), &info); err != nil {
			t.Fatal(err)
		}
		if info.Uid < 61000 || owners[info.Uid] {
			t.Errorf("process %d has user %d", pid, info.Uid)
		}
		owners[info.Uid] = true
		if !strings.Contains(string(raw), "\nCapEff:\t0000000000000000\n") || !strings.Contains(string(raw), "\nGroups:\t \n") {
			t.Errorf("capabilities or groups are left:\n%s", raw)
		}
		environment, err := os.ReadFile("/proc/" + itoa(pid) + "/environ")
		if err != nil || len(environment) != 0 {
			t.Errorf("environment %q, %v; want none", environment, err)
		}
		if inside, err := os.Readlink("/proc/" + itoa(pid) + "/ns/net"); err == nil && !rt.noIsolation.Load() {
			if outside, _ := os.Readlink("/proc/self/ns/net"); inside == outside {
				t.Errorf("process %d shares the server's network", pid)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	always, never := func(int) bool { return true }, func(int) bool { return false }
	const stuck, endless = "It kept a processor busy for 30s and answered nothing", "It computed for 1m30s without a pause"
	tests := []struct {
		name    string
		share   float64               // of a processor that it gets in a second in which it wants one
		wants   func(second int) bool // whether it would compute
		answers func(second int) bool // whether it answers, if it is asked
		reason  string
		at      int // the second at which it must end; 0: never
	}{
		{"idle", 1, never, always, "", 0},
		{"stuck", 1, always, never, stuck, 30},
		{"stuck on a full machine", 0.2, always, never, stuck, 30},
		{"half", 1, func(s int) bool { return s%2 == 0 }, never, "", 0},
		{"stuck late", 1, func(s int) bool { return s > 60 }, never, stuck, 90}, // the look at 60 s saw the last pause
		{"pauses", 1, func(s int) bool { return s%25 > 4 }, never, "", 0},
		{"busy on a full machine, and answers", 0.2, always, always, "", 0},
		{"busy, and answers seldom", 0.5, always, func(s int) bool { return s%25 == 0 }, "", 0},
		{"answers no longer", 0.5, always, func(s int) bool { return s < 30 }, stuck, 55},
		{"endless, though it answers", 1, always, always, endless, 90},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Unix(0, 0)
			l, used, asked := newLoad(start, 30*time.Second, 90*time.Second), effort{}, false
			reason, at := "", 0
			for second := 1; second <= 240 && reason == ""; second++ {
				now := start.Add(time.Duration(second) * time.Second)
				if tt.wants(second) {
					got := time.Duration(tt.share * float64(time.Second))
					used.computed, used.waited = used.computed+got, used.waited+time.Second-got
				}
				if l.due(now) {
					var busy bool
					reason, busy = l.look(used, now)
					at, asked = second, asked || busy
				}
				if asked && tt.answers(second) {
					l.answered(used, now)
					asked = false
				}
			}
			if reason == "" {
				at = 0
			}
			if reason != tt.reason || at != tt.at {
				t.Errorf("%q at %d s, want %q at %d s", reason, at, tt.reason, tt.at)
			}
		})
	}
}

// TestLateLook: who stood still itself judges nobody by what it did not hear meanwhile, and begins anew.
func TestLateLook(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	l := newLoad(start, 30*time.Second, time.Hour)
	for _, look := range []struct {
		at   int // seconds
		ends bool
	}{{5, false}, {10, false}, {60, false}, {65, false}, {75, false}, {85, false}, {90, true}} {
		spent := time.Duration(look.at) * time.Second
		if reason, _ := l.look(effort{computed: spent}, start.Add(spent)); (reason != "") != look.ends {
			t.Errorf("at %d s: %q", look.at, reason)
		}
	}
}

// TestBusyButAnswering: a Worker that computes without a pause is left alone as long as it answers, which no code of it
// has to do; its neighbour that does not is ended.
func TestBusyButAnswering(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	rt := newRuntime(t, func(c *Config) { c.BusyLimit = limit })
	computes := answering(`console.log(req.method, url.pathname);
		const end = Date.now() + Number(url.pathname.slice(1)), turns = url.search === "?turns";
		for (let n = 0; Date.now() < end; n++) { for (let m = 0; m < 1e6; m++) n ^= m; if (turns) await scheduler.wait(0); }
		return new Response("done")`)
	busy, stuck := resource(), resource()
	apply(t, rt, busy, worker(computes))
	apply(t, rt, stuck, worker(computes))
	i := rt.serving(busy.Name)
	i.drain.leave()
	pid := i.process.cmd.Process.Pid
	before, _ := effortOf(pid)
	var group sync.WaitGroup
	group.Go(func() {
		if status, body := get(t, rt, busy.Name, "/6000?turns"); status != http.StatusOK || body != "done" {
			t.Errorf("busy, and answers: %d %s", status, body)
		}
	})
	group.Go(func() {
		if status, body := get(t, rt, stuck.Name, "/60000"); status != http.StatusBadGateway {
			t.Errorf("stuck: %d %s", status, body)
		}
	})
	group.Wait()
	if after, ok := effortOf(pid); !ok || after.computed+after.waited-before.computed-before.waited < 2*limit {
		t.Errorf("it was not busy: %v, %v", before, after)
	}
	if log := logText(rt, busy.Name); log != "stdout: GET /6000\n" {
		t.Errorf("log of the busy one: %s", log)
	}
	eventually(t, "the reason", func() bool {
		return strings.Contains(logText(rt, stuck.Name), "It kept a processor busy for 2s and answered nothing")
	})
}
