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

// readLog reads the output of `git log -z --raw -c --format=%H` (or of diff-index), which shows of a merge
// only what differs from all its parents. commit hears each commit before its changes.
func readLog(r io.Reader, commit func(id oid), changed func(change)) error {
	text := bufio.NewReaderSize(r, 1<<16)
	next := func() ([]byte, error) {
		token, err := text.ReadBytes(0)
		if err != nil {
			return nil, err
		}
		return bytes.TrimPrefix(token[:len(token)-1], []byte("\n")), nil
	}
	for {
		token, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if id, ok := parseOID(token); ok {
			commit(id)
			continue
		}
		if len(token) == 0 {
			continue
		}
		if token[0] != ':' {
			return errors.New("git log printed something unexpected")
		}
		c, err := parseChange(token)
		if err != nil {
			return err
		}
		path, err := next()
		if err != nil {
			return fmt.Errorf("git log ended early: %w", err)
		}
		c.path = string(path)
		changed(c)
	}
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
func runLog(ctx context.Context, dir string, commit func(id oid), changed func(change), args ...string) error {
	return feedLog(ctx, dir, "", commit, changed, args...)
}

// feedLog is runLog for a command that reads revisions from its input.
func feedLog(ctx context.Context, dir, input string, commit func(id oid), changed func(change), args ...string) error {
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
	return append([]string{"log", "-z", "--raw", "-c", "--root", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--format=%H"}, revisions...)
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
	for entry := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.SplitN(strings.TrimSpace(entry), "\n", 3)
		if len(fields) != 3 {
			continue
		}
		date, _ := time.Parse(time.RFC3339, fields[2]) // a date that Git made up is no reason to fail
		known[fields[0]] = &Commit{ID: fields[0], Author: fields[1], Date: date}
	}
	return known, nil
}
