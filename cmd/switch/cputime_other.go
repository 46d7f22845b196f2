//go:build !unix

package main

import "time"

// cpuTime is zero: this system does not tell.
func cpuTime() time.Duration { return 0 }
