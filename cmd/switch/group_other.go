//go:build !unix

package main

import (
	"os"
	"os/exec"
	"time"
)

// leadGroup does nothing: this system has no process groups to signal.
func leadGroup(*exec.Cmd) {}

// endGroup ends the one process that is known, at once: there is no way to ask.
func endGroup(leader *os.Process, _ time.Duration) { _ = leader.Kill() }
