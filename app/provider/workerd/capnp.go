package workerd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// databaseVariable carries the connection string to the process. It is a constant: the name of
// the binding is the user's choice, and must not become one of "LD_PRELOAD".
const databaseVariable = "FLARESMITH_DATABASE_URL"

// protoHeader tells the process the scheme that the browser used, for the URL that the Worker
// sees. The runtime takes it out of the request, which X-Forwarded-Proto must survive.
const protoHeader = "X-Flaresmith-Proto"

// quote writes s as a Cap'n Proto text literal. Everything but plain ASCII goes by its bytes.
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

// moduleFile is the file in the generation's folder that holds the nth module. The module's own
// name appears in the configuration only.
func moduleFile(n int) string { return fmt.Sprintf("module-%d", n) }

// writeConfig is the runtime's configuration for a checked bundle; egress is the path of the
// Unix socket that is the process's only way out, services lead to its static files and to other Workers.
func writeConfig(bundle *preview.Bundle, egress string, services []service) string {
	var b strings.Builder
	b.WriteString(`using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
`)
	fmt.Fprintf(&b, "    (name = \"egress\", external = (address = %s, http = (style = proxy)))", quote("unix:"+egress))
	for _, s := range services {
		fmt.Fprintf(&b, ",\n    (name = %s, external = (address = %s, http = ()))", quote(s.name), quote("unix:"+s.socket))
	}
	b.WriteByte('\n')
	b.WriteString(`  ],
  sockets = [(name = "http", service = "main", http = (forwardedProtoHeader = "` + protoHeader + `"))]
);

const main :Workerd.Worker = (
  globalOutbound = "egress",
`)
	fmt.Fprintf(&b, "  compatibilityDate = %s,\n", quote(bundle.CompatibilityDate))
	flags := make([]string, len(bundle.CompatibilityFlags))
	for i, flag := range bundle.CompatibilityFlags {
		flags[i] = quote(flag)
	}
	fmt.Fprintf(&b, "  compatibilityFlags = [%s],\n", strings.Join(flags, ", "))
	b.WriteString("  modules = [\n    " + strings.Join(moduleEntries(bundle), ",\n    ") + "\n  ],\n")
	b.WriteString("  bindings = [\n    " + strings.Join(bindingEntries(bundle), ",\n    ") + "\n  ]\n);\n")
	return b.String()
}

// moduleEntries has the main module first, which is how the runtime knows it.
func moduleEntries(bundle *preview.Bundle) []string {
	var list []string
	for i, module := range bundle.Modules {
		field := map[preview.ModuleType]string{
			preview.ModuleES: "esModule", preview.ModuleText: "text",
			preview.ModuleData: "data", preview.ModuleWasm: "wasm",
		}[module.Type]
		entry := fmt.Sprintf("(name = %s, %s = embed %s)", quote(moduleName(module.Name)), field, quote(moduleFile(i)))
		if module.Name == bundle.MainModule {
			list = slices.Insert(list, 0, entry)
		} else {
			list = append(list, entry)
		}
	}
	return list
}

// bindingEntries has the variables in name order. The database's binding wins over a variable of
// that name, which is somebody's default for local development.
func bindingEntries(bundle *preview.Bundle) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(bundle.Vars)) {
		if name != bundle.DatabaseBinding {
			list = append(list, fmt.Sprintf("(name = %s, text = %s)", quote(name), quote(bundle.Vars[name])))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bundle.JSONVars)) {
		if name != bundle.DatabaseBinding {
			list = append(list, fmt.Sprintf("(name = %s, json = %s)", quote(name), quote(bundle.JSONVars[name])))
		}
	}
	if bindsAssets(bundle) {
		list = append(list, fmt.Sprintf("(name = %s, service = %s)", quote(bundle.Assets.Binding), quote(assetsService)))
	}
	for n, name := range slices.Sorted(maps.Keys(bundle.Services)) {
		list = append(list, fmt.Sprintf("(name = %s, service = %s)", quote(name), quote(serviceName(n))))
	}
	if bundle.DatabaseBinding != "" {
		list = append(list, fmt.Sprintf("(name = %s, fromEnvironment = %s)", quote(bundle.DatabaseBinding), quote(databaseVariable)))
	}
	return list
}

func bindsAssets(bundle *preview.Bundle) bool {
	return bundle.Assets != nil && bundle.Assets.Binding != ""
}
