package workerd

import (
	"context"
	"errors"
	"fmt"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	configFile   = "config.capnp"
	watchEvery   = 100 * time.Millisecond
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// A process that lived this long starts the backoff anew.
	settled = time.Minute
	// Requests of an old generation may take this long after the new one took over.
	drainGrace = 10 * time.Second
)

// instance is one generation of a preview: its process, restarted when it dies, and its way to
// the database.
type instance struct {
	name       string
	generation string // folder under the preview's
	bundle     string // digest
	database   preview.Secret
	launch     launch
	redactor   redactor // of what its logs may hold
	egress     *egress
	site       *site            // nil: no static files
	services   []*serviceServer // what its bindings lead to
	socket     string           // path on which the process serves
	proxy      *httputil.ReverseProxy
	drain      *drain

	stopping  chan struct{} // closed to end it
	hurried   chan struct{} // closed to end it without waiting for its requests
	gone      chan struct{} // closed when everything of it is gone
	endOnce   sync.Once
	hurryOnce sync.Once
	keep      bool // its folder stays: the server ends, not the preview

	mu      sync.Mutex
	process *process // the current run; never nil once started
}

// healthy reports whether it answers now.
func (i *instance) healthy() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.process.healthy()
}

func (i *instance) current(p *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.process = p
}

// bring starts a generation and returns when it answers. On an error nothing of it is left.
func (rt *Runtime) bring(ctx context.Context, u *unit, r preview.Resource, in preview.Inputs) (*instance, error) {
	bundle, url := withWorker(in.Bundle), in.Outputs.DatabaseURL
	i := &instance{
		name: u.name, generation: newGeneration(), bundle: bundle.Digest, database: url,
		drain: newDrain(), stopping: make(chan struct{}), hurried: make(chan struct{}), gone: make(chan struct{}),
	}
	secrets := append([]preview.Secret{url}, in.Redact...)
	var pinned *database
	var seen preview.Secret
	if bundle.DatabaseBinding != "" {
		var err error
		if pinned, seen, err = newDatabase(url); err != nil {
			return nil, err
		}
		secrets = append(secrets, seen, preview.Secret(pinned.config.Password))
	}
	i.redactor = u.logs.hide(secrets)
	n := rt.sequence.Add(1)
	socket := filepath.Join(rt.sockets, fmt.Sprint(n))
	i.socket = socket + ".in"
	folder := u.name + "/" + i.generation
	if bundle.Assets != nil {
		i.site = newSite(in.Bundle, rt.openAsset(folder))
	}
	services := rt.services(r, bundle, i.site, socket)
	err := rt.writeGeneration(folder, bundle, writeConfig(bundle, socket+".out", services), u.uid)
	if err == nil && bundle.Assets != nil {
		err = rt.writeAssets(ctx, folder, bundle.Assets, in.Source)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("generation: %w", err), rt.root.RemoveAll(folder))
	}
	err = i.launch.open(rt.config.Binary, filepath.Join(rt.config.Dir, folder))
	if err == nil {
		i.egress, err = listenEgress(socket+".out", u.uid, pinned, u.logs)
	}
	if err == nil {
		err = i.listen(services, u.uid)
	}
	if err != nil {
		i.release(rt)
		return nil, err
	}
	i.launch.uid, i.launch.database, i.launch.logs, i.launch.head = u.uid, seen, u.logs, &head{}
	i.proxy = rt.reverseProxy(i)
	if err := rt.firstStart(ctx, i); err != nil {
		i.release(rt)
		return nil, err
	}
	return i, nil
}

// listen starts what the bindings lead to.
func (i *instance) listen(services []service, uid int) error {
	for _, s := range services {
		server, err := s.listen(uid)
		if err != nil {
			return err
		}
		i.services = append(i.services, server)
	}
	return nil
}

