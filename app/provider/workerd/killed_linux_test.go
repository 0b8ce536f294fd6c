package workerd

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// killedDir tells the test process that it is the server which will be killed.
const killedDir = "FLARESMITH_TEST_KILLED_DIR"

// A server that is killed takes its Workers with it, and the next one removes what it left.
func TestKilledServer(t *testing.T) {
	if dir := os.Getenv(killedDir); dir != "" {
		rt := newRuntime(t, func(c *Config) {
			_ = os.RemoveAll(filepath.Dir(filepath.Dir(c.Dir))) // of t.TempDir, whose cleanup is killed, too
			c.Dir = dir
		})
		apply(t, rt, resource(), worker(answering(`return new Response("hi")`)))
		fmt.Printf("serving %d %s\n", rt.pids()[0], rt.sockets)
		select {}
	}
	t.Parallel()
	dir := t.TempDir()
	server := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledServer$")
	server.Env = append(os.Environ(), killedDir+"="+dir)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var sockets string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "serving ") {
			if _, err := fmt.Sscanf(lines.Text(), "serving %d %s", &pid, &sockets); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if pid == 0 || !alive(pid) {
		t.Fatalf("no Worker runs: process %d", pid)
	}
	_ = server.Process.Kill()
	_ = server.Wait()
	eventually(t, "the Worker dies with its server", func() bool { return !alive(pid) })
	newRuntime(t, func(c *Config) { c.Dir = dir })
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the sockets of the killed server are left: %v", err)
	}
}
