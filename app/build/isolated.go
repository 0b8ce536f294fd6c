package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	isolatedTimeout = 60 * time.Second
	isolatedStack   = 256 << 20 // bytes; esbuild takes up to 10 KB for one level of nesting
	isolatedMemory  = 2 << 30   // bytes
	maxOrderBytes   = 1 << 20
)

// Isolated bundles in a process of its own. esbuild follows nested code by recursion: a file of
// 300 KB such as "x=a=>a=>a=>…" overflows the stack, which no Go program survives, and a parse
// can't be cancelled. A Builder alone is therefore for trusted code; a server uses this.
// It may be used by many goroutines at once.
type Isolated struct {
	// Command makes the process: this program, in the mode in which it calls Builder.Answer on
	// its standard input and output. It sets the environment; nothing secret need be in it but
	// what the npm client asks for.
	Command func(context.Context) *exec.Cmd
	Limits  Limits
	Timeout time.Duration // of one build, packages included; 0: one minute
}

// order is what the process is told, answer what it says; both as one JSON value.
type order struct {
	Folder  string // of the unpacked source
	Layout  preview.Layout
	Worker  string        // the name in its key
	Timeout time.Duration // shorter than the process's: what ends by itself then waited for packages
}

type answer struct {
	Bundle    *preview.Bundle
	Invalid   *preview.InvalidError
	Error     string
	Transient bool
}

// Bundle is Builder.Bundle in another process. src must be a *Source. Code that exhausts the
// process's memory, stack or time is a *preview.InvalidError; packages that take too long to
// arrive are a *preview.TransientError.
func (i *Isolated) Bundle(ctx context.Context, src fs.FS, layout preview.Layout, worker string) (*preview.Bundle, error) {
	source, ok := src.(*Source)
	if !ok {
		return nil, fmt.Errorf("bundle in a process: the source is a %T, not a *build.Source", src)
	}
	timeout := i.Timeout
	if timeout <= 0 {
		timeout = isolatedTimeout
	}
	child, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said, err := i.run(child, order{Folder: source.dir, Layout: layout, Worker: worker, Timeout: timeout / 2})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errStart):
		return nil, fmt.Errorf("bundle in a process: %w", err)
	case err != nil:
		named, _ := layout.Worker(worker)
		return nil, preview.Invalid(whatCompile, preview.Problem{Path: named.WranglerConfig,
			Message: "the compiler ran out of time or memory",
			Hint:    "look for very large or very deeply nested source files"})
	case said.Invalid != nil:
		return nil, said.Invalid
	case said.Error != "" && said.Transient:
		return nil, preview.Transient(errors.New(said.Error))
	case said.Error != "" || said.Bundle == nil:
		return nil, fmt.Errorf("bundle in a process: %s", said.Error)
	}
	return said.Bundle, nil
}

var errStart = errors.New("can't start")

func (i *Isolated) run(ctx context.Context, o order) (*answer, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	// The process may be killed before it tidies up, so that its temporary files are in a folder of ours.
	scratch, err := os.MkdirTemp("", "flaresmith-build-")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	cmd := i.Command(ctx)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+scratch)
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	_, werr := in.Write(text)
	werr = errors.Join(werr, in.Close())
	var said answer
	rerr := json.NewDecoder(io.LimitReader(out, i.Limits.withDefaults().answerBytes())).Decode(&said)
	if rerr != nil && cmd.Process != nil {
		_ = cmd.Process.Kill() // it may still be writing
	}
	if err := errors.Join(cmd.Wait(), werr, rerr); err != nil {
		return nil, err
	}
	return &said, nil
}

// Answer is the other end of Isolated: it reads one order, bundles, writes one answer and
// returns. It bounds the memory of the whole process, which should end afterwards.
func (b *Builder) Answer(ctx context.Context, in io.Reader, out io.Writer) error {
	debug.SetMaxStack(isolatedStack)
	if err := limitMemory(isolatedMemory); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	var o order
	if err := json.NewDecoder(io.LimitReader(in, maxOrderBytes)).Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	root, err := os.OpenRoot(o.Folder)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	defer root.Close()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var said answer
	bundle, err := b.Bundle(ctx, root.FS(), o.Layout, o.Worker)
	switch {
	case err == nil:
		said.Bundle = bundle
	case errors.As(err, &said.Invalid):
	default:
		said.Error = err.Error()
		said.Transient = preview.Classify(err) == preview.ClassTransient || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ENOSPC)
	}
	if err := json.NewEncoder(out).Encode(said); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
