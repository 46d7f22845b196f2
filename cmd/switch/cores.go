package main

import (
	"os"
	"runtime"
)

// useCores sets how many cores a switch in memory keeps busy at a time: half of
// them, unless GOMAXPROCS says otherwise. One lock orders what it does, so a second
// core mostly looks for work that there is not, and takes the State's memory from
// the cache of the first: on two cores, which programs share with it, 64 callers
// got 78,184 replies/s with one and 64,335 with both, a lone caller one in 139 µs
// and in 176 µs (medians of five interleaved runs). A store needs all of them: its
// merges would hold the calls up.
func useCores(durable bool) {
	if durable || os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
}
