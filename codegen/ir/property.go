package ir

import (
	"slices"
	"strings"
	"unicode"
)

// categories and properties are what JavaScript knows in \p{…} without a script; other languages know others, such as \p{Latin} and
// \p{Alnum}, which are errors there. Of scripts, the names are Unicode's, and the codes of those that are used most.
//
//nolint:gochecknoglobals // constant tables
var (
	categories = strings.Fields(`L Lu Ll Lt LC Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cs Co Cn
	Letter Uppercase_Letter Lowercase_Letter Titlecase_Letter Cased_Letter Modifier_Letter Other_Letter Mark Combining_Mark Nonspacing_Mark Spacing_Mark
	Enclosing_Mark Number Decimal_Number digit Letter_Number Other_Number Punctuation punct Connector_Punctuation Dash_Punctuation Open_Punctuation
	Close_Punctuation Initial_Punctuation Final_Punctuation Other_Punctuation Symbol Math_Symbol Currency_Symbol Modifier_Symbol Other_Symbol Separator
	Space_Separator Line_Separator Paragraph_Separator Other Control cntrl Format Surrogate Private_Use Unassigned`)
	properties = strings.Fields(`Any Assigned ASCII ASCII_Hex_Digit AHex Alphabetic Alpha Bidi_Control Bidi_C Bidi_Mirrored Bidi_M Case_Ignorable CI Cased
	Changes_When_Casefolded CWCF Changes_When_Casemapped CWCM Changes_When_Lowercased CWL Changes_When_NFKC_Casefolded CWKCF Changes_When_Titlecased CWT
	Changes_When_Uppercased CWU Dash Default_Ignorable_Code_Point DI Deprecated Dep Diacritic Dia Emoji Emoji_Component EComp Emoji_Modifier EMod
	Emoji_Modifier_Base EBase Emoji_Presentation EPres Extended_Pictographic ExtPict Extender Ext Grapheme_Base Gr_Base Grapheme_Extend Gr_Ext Hex_Digit Hex
	IDS_Binary_Operator IDSB IDS_Trinary_Operator IDST ID_Continue IDC ID_Start IDS Ideographic Ideo Join_Control Join_C Logical_Order_Exception LOE Lowercase
	Lower Math Noncharacter_Code_Point NChar Pattern_Syntax Pat_Syn Pattern_White_Space Pat_WS Quotation_Mark QMark Radical Regional_Indicator RI
	Sentence_Terminal STerm Soft_Dotted SD Terminal_Punctuation Term Unified_Ideograph UIdeo Uppercase Upper Variation_Selector VS White_Space space
	XID_Continue XIDC XID_Start XIDS`)
	scriptCodes = strings.Fields("Arab Armn Beng Cyrl Deva Geor Grek Hang Hani Hebr Hira Kana Latn Thai Zyyy")
)

// isProperty tells whether JavaScript knows what stands in \p{…}.
func isProperty(name string) bool {
	key, value, both := strings.Cut(name, "=")
	switch key {
	case "General_Category", "gc":
		return slices.Contains(categories, value)
	case "Script", "sc", "Script_Extensions", "scx":
		return unicode.Scripts[value] != nil || slices.Contains(scriptCodes, value)
	}
	return !both && (slices.Contains(categories, name) || slices.Contains(properties, name))
}
