package secretscan

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// blobs reads objects through one `git cat-file --batch`, in the order of ids. do must not keep the text
// unless it is the only one to have it: each is a buffer of its own. A missing object is told apart from an error of
// the process. One that is too large for a buffer goes to large instead, which may read it.
func blobs(ctx context.Context, dir string, size int, ids []oid, do func(i int, text []byte, err error) error, large func(i int, size int64, text io.Reader) error) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Beyond the threshold Git gives an object out as it unpacks it, unless a delta makes it.
	cmd := gitCommand(ctx, dir, "-c", "core.bigFileThreshold=16m", "cat-file", "--batch", "--buffer")
	var wanted strings.Builder
	for _, id := range ids {
		wanted.WriteString(id.text(size))
		wanted.WriteByte('\n')
	}
	cmd.Stdin = strings.NewReader(wanted.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := readBatch(bufio.NewReaderSize(out, 1<<16), len(ids), do, large)
	if readErr != nil {
		cancel()
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil && readErr == nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	return readErr
}

// errMissing says that the repository lacks an object: a shallow or partial clone, or a damaged one.
var errMissing = errors.New("the object is missing")

func readBatch(out *bufio.Reader, count int, do func(i int, text []byte, err error) error, large func(i int, size int64, text io.Reader) error) error {
	for i := range count {
		header, err := out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("git cat-file ended early, as in a partial clone whose server can't be asked: %w", err)
		}
		fields := bytes.Fields(header)
		if len(fields) != 3 {
			if err := do(i, nil, errMissing); err != nil {
				return err
			}
			continue
		}
		size, err := strconv.ParseInt(string(fields[2]), 10, 64)
		if err != nil || size < 0 {
			return errors.New("git cat-file printed something unexpected")
		}
		if size > maxText {
			rest := &io.LimitedReader{R: out, N: size}
			if err := large(i, size, rest); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, out, rest.N+1); err != nil {
				return fmt.Errorf("git cat-file ended early: %w", err)
			}
			continue
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(out, text); err != nil {
			return fmt.Errorf("git cat-file ended early, as in a partial clone whose server can't be asked: %w", err)
		}
		if _, err := out.Discard(1); err != nil {
			return err
		}
		if err := do(i, text, nil); err != nil {
			return err
		}
	}
	return nil
}
