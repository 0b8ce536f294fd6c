package build

import _ "embed"

// mainSpecifier is what the identity module calls the Worker's own main module.
const mainSpecifier = "flaresmith:worker"

// identityModule stands in front of every Worker: it answers a question that the server signed, and passes everything
// else on as it came.
//
//go:embed identity.js
var identityModule string
