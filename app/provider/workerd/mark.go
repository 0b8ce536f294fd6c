package workerd

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	markFile         = "mark.json"
	maxMark          = 64 << 10
	generationPrefix = "g-"
	// Names with a dot match no preview's name: what is being made or removed hides behind them.
	scratchPrefix = ".scratch-"
)

// mark is the content of mark.json.
type mark struct {
	Owner      preview.Mark `json:"owner"`
	Digest     string       `json:"digest"`     // empty until the first Apply has finished
	Bundle     string       `json:"bundle"`     // digest of the bundle that runs
	Generation string       `json:"generation"` // folder of what runs
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
	file, err := root.Open(name + "/" + markFile)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxMark))
	if err != nil {
		return mark{}, err
	}
	var m mark
	if err := json.Unmarshal(raw, &m); err != nil {
		return mark{}, nil //nolint:nilerr // an unreadable mark is a foreign one
	}
	return m, nil
}

// writeMark replaces the mark in one step.
func writeMark(root *os.Root, folder string, m mark) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	temporary := folder + "/." + markFile
	if err := writeFile(root, temporary, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return root.Rename(temporary, folder+"/"+markFile)
}

// claim makes the folder of a preview together with its mark: there is never one without.
func claim(root *os.Root, name string, owner preview.Mark) error {
	scratch := scratchPrefix + rand.Text()
	if err := root.Mkdir(scratch, 0o711); err != nil {
		return err
	}
	if err := writeMark(root, scratch, mark{Owner: owner}); err != nil {
		return errors.Join(err, root.RemoveAll(scratch))
	}
	if err := root.Rename(scratch, name); err != nil {
		return errors.Join(err, root.RemoveAll(scratch))
	}
	return nil
}

// discard removes a folder so that it is there as a whole or not at all.
func discard(root *os.Root, name string) error {
	scratch := scratchPrefix + rand.Text()
	if err := root.Rename(name, scratch); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return root.RemoveAll(scratch)
}

// tidy removes what a server that was killed left half done. Finished folders stay.
func tidy(root *os.Root) error {
	names, err := entries(root, ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, scratchPrefix) {
			if err := root.RemoveAll(name); err != nil {
				return fmt.Errorf("leftover %s: %w", name, err)
			}
			continue
		}
		if !preview.NamePattern.MatchString(name) {
			continue
		}
		m, err := readMark(root, name)
		if err != nil {
			return fmt.Errorf("mark of %s: %w", name, err)
		}
		if m.Owner == (preview.Mark{}) {
			continue // not ours
		}
		if err := tidyGenerations(root, name, m.Generation); err != nil {
			return err
		}
	}
	return nil
}

func tidyGenerations(root *os.Root, name, keep string) error {
	generations, err := entries(root, name)
	if err != nil {
		return err
	}
	for _, generation := range generations {
		if strings.HasPrefix(generation, generationPrefix) && generation != keep {
			if err := root.RemoveAll(name + "/" + generation); err != nil {
				return fmt.Errorf("leftover %s/%s: %w", name, generation, err)
			}
		}
	}
	return nil
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

func writeFile(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, bytes.NewReader(content))
	return errors.Join(err, file.Close())
}
