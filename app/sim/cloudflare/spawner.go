package cloudflare

import (
	"errors"
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as itself: the kernel's parent-death signal is bound
// to the thread that started a child.
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

func (s *spawner) start(cmd *exec.Cmd) error {
	request := spawnRequest{cmd: cmd, result: make(chan error, 1)}
	select {
	case s.requests <- request:
		return <-request.result
	case <-s.done:
		return errors.New("the stand-in is closed")
	}
}

func (s *spawner) close() { close(s.done) }
