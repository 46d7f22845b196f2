//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// leadGroup makes cmd the leader of a new process group when it starts.
func leadGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks the process group of a leader to end, waits until it has no
// members, and kills what is left of it when the delay has passed. While a group
// has members, and be it a leader that nobody has waited for, its number is not
// given to another.
func endGroup(leader *os.Process, delay time.Duration) {
	const glance = 20 * time.Millisecond // to a person that is at once
	group := -leader.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // an error says that it is empty
	for end := time.Now().Add(delay); syscall.Kill(group, 0) == nil; time.Sleep(glance) {
		if !time.Now().Before(end) {
			_ = syscall.Kill(group, syscall.SIGKILL)
			return
		}
	}
}
