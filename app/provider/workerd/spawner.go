package workerd

import (
	"errors"
	"os/exec"
	"runtime"

	"github.com/flaresmith/flaresmith/app/preview"
)

// spawner starts processes from one operating system thread that lives as long as itself. The
// kernel's parent-death signal is bound to the thread that started a child, not to the process:
// started from a thread that the Go runtime may end, a Worker would be killed for no reason.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for {
			select {
			case request := <-s.requests:
				request.result <- request.cmd.Start()
			case <-s.done:
				return
			}
		}
	}()
	return s
}

// A server that ends is no fault of the preview: the next one takes up the work.
var errClosed = preview.Transient(errors.New("the Worker runtime is closed"))

func (s *spawner) start(cmd *exec.Cmd) error {
	request := spawnRequest{cmd: cmd, result: make(chan error, 1)}
	select {
	case s.requests <- request:
		return <-request.result
	case <-s.done:
		return errClosed
	}
}

// close ends the thread; all its children must be gone by then.
func (s *spawner) close() { close(s.done) }
