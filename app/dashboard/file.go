package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/flaresmith/flaresmith/app/preview"
)

// file sends one of the files that an environment's collection step wrote. Only names that the
// ledger lists are looked for, so that nothing else in the folder can be fetched.
func (d *Dashboard) file(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	file, size, err := d.open(ctx, c.Param("project"), c.Param("name"), c.Param("file"))
	switch {
	case errors.Is(err, preview.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		d.notice(c, http.StatusNotFound, Notice{Title: "There is no such file", Text: "It may be gone together with its preview."})
		return
	case err != nil:
		d.fail(c, err)
		return
	}
	defer func() { _ = file.Close() }()
	c.Header("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": c.Param("file")}))
	c.Header("Content-Security-Policy", "sandbox; default-src 'none'")
	c.DataFromReader(http.StatusOK, size, "application/json", file, nil)
}

func (d *Dashboard) open(ctx context.Context, projectID, name, file string) (fs.File, int64, error) {
	if d.Files == nil {
		return nil, 0, preview.ErrNotFound
	}
	e, err := d.Store.EnvironmentByName(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	outputs, err := d.Store.OutputsOf(ctx, []string{e.ID})
	if err != nil {
		return nil, 0, err
	}
	path := e.Name + "/" + file
	if e.ProjectID != projectID || !slices.Contains(outputs[e.ID].Files, file) || !fs.ValidPath(path) {
		return nil, 0, preview.ErrNotFound
	}
	opened, err := d.Files.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("file of %s: %w", e.Name, err)
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = preview.ErrNotFound
	}
	if err != nil {
		_ = opened.Close()
		return nil, 0, fmt.Errorf("file of %s: %w", e.Name, err)
	}
	return opened, info.Size(), nil
}
