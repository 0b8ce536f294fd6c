package neon

import (
	_ "embed" // for the description

	"github.com/flaresmith/flaresmith/app/sim/openapi"
)

// packed is Neon's own description of its API; openapi/README.md tells where it is from.
//
//go:embed openapi/v2.yaml.zst
var packed []byte

// description is the unpacked and loaded file.
//
//nolint:gochecknoglobals // computed once, then only read
var description = openapi.Load("description of Neon's API", packed)

// Violations lists the exchanges that did not fit Neon's description; always empty without Config.Validate.
func (s *Server) Violations() []openapi.Violation { return s.check.Violations() }
