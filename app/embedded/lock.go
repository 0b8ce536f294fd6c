package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPeriod is how often a lock that another process holds is tried again.
const lockPeriod = 50 * time.Millisecond

// errLocked means that another process, or another part of this one, holds the lock.
var errLocked = errors.New("in use by another process")

// tryLock takes the exclusive lock of a file, which is made when missing. It ends when the file is closed, at
// the latest with this process.
func tryLock(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	_ = lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// awaitLock is tryLock that waits for its turn.
func awaitLock(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(lockPeriod)
	defer tick.Stop()
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that fetches: %w", ctx.Err())
		}
	}
}
