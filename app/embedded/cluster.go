package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	superuser     = "postgres"
	initTimeout   = 2 * time.Minute
	reclaimPeriod = 20 * time.Second
	pollPeriod    = 10 * time.Millisecond
)

// Files of the data folder.
const (
	certificateFile = "server.crt"
	keyFile         = "server.key"
)

// hostRules lets nobody in but by password over loopback.
const hostRules = "host all all 127.0.0.1/32 scram-sha-256\n"

// cluster is the folder of one server: a lock, the access rules, and Postgres's own data folder. Only data
// belongs to the server's user, so that we, who may be root, write nothing where that user can put links.
type cluster struct {
	folder  string
	binDir  string
	durable bool
	account account
	lock    *os.File
	copyOf  *Postgres         // nil: a new cluster is empty
	tls     map[string][]byte // files of the data folder
}

func (c *cluster) data() string  { return filepath.Join(c.folder, "data") }
func (c *cluster) rules() string { return filepath.Join(c.folder, "pg_hba.conf") }

// openCluster makes the folder if there is none and takes its lock, which ends with this process.
func openCluster(options PostgresOptions, as account) (*cluster, error) {
	folder, err := filepath.Abs(options.DataDir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil { // as the kernel names it, see worksIn
		return nil, err
	}
	if as.other {
		if err := os.Chmod(folder, 0o711); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(as.checkReach(folder), as.checkReach(options.BinDir)); err != nil {
		return nil, err
	}
	lock, err := tryLock(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", folder, err)
	}
	return &cluster{folder: folder, binDir: options.BinDir, durable: options.Durable, account: as, lock: lock, copyOf: options.CopyOf,
		tls: map[string][]byte{certificateFile: options.Certificate, keyFile: options.Key}}, nil
}

// close gives the lock back.
func (c *cluster) close() { _ = c.lock.Close() }

// prepare leaves a cluster in which no server runs and whose superuser has the password.
func (c *cluster) prepare(ctx context.Context, password preview.Secret) error {
	if err := c.reclaim(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(c.rules(), []byte(hostRules), 0o644); err != nil { //nolint:gosec // the server's user reads it
		return err
	}
	made, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := c.create(ctx); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		major, err := postgresMajor(ctx, c.binDir)
		if err != nil {
			return err
		}
		if have := strings.TrimSpace(string(made)); have != strconv.Itoa(major) {
			return fmt.Errorf("folder %s was made by PostgreSQL %.10s and this is %d: remove the folder, or use that version", c.folder, have, major)
		}
	}
	files := copier{account: c.account, to: c.data()}
	for name, content := range c.tls {
		if len(content) == 0 {
			continue
		}
		if err := files.write(name, bytes.NewReader(content)); err != nil {
			return err
		}
	}
	return c.setPassword(ctx, password)
}

// create runs initdb beside the place of the data folder, so that a broken run leaves nothing to trip over.
func (c *cluster) create(ctx context.Context) error {
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if c.account.other {
		if err := os.Lchown(fresh, int(c.account.uid), int(c.account.gid)); err != nil {
			return err
		}
	}
	if c.copyOf != nil {
		if err := c.copyOf.copyTo(ctx, fresh); err != nil {
			return fmt.Errorf("copy a running cluster: %w", err)
		}
		return os.Rename(fresh, c.data())
	}
	arguments := []string{
		"-D", fresh, "-U", superuser, "--auth=reject", "--encoding=UTF8", "--no-locale", "--no-instructions",
	}
	if !c.durable {
		arguments = append(arguments, "--no-sync")
	}
	if err := c.run(ctx, nil, "initdb", arguments...); err != nil {
		return err
	}
	return os.Rename(fresh, c.data())
}

// setPassword uses Postgres's single-user mode, which asks for no password. The password is in no file, and
// on no command line that others can read.
func (c *cluster) setPassword(ctx context.Context, password preview.Secret) error {
	statement := fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'\n", superuser, password.Reveal()) // hexadecimal digits
	arguments := []string{"--single", "-D", c.data(), "-c", "log_min_error_statement=panic"}
	if !c.durable {
		arguments = append(arguments, "-F")
	}
	return c.run(ctx, []byte(statement), "postgres", append(arguments, "postgres")...)
}

// run starts a short-lived program of Postgres as the server's user and waits for it.
func (c *cluster) run(ctx context.Context, input []byte, name string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(c.binDir, name), arguments...)
	command.Env = programEnvironment()
	command.Dir = "/"
	command.Stdin = bytes.NewReader(input)
	said := &tail{}
	command.Stdout, command.Stderr = said, said
	command.SysProcAttr = c.account.processAttributes()
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return nil
}

// reclaim ends a server that outlived the process that started it (we hold the lock, so it is nobody's), and
// removes what a killed one left behind.
func (c *cluster) reclaim(ctx context.Context) error {
	file := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(first), "-")) // negative: single-user mode
	if err == nil && pid > 1 {
		if err := c.endOrphan(ctx, pid); err != nil {
			return err
		}
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *cluster) endOrphan(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, reclaimPeriod)
	defer cancel()
	signal := syscall.SIGINT // fast shutdown
	immediately := time.After(reclaimPeriod / 2)
	for worksIn(pid, c.data()) {
		if signal != 0 {
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop the server %d that was left behind: %w", pid, err)
			}
			signal = 0
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop the server %d that was left behind: %w", pid, ctx.Err())
		case <-immediately:
			signal = syscall.SIGQUIT
		case <-time.After(pollPeriod):
		}
	}
	return nil
}

// tail keeps the end of what a program prints, for an error message.
type tail struct{ kept []byte }

const tailBytes = 2 << 10

// Write implements io.Writer. os/exec calls it from one goroutine.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
