//go:build !linux

package demo

// The three look into /proc: elsewhere databases, roles, files and the gateway's answer are all
// that is looked at.

func workerProcesses() ([]string, error) { return nil, nil }

func openSockets() ([]string, error) { return nil, nil }

func listeningPorts() (int, error) { return 0, nil }
