package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

var (
	errTooLarge = errors.New("too large")
	errNoFile   = errors.New("is no regular file")
)

// readLimited reads one regular file of at most limit bytes.
func readLimited(src fs.FS, name string, limit int64) ([]byte, error) {
	f, err := src.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("the file is %w: more than %d bytes", errTooLarge, limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("the file is %w: more than %d bytes", errTooLarge, limit)
	}
	return data, err
}

// readMessage says to the user why a file was not read.
func readMessage(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the file does not exist"
	case errors.Is(err, errNoFile):
		return "this is not a file"
	}
	return err.Error()
}