// writeGeneration writes what the process reads: the preview's user may look, and change nothing.
func (rt *Runtime) writeGeneration(folder string, bundle *preview.Bundle, config string, uid int) error {
	if err := rt.root.Mkdir(folder, 0o750); err != nil {
		return err
	}
	give := func(name string) error {
		if uid == 0 {
			return nil
		}
		return rt.root.Chown(name, os.Geteuid(), uid)
	}
	if err := give(folder); err != nil {
		return err
	}
	files := map[string][]byte{configFile: []byte(config)}
	for n, module := range bundle.Modules {
		files[moduleFile(n)] = module.Content
	}
	for name, content := range files {
		if err := writeFile(rt.root, folder+"/"+name, content, 0o640); err != nil {
			return err
		}
		if err := give(folder + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// firstStart is the start that decides whether this generation can live at all.
func (rt *Runtime) firstStart(ctx context.Context, i *instance) error {
	p, err := rt.start(i.launch, i.socket)
	if err != nil {
		return err
	}
	i.current(p)
	err = rt.awaitReady(ctx, p)
	if err == nil {
		return nil
	}
	used, _ := processorTime(p.cmd.Process.Pid)
	p.kill("did not start")
	<-p.exited
	var invalid *preview.InvalidError
	switch {
	case errors.Is(err, errEnded):
		return startProblem(i.launch.head.get(), p.ending(), i.redactor)
	case errors.As(err, &invalid):
		return err
	case errors.Is(err, errSlow) && used > rt.config.StartTimeout/2:
		return preview.Invalid("the Worker does not start", preview.Problem{
			Message: fmt.Sprintf("Its top level was still computing after %s.", rt.config.StartTimeout),
			Hint:    "Move work from the module's top level into the handler.",
		})
	default:
		return preview.Transient(fmt.Errorf("start of workerd: %w", err))
	}
}

var (
	errEnded = errors.New("the process ended before it answered")
	errSlow  = errors.New("the process did not answer in time")
)

// awaitReady waits for the process to listen, under the memory limit.
func (rt *Runtime) awaitReady(ctx context.Context, p *process) error {
	deadline := time.NewTimer(rt.config.StartTimeout)
	defer deadline.Stop()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-p.ready:
			return nil
		case <-p.exited:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-rt.closing:
			return errClosed
		case <-deadline.C:
			return errSlow
		case <-watch.C:
			if rt.tooLarge(p) {
				return preview.Invalid("the Worker does not start", preview.Problem{Message: rt.memoryMessage() + " while it started."})
			}
		}
	}
}

func (rt *Runtime) tooLarge(p *process) bool {
	size, ok := resident(p.cmd.Process.Pid)
	return ok && size > rt.config.MemoryLimit
}

func (rt *Runtime) memoryMessage() string {
	return fmt.Sprintf("It used more than its %d MB of memory", rt.config.MemoryLimit>>20)
}

// startProblem turns what the runtime printed into what its user must fix.
func startProblem(lines []string, ending string, redactor redactor) error {
	const most = 1500
	var kept []string
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "stack:"), strings.HasPrefix(line, "***"), strings.TrimSpace(line) == "":
		default:
			kept = append(kept, strings.TrimPrefix(line, "service main: "))
		}
	}
	text := redactor.clean(strings.Join(kept, "\n"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	if text == "" {
		text = "The process ended without a word (" + ending + ")."
	}
	return preview.Invalid("the Worker does not start", preview.Problem{
		Message: text,
		Hint:    "This is what the Workers runtime says of the module's top level, its compatibility date or its flags.",
	})
}

// supervise keeps a generation alive until it is told to end, and then removes all of it.
func (rt *Runtime) supervise(u *unit, i *instance) {
	defer close(i.gone)
	defer rt.buried(u, i)
	defer i.release(rt)
	backoff := firstBackoff
	p := i.process
	for {
		began := time.Now()
		if rt.attend(i, p) {
			p.stop()
			return
		}
		if time.Since(began) > settled {
			backoff = firstBackoff
		}
		for {
			reason := p.ending()
			i.launch.logs.add(Supervisor, fmt.Sprintf("the Worker's process is gone (%s); next start in %s", reason, backoff))
			rt.config.Logger.Warn("worker process is gone", "provider", "workerd", "name", i.name, "reason", reason, "restartIn", backoff)
			select {
			case <-i.stopping:
				return
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, lastBackoff)
			next, err := rt.start(i.launch, i.socket)
			if err != nil {
				rt.config.Logger.Error("worker process does not start", "provider", "workerd", "name", i.name, "error", err)
				continue
			}
			p = next
			i.current(p)
			break
		}
	}
}

// attend watches one run of the process. It returns true when the generation is told to end, and
// false when the process is gone.
func (rt *Runtime) attend(i *instance, p *process) (told bool) {
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	load := newLoad(time.Now(), rt.config.BusyLimit, rt.config.ComputeLimit)
	life := newPulse(i.socket)
	defer life.close()
	for {
		select {
		case <-i.stopping:
			return true
		case <-p.exited:
			return false
		case now := <-watch.C:
			if rt.tooLarge(p) {
				p.kill(rt.memoryMessage())
			} else if load.due(now) {
				judge(p, load, life, now)
			}
		case <-life.answered:
			if e, ok := effortOf(p.cmd.Process.Pid); ok {
				load.answered(e, time.Now())
			}
		}
	}
}

// judge ends a process that computes for too long, and asks one that is on the way there whether it still answers.
func judge(p *process, l *load, life *pulse, now time.Time) {
	e, ok := effortOf(p.cmd.Process.Pid)
	if !ok {
		return
	}
	reason, busy := l.look(e, now)
	switch {
	case reason != "":
		p.kill(reason)
	case busy:
		life.ask()
	}
}

// end lets the running requests finish for drainGrace and then ends the generation; it returns at
// once. Only the first call counts.
func (rt *Runtime) end(i *instance, keep bool) {
	i.endOnce.Do(func() {
		i.keep = keep
		rt.background.Go(func() {
			timer := time.NewTimer(drainGrace)
			defer timer.Stop()
			select {
			case <-i.drain.close():
			case <-timer.C:
			case <-i.hurried:
			case <-rt.closing:
			}
			close(i.stopping)
		})
	})
}

// hurry cuts the wait for running requests short.
func (i *instance) hurry() { i.hurryOnce.Do(func() { close(i.hurried) }) }

// release gives back everything that a generation holds; its process must be gone.
func (i *instance) release(rt *Runtime) {
	if i.egress != nil {
		i.egress.close()
	}
	for _, s := range i.services {
		s.close()
	}
	for _, file := range []*os.File{i.launch.binary, i.launch.folder} {
		if file != nil {
			_ = file.Close()
		}
	}
	_ = os.Remove(i.socket)
	if i.keep {
		return
	}
	if err := rt.root.RemoveAll(i.name + "/" + i.generation); err != nil {
		rt.config.Logger.Error("a generation's folder stays", "provider", "workerd", "name", i.name, "error", err)
	}
}
