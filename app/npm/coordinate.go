package npm

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// The registry's own limits; names come from lock files of pull requests, so nothing else passes.
const (
	maxName    = 214
	maxVersion = 128
)

var (
	namePattern    = regexp.MustCompile(`^(@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

// coordinate is a package at a version, both checked.
type coordinate struct {
	scope   string // "@scope", empty without one
	base    string // the name without its scope
	version string
}

func parseCoordinate(name, version string) (coordinate, error) {
	if len(name) > maxName || !namePattern.MatchString(name) {
		return coordinate{}, fmt.Errorf("npm package %.60q: %w: not a name of the npm registry", name, ErrInvalid)
	}
	if len(version) > maxVersion || !versionPattern.MatchString(version) {
		return coordinate{}, fmt.Errorf("npm package %s: %w: %.60q is no exact version such as 1.2.3", name, ErrInvalid, version)
	}
	scope, base, scoped := strings.Cut(name, "/")
	if !scoped {
		scope, base = "", name
	}
	return coordinate{scope: scope, base: base, version: version}, nil
}

func (c coordinate) String() string {
	if c.scope != "" {
		return c.scope + "/" + c.base + "@" + c.version
	}
	return c.base + "@" + c.version
}

// tarball is the address under which every npm registry serves this package:
// <registry>/<name>/-/<name without scope>-<version>.tgz.
func (c coordinate) tarball(registry string) (*url.URL, error) {
	base, err := url.Parse(registry)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		// The value may hold a password, so it is not shown.
		return nil, fmt.Errorf("%w: the registry in the npm configuration is no http or https address", ErrUnavailable)
	}
	return base.JoinPath(c.scope, c.base, "-", c.base+"-"+c.version+".tgz"), nil
}
