package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is how many clock ticks /proc counts in a second: on every Linux that Go
// runs on it is 100, whatever the kernel's own timer does.
const ticks = 100

// stat reads the fields of /proc/PID/stat that come after the command's name.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// cpuSeconds is the user and system time of a process.
func cpuSeconds(pid int) (float64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	return float64(user+system) / ticks, err
}

// residentKiB is the memory of a process that is resident.
func residentKiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			return strconv.ParseFloat(f[1], 64)
		}
	}
	return 0, errors.New("no VmRSS: the process has ended")
}

// descendant finds the process of that name below another.
func descendant(ancestor int, name string) (int, error) {
	for pid, comm := range processes() {
		if comm == name && descends(pid, ancestor) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process %q below %d", name, ancestor)
}

func descends(pid, ancestor int) bool {
	for pid > 1 {
		fields, err := stat(pid)
		if err != nil {
			return false
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil || pid == ancestor {
			return err == nil
		}
	}
	return false
}

// processes are the names of all processes, by pid.
func processes() map[int]string {
	found := make(map[int]string)
	paths, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is valid
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if comm, err := os.ReadFile(path); err == nil { // else it has ended
			found[pid] = strings.TrimSpace(string(comm))
		}
	}
	return found
}
