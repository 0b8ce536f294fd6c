package workerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	socketsFile   = ".sockets.json" // in Config.Dir
	socketsPrefix = "flaresmith-workerd-"
	// A socket's path has at most 103 bytes on every system; a name takes up to 12.
	maxSocketFolder = 90
)

// socketsNote says where a server keeps its sockets, so that the next one can remove what a
// killed one left.
type socketsNote struct {
	Process int    `json:"process"`
	Folder  string `json:"folder"`
}

// makeSockets makes the folder of the Unix sockets. It is not in the state folder: a socket's path
// must be shorter than 104 bytes, and the preview's users must get through to it.
func makeSockets(root *os.Root) (string, error) {
	if err := removeStaleSockets(root); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp("", socketsPrefix)
	if err != nil {
		return "", err
	}
	if len(folder) > maxSocketFolder {
		return "", errors.Join(fmt.Errorf("the folder for temporary files has a path that is too long for sockets: %s", os.TempDir()), os.RemoveAll(folder))
	}
	raw, err := json.Marshal(socketsNote{Process: os.Getpid(), Folder: folder})
	if err == nil {
		err = os.Chmod(folder, 0o711) //nolint:gosec // passed through by the preview's users
	}
	if err == nil {
		err = writeFile(root, socketsFile, raw, 0o600)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	return folder, nil
}

// removeStaleSockets removes the folder of a server that is gone.
func removeStaleSockets(root *os.Root) error {
	raw, err := root.ReadFile(socketsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var note socketsNote
	if json.Unmarshal(raw, &note) != nil || filepath.Dir(note.Folder) != filepath.Clean(os.TempDir()) ||
		!strings.HasPrefix(filepath.Base(note.Folder), socketsPrefix) {
		return nil // nothing that we would have written
	}
	if note.Process > 0 && !errors.Is(syscall.Kill(note.Process, 0), syscall.ESRCH) {
		return nil
	}
	return os.RemoveAll(note.Folder)
}
