package secretscan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// oid is the id of a Git object; a SHA-1 fills the first 20 bytes.
type oid [32]byte

func parseOID(text []byte) (id oid, ok bool) {
	if len(text) != 40 && len(text) != 64 {
		return id, false
	}
	_, err := hex.Decode(id[:], text)
	return id, err == nil
}

// text is the id in hexadecimal, of the repository's kind.
func (id oid) text(size int) string { return hex.EncodeToString(id[:size]) }

// change is a file as one commit left it.
type change struct {
	path string
	now  oid   // zero if the commit removed it
	was  []oid // the same file in the commit's parents, where it was there
}

// logged is what a log says of a commit, before its changes.
type logged struct {
	id        oid
	size      int    // of the id
	hasParent bool   // here
	message   []byte // for the call only
	whole     bool   // else the message is longer
}

// maxToken bounds what is read of a commit's message.
const maxToken = 1 << 20

// readLog reads the output of `git log -z --raw -c --format="%H %P%n%B"` (or of diff-index), which shows of a merge
// only what differs from all its parents.
func readLog(r io.Reader, commit func(logged), changed func(change)) error {
	text := bufio.NewReaderSize(r, 1<<16)
	for {
		token, whole, err := nextToken(text)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(token) == 0 {
			continue
		}
		if token[0] != ':' {
			head, message, _ := bytes.Cut(token, []byte("\n"))
			name, parents, _ := bytes.Cut(head, []byte(" "))
			id, ok := parseOID(name)
			if !ok {
				return errors.New("git log printed something unexpected")
			}
			commit(logged{id, len(name) / 2, len(parents) > 0, message, whole})
			continue
		}
		c, err := parseChange(token)
		if err != nil {
			return err
		}
		path, _, err := nextToken(text)
		if err != nil {
			return fmt.Errorf("git log ended early: %w", err)
		}
		c.path = string(path)
		changed(c)
	}
}

// nextToken reads up to a zero byte; of a token that is longer than maxToken, no more than that. It holds until the
// next one is read.
func nextToken(r *bufio.Reader) (token []byte, whole bool, err error) {
	whole = true
	part, err := r.ReadSlice(0)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(token)+len(part) <= maxToken {
			token = append(token, part...)
		} else {
			whole = false
		}
		part, err = r.ReadSlice(0)
	}
	if err != nil {
		return nil, false, err
	}
	switch {
	case len(token) == 0 && whole:
		token = part[:len(part)-1]
	case whole:
		token = append(token, part[:len(part)-1]...)
	}
	return bytes.TrimPrefix(token, []byte("\n")), whole, nil
}

// parseChange reads ":100644 100644 <old> <new> M", with one colon, mode and id more for each further parent.
func parseChange(token []byte) (change, error) {
	parents := 0
	for parents < len(token) && token[parents] == ':' {
		parents++
	}
	fields := bytes.Fields(token[parents:])
	if len(fields) != 2*(parents+1)+1 {
		return change{}, errors.New("git log printed a change of unknown form")
	}
	var c change
	if string(fields[parents]) == "160000" {
		return c, nil // a submodule's commit
	}
	for i, field := range fields[parents+1 : len(fields)-1] {
		id, ok := parseOID(field)
		if !ok {
			return change{}, errors.New("git log printed an object of unknown form")
		}
		if i == parents {
			c.now = id
		} else if id != (oid{}) && string(fields[i]) != "160000" {
			c.was = append(c.was, id)
		}
	}
	return c, nil
}

// runLog runs a command whose output readLog reads.
func runLog(ctx context.Context, dir string, commit func(logged), changed func(change), args ...string) error {
	return feedLog(ctx, dir, "", commit, changed, args...)
}

// feedLog is runLog for a command that reads revisions from its input.
func feedLog(ctx context.Context, dir, input string, commit func(logged), changed func(change), args ...string) error {
	cmd := gitCommand(ctx, dir, args...)
	cmd.Stdin = strings.NewReader(input)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := readLog(out, commit, changed)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, firstLine(complaint.String()))
	}
	return readErr
}

// logArgs are those of every log that is read.
func logArgs(revisions ...string) []string {
	return append([]string{"log", "-z", "--raw", "-c", "--root", "--no-abbrev", "--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv", "--no-show-signature",
		"--encoding=UTF-8", "--format=%H %P%n%B"}, revisions...)
}

// describe reads who wrote commits, and when.
func describe(ctx context.Context, dir string, ids []string) (map[string]*Commit, error) {
	known := map[string]*Commit{}
	if len(ids) == 0 {
		return known, nil
	}
	cmd := gitCommand(ctx, dir, "log", "--no-walk=unsorted", "--stdin", "-z", "--format=%H%n%an%n%aI")
	cmd.Stdin = strings.NewReader(strings.Join(ids, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git log of the commits with findings: %w", err)
	}
	s := newSearcher(defaultMatcher()) // a name may hold a secret as well as a path may
	for entry := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.SplitN(strings.TrimSpace(entry), "\n", 3)
		if len(fields) != 3 {
			continue
		}
		date, _ := time.Parse(time.RFC3339, fields[2]) // a date that Git made up is no reason to fail
		known[fields[0]] = &Commit{ID: fields[0], Author: s.shown(fields[1]), Date: reportable(date)}
	}
	return known, nil
}
