package workerd

import (
	"net/http"
	"os"
	"strings"
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

func TestStuck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		busy func(second int) bool // whether a processor was busy in that second
		want int                   // the second at which it is stuck; 0: never
	}{
		{"idle", func(int) bool { return false }, 0},
		{"busy", func(int) bool { return true }, 30},
		{"half", func(s int) bool { return s%2 == 0 }, 0},
		{"late", func(s int) bool { return s > 60 }, 90}, // the look at 60 s saw the last pause
		{"pause", func(s int) bool { return s%25 > 4 }, 0},
	}
	for _, test := range tests {
		start := time.Unix(0, 0)
		l, used, got := newLoad(start, 30*time.Second), time.Duration(0), 0
		for second := 1; second <= 120 && got == 0; second++ {
			if test.busy(second) {
				used += time.Second
			}
			if l.stuck(used, start.Add(time.Duration(second)*time.Second)) {
				got = second
			}
		}
		if got != test.want {
			t.Errorf("%s: stuck at %d s, want %d", test.name, got, test.want)
		}
	}
}
