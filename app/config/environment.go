package config

import (
	"os"
	"strings"
)

// PackageEnvironment is what of the process's environment concerns fetching npm packages: where
// the operator's npm configuration is, proxies and certificates. It is all that a child process
// that fetches packages is given; no variable of Config is in it.
func PackageEnvironment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch upper := strings.ToUpper(name); {
		case upper == "HOME", upper == "PATH", upper == "TMPDIR", upper == "SYSTEMROOT", upper == "USERPROFILE", upper == "APPDATA",
			upper == "HTTP_PROXY", upper == "HTTPS_PROXY", upper == "NO_PROXY", upper == "ALL_PROXY",
			upper == "SSL_CERT_FILE", upper == "SSL_CERT_DIR", strings.HasPrefix(upper, "NPM_CONFIG_"):
			kept = append(kept, variable)
		}
	}
	return kept
}
