// Package server wires the whole program by hand, top to bottom, and runs it: the webhook
// endpoint, the jobs, the previews' gateway, health and metrics. It takes a checked
// configuration; New builds, Run serves until its context ends and then drains.
package server
