package secretscan

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// maxResults is how many results GitHub takes of a run. Findings are sorted, so the surest stay.
const maxResults = 25_000

// The part of SARIF 2.1.0 that a finding needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string            `json:"id"`
		Short      sarifText         `json:"shortDescription"`
		Properties map[string]string `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]any    `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI         string     `json:"uri"`
		Base        string     `json:"uriBaseId,omitempty"`
		Description *sarifText `json:"description,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
)

// WriteSARIF writes findings as SARIF 2.1.0.
func (r Report) WriteSARIF(w io.Writer) error {
	run := sarifRun{Invocations: []sarifInvocation{{r.Complete, r.cut()}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "Flaresmith", InformationURI: "https://github.com/flaresmith/flaresmith", Rules: []sarifRule{}}
	for _, f := range r.Findings[:min(len(r.Findings), maxResults)] {
		index := slices.IndexFunc(run.Tool.Driver.Rules, func(r sarifRule) bool { return r.ID == f.Rule })
		if index < 0 {
			index = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
				ID: f.Rule, Short: sarifText{f.Description}, Properties: map[string]string{"security-severity": severity(f.Tier)},
			})
		}
		result := sarifResult{
			RuleID: f.Rule, RuleIndex: index, Level: level(f.Tier),
			Message:      sarifText{fmt.Sprintf("%s Tier: %s.", f.Description, f.Tier)},
			Fingerprints: map[string]string{"flaresmith/v1": f.Fingerprint},
			Locations:    []sarifLocation{locationOf(&f)},
		}
		if f.First != nil {
			result.Properties = map[string]any{"first": f.First, "last": f.Last}
		}
		run.Results = append(run.Results, result)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// cut tells of what is in no result.
func (r Report) cut() (list []sarifNotification) {
	if r.More != nil {
		list = append(list, sarifNotification{"error", sarifText{fmt.Sprintf("The list of findings is cut: %s more are not in it.", perTier(r.More))}})
	}
	if n := len(r.Findings) - maxResults; n > 0 {
		list = append(list, sarifNotification{"warning", sarifText{fmt.Sprintf("GitHub takes %d results of a run: %d findings more, the least sure, are in the report's JSON only.", maxResults, n)}})
	}
	return list
}

// locationOf is where a finding is. GitHub takes no file with a result that has no address, so that a commit's or tag's
// message gets one, which is no file's.
func locationOf(f *Finding) sarifLocation {
	l := sarifLocation{Physical: sarifPhysical{
		Artifact: sarifArtifact{URI: uriOf(f.Path), Base: "%SRCROOT%"},
		Region:   sarifRegion{f.Line, f.Column, f.EndLine, f.EndColumn},
	}}
	if f.Text != "" {
		l.Physical.Artifact = sarifArtifact{URI: "commit-messages", Description: &sarifText{f.Text + ", which is in no file"}}
		if strings.HasPrefix(f.Text, tagText) {
			l.Physical.Artifact.URI = "tag-messages"
		}
		if f.First != nil {
			l.Physical.Artifact.URI += "/" + f.First.ID
		}
		l.Logical = []sarifLogical{{f.Text}}
	}
	return l
}

// uriOf is a path as a relative reference: what is before a colon in its first part would be a scheme, as a drive's
// letter would.
func uriOf(path string) string {
	first, rest, more := strings.Cut((&url.URL{Path: path}).EscapedPath(), "/")
	first = strings.ReplaceAll(first, ":", "%3A")
	if more {
		return first + "/" + rest
	}
	return first
}

func level(t Tier) string {
	switch t {
	case Certain:
		return "error"
	case Likely:
		return "warning"
	default:
		return "note"
	}
}

// severity is on the scale by which code scanning sorts: 9 and more is critical.
func severity(t Tier) string {
	switch t {
	case Certain:
		return "9.0"
	case Likely:
		return "7.0"
	default:
		return "3.0"
	}
}
