package workerd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	termGrace = 3 * time.Second
	// What may still be read from the pipes of a process that is gone.
	outputGrace = 2 * time.Second
)

// launch is what a process is started from.
type launch struct {
	binary   *os.File // the executable, or its folder
	program  string   // the executable's path under binary: empty, or a slash and its name
	folder   *os.File // the generation's folder
	listener *os.File // the Unix socket that it serves
	control  *os.File // where it says that it listens
	uid      int      // 0: the server's own
	isolated bool     // no network at all
	database preview.Secret
	logs     *logs
	head     *head
}

// process is one run of workerd.
type process struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed when it listens
	exited chan struct{} // closed when it is gone and its output was read

	mu     sync.Mutex
	killed string // why we ended it; empty: it ended by itself
}

// open opens what the child names by descriptor. The executable goes by its folder where everybody
// may enter that, for then the process is called "workerd" in every list.
func (l *launch) open(binary, folder string) (err error) {
	if l.folder, err = os.Open(folder); err != nil {
		return err
	}
	target := binary
	if info, err := os.Stat(filepath.Dir(binary)); err == nil && info.Mode().Perm()&0o001 != 0 {
		target, l.program = filepath.Dir(binary), "/"+filepath.Base(binary)
	}
	l.binary, err = os.Open(target)
	return err
}

// start runs workerd on a socket that already listens, so that no address is ever its own choice.
func (rt *Runtime) start(l launch, path string) (*process, error) {
	listener, err := listenSocket(path)
	if err != nil {
		return nil, fmt.Errorf("socket of the Worker: %w", err)
	}
	defer func() { _ = listener.Close() }()
	control, controlled, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = controlled.Close() }()
	l.listener, l.control = listener, controlled

	p := &process{ready: make(chan struct{}), exited: make(chan struct{})}
	if p.cmd, err = rt.startIsolated(l); err != nil {
		_ = control.Close()
		return nil, fmt.Errorf("workerd: %w", err)
	}
	limitProcess(p.cmd.Process.Pid, rt.config.MemoryLimit)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		line, _ := bufio.NewReader(io.LimitReader(control, 4<<10)).ReadString('\n')
		if strings.Contains(line, `"listen"`) {
			close(p.ready)
		}
	}()
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the state is in ProcessState
		_ = control.Close()
		<-listening
	}()
	return p, nil
}

// startIsolated starts the process without a network if the kernel lets us, and with one
// otherwise: the user id and the missing network service in its configuration remain.
func (rt *Runtime) startIsolated(l launch) (*exec.Cmd, error) {
	l.isolated = l.uid != 0 && !rt.noIsolation.Load()
	cmd := command(l)
	err := rt.spawner.start(cmd)
	if err != nil && l.isolated && errors.Is(err, syscall.EPERM) {
		l.isolated = false
		cmd = command(l)
		if err = rt.spawner.start(cmd); err == nil && !rt.noIsolation.Swap(true) {
			rt.config.Logger.Warn("workerd runs without a network namespace: the kernel refuses one", "provider", "workerd")
		}
	}
	return cmd, err
}

// listenSocket makes a Unix socket that only the server may connect to.
func listenSocket(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { //nolint:gosec // a path of our own making
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	defer func() { _ = listener.Close() }()
	if err := os.Chmod(path, 0o600); err != nil { //nolint:gosec // as above
		return nil, err
	}
	return listener.File()
}

// command is the command line that both platforms share; the descriptors after the standard
// three are 3 the socket, 4 the control pipe, 5 the generation's folder, 6 the executable or its folder.
func command(l launch) *exec.Cmd {
	cmd := &exec.Cmd{
		Args:       []string{"workerd", "serve", "--socket-fd=http=3", "--control-fd=4"},
		Env:        []string{}, // nil would be the server's own
		Stdout:     &lineWriter{logs: l.logs, stream: Stdout},
		Stderr:     &lineWriter{logs: l.logs, stream: Stderr, head: l.head},
		ExtraFiles: []*os.File{l.listener, l.control},
		WaitDelay:  outputGrace,
	}
	if l.database != "" {
		cmd.Env = append(cmd.Env, databaseVariable+"="+l.database.Reveal())
	}
	confine(cmd, l)
	return cmd
}

// healthy reports whether the process listens and was not seen to end.
func (p *process) healthy() bool {
	select {
	case <-p.exited:
		return false
	default:
	}
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// stop ends the process, first politely, and returns when it is gone.
func (p *process) stop() {
	p.because("stopped")
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(termGrace):
	}
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// kill ends the process at once, for a reason that its log will name.
func (p *process) kill(reason string) {
	p.because(reason)
	p.signal(syscall.SIGKILL)
}

func (p *process) because(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed == "" {
		p.killed = reason
	}
}

// signal reaches the process and whatever it started. Once it was waited for, its id may be
// another's, so nothing is sent then.
func (p *process) signal(signal syscall.Signal) {
	if p.cmd.Process.Signal(syscall.Signal(0)) == nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal)
	}
}

// ending says in a few words why a process is gone.
func (p *process) ending() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed != "" {
		return p.killed
	}
	return p.cmd.ProcessState.String()
}
