package cloudflare

import (
	"fmt"
	"strings"
)

const configFile = "config.capnp"

// moduleFile holds the nth module; the module's own name is in the configuration only.
func moduleFile(n int) string { return fmt.Sprintf("module-%d", n) }

// configure writes workerd's configuration for a version. Secrets are not in it but in the process's environment.
func (s *Server) configure(v *version, i *instance) (config string, environment []string, err error) {
	services := []string{`(name = "main", worker = .main)`, s.network()}
	var bindings []string
	for n, b := range v.bindings {
		name := "name = " + quote(b.Name)
		switch b.Type {
		case bindingText:
			bindings = append(bindings, fmt.Sprintf("(%s, text = %s)", name, quote(b.Text)))
		case bindingJSON:
			bindings = append(bindings, fmt.Sprintf("(%s, json = %s)", name, quote(string(b.JSON))))
		case bindingSecret:
			variable := fmt.Sprintf("SECRET_%d", n)
			text := b.Text
			if rebind := s.rebind.Load(); rebind != nil {
				text = (*rebind)(b.Name, text)
			}
			environment = append(environment, variable+"="+text)
			bindings = append(bindings, fmt.Sprintf("(%s, fromEnvironment = %s)", name, quote(variable)))
		case bindingKV:
			socket, err := s.namespace(b.Namespace)
			if err != nil {
				return "", nil, err
			}
			to := fmt.Sprintf("binding-%d", n)
			services = append(services, fmt.Sprintf("(name = %s, external = (address = %s, http = ()))", quote(to), quote("unix:"+socket)))
			bindings = append(bindings, fmt.Sprintf("(%s, kvNamespace = %s)", name, quote(to)))
		case bindingService, bindingAssets:
			socket := ""
			if b.Type == bindingService {
				socket, err = s.target(b.Service)
			} else if i.assets != nil {
				socket = i.assets.socket
			}
			if err != nil || socket == "" {
				return "", nil, fail(400, codeUpload, "The binding %q leads nowhere.", b.Name)
			}
			to := fmt.Sprintf("binding-%d", n)
			services = append(services, fmt.Sprintf("(name = %s, external = (address = %s, http = ()))", quote(to), quote("unix:"+socket)))
			bindings = append(bindings, fmt.Sprintf("(%s, service = %s)", name, quote(to)))
		}
	}
	var modules, flags []string
	for n, m := range v.modules {
		modules = append(modules, fmt.Sprintf("(name = %s, %s = embed %s)", quote(strings.TrimPrefix(m.name, "./")), m.field, quote(moduleFile(n))))
	}
	for _, flag := range v.flags {
		flags = append(flags, quote(flag))
	}
	list := func(entries []string) string { return "[\n    " + strings.Join(entries, ",\n    ") + "\n  ]" }
	return fmt.Sprintf(`using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = %s,
  sockets = [(name = "http", service = "main", http = ())]
);

const main :Workerd.Worker = (
  globalOutbound = "outside",
  compatibilityDate = %s,
  compatibilityFlags = [%s],
  modules = %s,
  bindings = %s
);
`, list(services), quote(v.date), strings.Join(flags, ", "), list(modules), list(bindings)), append([]string{}, environment...), nil
}

// network is what a Worker can reach.
func (s *Server) network() string {
	allowed := make([]string, len(s.cfg.Reach))
	for n, address := range s.cfg.Reach {
		if !strings.Contains(address, "/") {
			address += "/32"
		}
		allowed[n] = quote(address)
	}
	trust := ""
	if len(s.cfg.Trust) > 0 {
		trust = fmt.Sprintf(", trustedCertificates = [%s]", quote(string(s.cfg.Trust)))
	}
	return fmt.Sprintf(`(name = "outside", network = (allow = [%s], tlsOptions = (trustBrowserCas = true%s)))`, strings.Join(allowed, ", "), trust)
}

// quote writes a Cap'n Proto text literal. Everything but plain ASCII goes by its bytes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c > 0x7e:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
