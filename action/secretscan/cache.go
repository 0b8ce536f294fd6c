package secretscan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// generation is raised when another scan of the same history can find something else, for other reasons than
// other rules.
const generation = 5

const (
	cacheFile = "history.json"
	maxCache  = 256 << 20
)

// seen is what a scan of a history saw: all that can be reached from the tips.
type seen struct {
	Generation int       `json:"generation"`
	Rules      string    `json:"rules"`
	Cut        string    `json:"cut"`  // hash of where a shallow history ends
	Tips       []string  `json:"tips"` // commits
	Findings   []Finding `json:"findings"`
	Notes      []string  `json:"notes"`
}

// readSeen gives what an earlier scan saw, if it still holds for this repository and this program: all of it
// must be part of the history still. Anything else is as good as nothing.
func readSeen(ctx context.Context, request Request) (seen, error) {
	now := seen{Generation: generation, Rules: rulesHash}
	var err error
	if now.Cut, err = cutHash(ctx, request.Dir); err != nil {
		return now, err
	}
	if request.Cache == "" {
		return now, nil
	}
	name := filepath.Join(request.Cache, cacheFile)
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxCache {
		return now, nil //nolint:nilerr // no cache is none
	}
	text, err := os.ReadFile(name)
	var before seen
	if err != nil || json.Unmarshal(text, &before) != nil ||
		before.Generation != now.Generation || before.Rules != now.Rules || before.Cut != now.Cut || !holds(ctx, request.Dir, before.Tips) {
		return now, nil //nolint:nilerr // a cache that can't be used is made anew
	}
	return before, nil
}

// holds reports whether everything that can be reached from commits can be reached from the refs.
func holds(ctx context.Context, dir string, tips []string) bool {
	for _, tip := range tips {
		if _, ok := parseOID([]byte(tip)); !ok {
			return false
		}
	}
	cmd := gitCommand(ctx, dir, "rev-list", "--max-count=1", "--stdin", "--not", "--all")
	cmd.Stdin = strings.NewReader(strings.Join(tips, "\n") + "\n")
	out, err := cmd.Output()
	return err == nil && len(out) == 0 && len(tips) > 0
}

// tipsOf lists the commits at which refs are.
func tipsOf(ctx context.Context, dir string) ([]string, error) {
	out, err := git(ctx, dir, "rev-list", "--no-walk", "--all")
	if err != nil {
		return nil, err
	}
	list := strings.Fields(string(out))
	slices.Sort(list)
	return slices.Compact(list), nil
}

func cutHash(ctx context.Context, dir string) (string, error) {
	cut, err := shallow(ctx, dir)
	if err != nil {
		return "", err
	}
	var ids []string
	for id := range cut {
		ids = append(ids, string(id[:]))
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "")))
	return hex.EncodeToString(sum[:]), nil
}

// keepSeen writes what was seen, whole or not at all.
func keepSeen(dir string, s seen) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, cacheFile+".*")
	if err != nil {
		return err
	}
	_, writeErr := file.Write(text)
	if err := errors.Join(writeErr, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), filepath.Join(dir, cacheFile))
}

// scanCachedHistory scans what came to a history since an earlier scan, if that is known.
func scanCachedHistory(ctx context.Context, request Request) ([]Finding, error) {
	before, err := readSeen(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	tips, err := tipsOf(ctx, request.Dir) // before the scan: what comes meanwhile is scanned again
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	for _, text := range before.Notes {
		request.Note(text)
	}
	if now, err := shallow(ctx, request.Dir); err == nil && len(now) > 0 {
		request.Note("the clone is shallow: what is older was not scanned")
	}
	if len(before.Tips) > 0 && slices.Equal(before.Tips, tips) {
		return before.Findings, nil
	}
	now := before
	note := request.Note
	request.Note = oneAtATime(func(text string) {
		now.Notes = append(now.Notes, text)
		note(text)
	})
	found, err := scanHistory(ctx, request, before.Tips)
	now.Tips, now.Findings = tips, together(before.Findings, found)
	if err != nil || request.Cache == "" || request.more.error() != nil {
		return now.Findings, err
	}
	if err := keepSeen(request.Cache, now); err != nil {
		note(fmt.Sprintf("the cache can't be written: %v", err))
	}
	return slices.Clone(now.Findings), nil
}

// together puts the findings of two parts of a history together: the same secret in the same file is one
// finding, placed where it was first.
func together(older, newer []Finding) []Finding {
	all := slices.Clone(older)
	at := map[string]int{}
	for i, f := range all {
		at[f.Rule+f.Fingerprint+f.Path] = i
	}
	for _, f := range newer {
		i, ok := at[f.Rule+f.Fingerprint+f.Path]
		if !ok {
			all = append(all, f)
			continue
		}
		first, last := all[i].First, all[i].Last
		if f.First != nil && (first == nil || f.First.Date.Before(first.Date)) {
			all[i], first = f, f.First
		}
		if f.Last != nil && (last == nil || !f.Last.Date.Before(last.Date)) {
			last = f.Last
		}
		all[i].First, all[i].Last = first, last
	}
	return all
}
