package workerd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

// goroutines of this package that are alive, by their stacks, tests aside.
func goroutines() string {
	buffer := make([]byte, 4<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var ours []string
	for stack := range strings.SplitSeq(string(buffer), "\n\n") {
		if strings.Contains(stack, "/workerd.(*") && !strings.Contains(stack, "workerd.goroutines") {
			ours = append(ours, stack)
		}
	}
	return strings.Join(ours, "\n\n")
}

// Not parallel: it looks at all goroutines of the process, and at its descriptors.
func TestCloseLeavesNothing(t *testing.T) {
	secret, _ := role(t)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0
		}
		return len(list)
	}
	run := func() {
		rt := newRuntime(t, nil)
		bundle := worker(scramWorker)
		bundle.DatabaseBinding = testBinding
		in := preview.Inputs{Bundle: bundle, Outputs: preview.Outputs{DatabaseURL: preview.Secret(secret)}}
		var all sync.WaitGroup
		for range 4 {
			r := resource()
			all.Go(func() {
				if _, err := rt.Apply(t.Context(), r, in); err != nil {
					t.Error(err)
				}
				wantGet(t, rt, r.Name, "/?sql=SELECT+1", "1")
				if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: worker("throw 1")}); err == nil {
					t.Error("a Worker that throws is applied")
				}
			})
		}
		all.Wait()
		if err := rt.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	run() // what the process needs once
	before := descriptors()
	run()
	eventually(t, "descriptors are closed", func() bool { return descriptors() <= before })
	deadline := time.Now().Add(time.Minute)
	for goroutines() != "" && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if left := goroutines(); left != "" {
		t.Errorf("goroutines after Close:\n%s", left)
	}
}

// Whatever happens at once to one name, it ends whole or gone.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for round := range 3 {
				bundle := worker(answering(fmt.Sprintf(`return new Response("%d.%d")`, n, round)))
				if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle}); err != nil {
					t.Error(err)
				}
				get(t, rt, r.Name, "/")
				if n == 0 {
					if err := rt.Delete(t.Context(), r); err != nil {
						t.Error(err)
					}
				}
				if _, err := rt.List(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if pids := rt.pids(); len(pids) != 0 {
		t.Errorf("processes left: %v", pids)
	}
	if names, err := filepath.Glob(filepath.Join(rt.config.Dir, "[^.]*")); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

func TestCloseDuringApply(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	var all sync.WaitGroup
	for range 4 {
		r := resource()
		all.Go(func() {
			_, err := rt.Apply(context.WithoutCancel(t.Context()), r, preview.Inputs{Bundle: worker(answering(`return new Response("x")`))})
			if err != nil && !errors.Is(err, errClosed) {
				t.Error(err)
			}
		})
	}
	eventually(t, "they have begun", func() bool { rt.mu.RLock(); defer rt.mu.RUnlock(); return len(rt.units) > 0 })
	if err := rt.Close(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	if pids := rt.pids(); len(pids) != 0 {
		t.Errorf("processes left: %v", pids)
	}
}

// Delete waits for no request, not even one of a generation that is being drained.
func TestDeleteDuringRequest(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(`let asked = false;`+answering(`if (url.pathname === "/asked") return new Response(String(asked)); asked = true; await scheduler.wait(60_000); return new Response("late")`)))
	done := make(chan int, 1)
	go func() {
		status, _ := get(t, rt, r.Name, "/")
		done <- status
	}()
	eventually(t, "the request arrived", func() bool { _, body := get(t, rt, r.Name, "/asked"); return body == "true" })
	apply(t, rt, r, worker(answering(`return new Response("new")`)))
	wantGet(t, rt, r.Name, "/", "new")
	if pids := rt.pids(); len(pids) != 2 {
		t.Errorf("processes %v, want the old one to finish its request", pids)
	}
	began := time.Now()
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("Delete took %s", took)
	}
	if status := <-done; status != http.StatusBadGateway {
		t.Errorf("the running request ended with %d", status)
	}
}

// Folders above ours may be closed to everybody else, as root's home is.
func TestPrivateParent(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(parent, "workerd")
	if err := os.Symlink(embeddedtest.Workerd(t), binary); err != nil {
		t.Fatal(err)
	}
	rt := newRuntime(t, func(c *Config) { c.Dir, c.Binary = filepath.Join(parent, "state"), binary })
	r := resource()
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	wantGet(t, rt, r.Name, "/", "hi")
	if !alive(rt.pids()[0]) {
		t.Error("the process can't be found by its command line")
	}
	if text := logText(rt, r.Name); text != "" {
		t.Errorf("log %s", text)
	}
}

// A Worker that dies again and again is started less and less often.
func TestBackoff(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`const kept = []; for (;;) kept.push(new Array(1e6).fill(1.5));`)))
	for range 3 {
		eventually(t, "it is up", func() bool { o, err := rt.Observe(t.Context(), r); return err == nil && o.Digest == "1" })
		get(t, rt, r.Name, "/")
		eventually(t, "it is down", func() bool { o, err := rt.Observe(t.Context(), r); return err == nil && o.Digest == "" })
	}
	eventually(t, "the log tells", func() bool { return strings.Contains(logText(rt, r.Name), "next start in 800ms") })
	text := logText(rt, r.Name)
	for _, want := range []string{"next start in 200ms", "next start in 400ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	good := Config{Binary: binary, Dir: t.TempDir()}
	tests := []struct {
		name   string
		change func(*Config)
		want   string // in the error; empty: none
		url    string
	}{
		{name: "defaults", url: "http://preview-x-pr-1.localhost/"},
		{name: "port", change: func(c *Config) { c.PublicPort = 8080 }, url: "http://preview-x-pr-1.localhost:8080/"},
		{name: "https", change: func(c *Config) { c.PublicScheme, c.PublicPort, c.Domain = "https", 443, "previews.example.com" }, url: "https://preview-x-pr-1.previews.example.com/"},
		{name: "no binary", change: func(c *Config) { c.Binary = "" }, want: "binary"},
		{name: "folder as binary", change: func(c *Config) { c.Binary = c.Dir }, want: "binary"},
		{name: "no folder", change: func(c *Config) { c.Dir = "" }, want: "state folder"},
		{name: "domain", change: func(c *Config) { c.Domain = "Example.com/" }, want: "domain"},
		{name: "scheme", change: func(c *Config) { c.PublicScheme = "ftp" }, want: "scheme"},
		{name: "negative", change: func(c *Config) { c.MemoryLimit = -1 }, want: "negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := good
			if test.change != nil {
				test.change(&config)
			}
			config, err := config.complete()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if err == nil && config.url("preview-x-pr-1") != test.url {
				t.Errorf("url %s, want %s", config.url("preview-x-pr-1"), test.url)
			}
		})
	}
}

func TestUserIDs(t *testing.T) {
	t.Parallel()
	u := &users{first: 61000, count: 3, taken: map[int]bool{}}
	got := map[int]bool{}
	for n := range 3 {
		id, err := u.take(fmt.Sprint(n))
		if err != nil || id < 61000 || id > 61002 || got[id] {
			t.Errorf("id %d, %v", id, err)
		}
		got[id] = true
	}
	if _, err := u.take("x"); err == nil {
		t.Error("a fourth of three ids")
	}
	u.release(61001)
	if id, err := u.take("x"); id != 61001 || err != nil {
		t.Errorf("id %d, %v", id, err)
	}
}
