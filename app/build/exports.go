package build

import (
	"strings"

	"github.com/tidwall/gjson"
)

// maxSpecifier bounds one import path.
const maxSpecifier = 2048

// conditions are what an "exports" or "imports" map may ask for. Wrangler sets the first three.
func conditions(require bool) map[string]bool {
	set := map[string]bool{"workerd": true, "worker": true, "browser": true, "module": true, "default": true}
	if require {
		set["require"] = true
	} else {
		set["import"] = true
	}
	return set
}

// resolveExports finds the target of subpath ("." or "./x") in an "exports" field, by Node's
// algorithm PACKAGE_EXPORTS_RESOLVE. The target begins with "./" and stays inside the package.
func resolveExports(exports gjson.Result, subpath string, conditions map[string]bool) (string, bool) {
	dotted := false
	if exports.IsObject() {
		exports.ForEach(func(key, _ gjson.Result) bool {
			dotted = strings.HasPrefix(key.String(), ".")
			return false
		})
	}
	if dotted {
		return resolveMap(exports, subpath, conditions, false)
	}
	if subpath != "." {
		return "", false
	}
	target, found := resolveTarget(exports, "", false, conditions, false)
	return target, found && target != ""
}

// resolveImports finds the target of a specifier such as "#x" in an "imports" field: "./path",
// or the name of another package.
func resolveImports(imports gjson.Result, specifier string, conditions map[string]bool) (string, bool) {
	if specifier == "#" || strings.HasPrefix(specifier, "#/") {
		return "", false
	}
	return resolveMap(imports, specifier, conditions, true)
}

// resolveMap is PACKAGE_IMPORTS_EXPORTS_RESOLVE.
func resolveMap(object gjson.Result, key string, conditions map[string]bool, internal bool) (string, bool) {
	if !object.IsObject() {
		return "", false
	}
	var exact, best gjson.Result
	var bestKey, match string
	var hasExact, hasBest bool
	object.ForEach(func(k, v gjson.Result) bool {
		pattern := k.String()
		star := strings.IndexByte(pattern, '*')
		switch {
		case star < 0:
			if pattern == key && !strings.HasSuffix(key, "/") {
				exact, hasExact = v, true
			}
		case strings.Count(pattern, "*") == 1:
			base, trailer := pattern[:star], pattern[star+1:]
			if !strings.HasPrefix(key, base) || key == base || len(key) < len(pattern) || !strings.HasSuffix(key, trailer) {
				return true
			}
			if !hasBest || moreSpecific(pattern, bestKey) {
				best, bestKey, hasBest = v, pattern, true
				match = key[len(base) : len(key)-len(trailer)]
			}
		}
		return !hasExact
	})
	var target string
	var found bool
	switch {
	case hasExact && !strings.Contains(key, "*"):
		target, found = resolveTarget(exact, "", false, conditions, internal)
	case hasBest:
		target, found = resolveTarget(best, match, true, conditions, internal)
	}
	return target, found && target != ""
}

// moreSpecific is PATTERN_KEY_COMPARE: the longer text before the star wins, then the longer key.
func moreSpecific(a, b string) bool {
	baseA, baseB := strings.IndexByte(a, '*'), strings.IndexByte(b, '*')
	if baseA != baseB {
		return baseA > baseB
	}
	return len(a) > len(b)
}

// resolveTarget is PACKAGE_TARGET_RESOLVE. Found with an empty target is "null": not exported.
func resolveTarget(target gjson.Result, match string, pattern bool, conditions map[string]bool, internal bool) (result string, found bool) {
	switch {
	case target.Type == gjson.String:
		return plainTarget(target.Str, match, pattern, internal)
	case target.Type == gjson.Null && target.Raw != "":
		return "", true
	case target.IsArray():
		target.ForEach(func(_, item gjson.Result) bool {
			result, found = resolveTarget(item, match, pattern, conditions, internal)
			return result == ""
		})
		return result, found
	case target.IsObject():
		target.ForEach(func(key, value gjson.Result) bool {
			if conditions[key.String()] {
				result, found = resolveTarget(value, match, pattern, conditions, internal)
			}
			return !found
		})
		return result, found
	}
	return "", false
}

func plainTarget(target, match string, pattern, internal bool) (string, bool) {
	if len(target) > maxSpecifier || len(match) > maxSpecifier || strings.Count(target, "*") > 8 {
		return "", false
	}
	if !strings.HasPrefix(target, "./") {
		bare := internal && target != "" && !strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "../") && !strings.Contains(target, ":")
		if !bare {
			return "", false
		}
	} else if unplain(target[2:]) {
		return "", false
	}
	if pattern {
		if unplain(match) {
			return "", false
		}
		target = strings.ReplaceAll(target, "*", match)
	}
	return target, true
}

// unplain reports whether a path holds a segment that could lead out of its package.
func unplain(p string) bool {
	for part := range strings.FieldsFuncSeq(strings.ToLower(p), func(r rune) bool { return r == '/' || r == '\\' }) {
		switch part {
		case ".", "..", "node_modules", "%2e", "%2e%2e", ".%2e", "%2e.":
			return true
		}
	}
	return strings.ContainsAny(p, "\\\x00")
}
