package setup

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxName is how long GitHub lets an App's name be, in characters.
const maxName = 34

// manifest is what GitHub is asked to create; the names are GitHub's.
type manifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Hook        hook              `json:"hook_attributes"`
	Redirect    string            `json:"redirect_url"`
	Callbacks   []string          `json:"callback_urls"`
	Public      bool              `json:"public"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
}

type hook struct {
	URL    string `json:"url"`
	Active bool   `json:"active"`
}

func (c Config) manifest(owner string) (string, error) {
	name := []rune(strings.TrimSpace("Flaresmith " + owner))
	body, err := json.Marshal(manifest{
		Name: string(name[:min(len(name), maxName)]), URL: c.PublicURL,
		Hook:        hook{URL: c.PublicURL + c.HookPath, Active: true},
		Redirect:    c.PublicURL + callbackPath,
		Callbacks:   []string{c.PublicURL + c.SignInPath},
		Permissions: c.Permissions, Events: c.Events,
	})
	if err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	return string(body), nil
}
