package collection

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	markFile = "mark.json"
	maxMark  = 1 << 20
	// Names with a dot match no preview's name: what is being made or removed hides behind them.
	scratchPrefix = ".scratch-"
)

// mark is the content of mark.json.
type mark struct {
	Owner  preview.Mark `json:"owner"`
	Digest string       `json:"digest"` // empty while an Apply is unfinished
	Files  []string     `json:"files"`  // of the last finished Apply
}

// readMark returns fs.ErrNotExist when there is no folder, and a zero mark when the folder
// carries none that can be read, which is nobody of ours.
func readMark(root *os.Root, name string) (mark, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return mark{}, err
	}
	if !info.IsDir() {
		return mark{}, nil
	}
	raw, err := readFile(root, name+"/"+markFile, maxMark)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	var m mark
	if err := json.Unmarshal(raw, &m); err != nil {
		return mark{}, nil //nolint:nilerr // an unreadable mark is a foreign one
	}
	return m, nil
}

func writeMark(root *os.Root, folder string, m mark) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(root, folder, markFile, append(raw, '\n'))
}

// claim makes the folder of a preview together with its mark: there is never one without.
func claim(root *os.Root, name string, owner preview.Mark) error {
	scratch := scratchPrefix + rand.Text()
	err := root.Mkdir(scratch, 0o755)
	if err == nil {
		err = writeMark(root, scratch, mark{Owner: owner})
	}
	if err == nil {
		err = root.Rename(scratch, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("folder: %w", err), root.RemoveAll(scratch))
	}
	return nil
}

// discard removes a folder so that it is there as a whole or not at all.
func discard(root *os.Root, name string) error {
	scratch := scratchPrefix + rand.Text()
	if err := root.Rename(name, scratch); err != nil {
		return err
	}
	return root.RemoveAll(scratch)
}

// tidy removes what a killed server left half done.
func tidy(root *os.Root) error {
	list, err := entries(root, ".")
	if err != nil {
		return err
	}
	for _, name := range list {
		if strings.HasPrefix(name, scratchPrefix) {
			if err := root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// changes compares the wanted files with the folder: what to write, and what is there of ours and
// no longer wanted. Files of other kinds are somebody's own and stay.
func changes(root *os.Root, folder string, files map[string][]byte) (writes, removals []string, err error) {
	for _, name := range names(files) {
		content, err := readFile(root, folder+"/"+name, int64(len(files[name]))+1)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if err != nil || !bytes.Equal(content, files[name]) {
			writes = append(writes, name)
		}
	}
	there, err := entries(root, folder)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range there {
		_, wanted := files[name]
		ours := strings.HasSuffix(name, postmanfile.CollectionSuffix) || strings.HasSuffix(name, postmanfile.EnvironmentSuffix) || strings.HasPrefix(name, scratchPrefix)
		if ours && !wanted {
			removals = append(removals, name)
		}
	}
	return writes, removals, nil
}

// replace writes a file in one step: a reader sees the old content or the new.
func replace(root *os.Root, folder, name string, content []byte) error {
	scratch := folder + "/" + scratchPrefix + rand.Text()
	file, err := root.OpenFile(scratch, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(scratch, folder+"/"+name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(scratch))
	}
	return nil
}

func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, limit))
}

// entries lists a folder in name order.
func entries(root *os.Root, folder string) ([]string, error) {
	list, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i, entry := range list {
		names[i] = entry.Name()
	}
	return names, nil
}

func names(files map[string][]byte) []string { return slices.Sorted(maps.Keys(files)) }
