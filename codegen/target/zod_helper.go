package target

// The helpers that a module may need.
const (
	equalHelper = iota
	uniqueHelper
	matchingHelper
	containingHelper
	whenHelper
	evaluatedHelper
	helperCount
)

func (z *zod) helpers() {
	if z.needs[equalHelper] {
		z.text(`
const equal = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const members = Object.entries(a);
  return members.length === Object.keys(b).length && members.every(([key, value]) => Object.hasOwn(b, key) && equal(value, (b as { [key: string]: unknown })[key]));
};
`)
	}
	if z.needs[uniqueHelper] {
		z.text("\nconst unique = (list: readonly unknown[]): boolean => list.every((item, i) => list.findIndex((other) => equal(item, other)) === i);\n")
	}
	if z.needs[matchingHelper] {
		z.text(`
const matching = (value: object, patterns: readonly (readonly [RegExp, z.ZodType])[], known: readonly string[], rest?: z.ZodType): boolean =>
  Object.entries(value).every(([key, member]) => {
    const found = patterns.filter(([pattern]) => pattern.test(key));
    return found.every(([, schema]) => schema.safeParse(member).success) && (found.length > 0 || known.includes(key) || rest === undefined || rest.safeParse(member).success);
  });
`)
	}
	if z.needs[containingHelper] {
		z.text(`
const containing = (schema: z.ZodType, least: number, most = Infinity) => (list: readonly unknown[]): boolean => {
  const found = list.filter((item) => schema.safeParse(item).success).length;
  return found >= least && found <= most;
};
`)
	}
	if z.needs[whenHelper] {
		z.text(`
const when = (condition: z.ZodType, then: z.ZodType, otherwise: z.ZodType = z.unknown()) => (value: unknown): boolean =>
  (condition.safeParse(value).success ? then : otherwise).safeParse(value).success;
`)
	}
	if z.needs[evaluatedHelper] {
		z.text(`
type EvaluatedMembers = { names?: readonly string[]; patterns?: readonly RegExp[]; when?: readonly (readonly [z.ZodType, EvaluatedMembers])[] };

const describes = (members: EvaluatedMembers, key: string, value: unknown): boolean =>
  members.names?.includes(key) || members.patterns?.some((pattern) => pattern.test(key)) ||
  members.when?.some(([schema, more]) => describes(more, key, value) && schema.safeParse(value).success) || false;

const evaluated = (members: EvaluatedMembers, rest: z.ZodType) => (value: unknown): boolean => typeof value !== "object" || value === null || Array.isArray(value) ||
  Object.entries(value).every(([key, member]) => describes(members, key, value) || rest.safeParse(member).success);
`)
	}
}
