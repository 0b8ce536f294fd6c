package embeddedtest

import (
	"os"
	"os/exec"
	"syscall"
)

// undertaker waits until its input ends, which happens when the test process does, then ends the server at
// once and removes its folder.
const undertaker = `
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
case $pid in [1-9]*) kill -QUIT "$pid" 2>/dev/null ;; esac
tries=0
while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
for _ in 1 2 3; do rm -rf "$1" && break; sleep 1; done
`

// hireUndertaker starts a shell that outlives this process and cleans folder after it. A test process can't
// do that itself: there is no hook at its end, and it may be killed. The shell acts when life is closed, so
// the caller must keep it reachable until the process ends.
func hireUndertaker(folder string) (life *os.File, err error) {
	input, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = input.Close() }()
	command := exec.Command("sh", "-c", undertaker, "sh", folder) //nolint:noctx // it outlives us
	command.Stdin = input
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if err := command.Start(); err != nil {
		_ = life.Close()
		return nil, err
	}
	return life, nil
}
