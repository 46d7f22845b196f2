//go:build race

package main

// raceEnabled says that the tests run under the race detector, and so should the
// binary.
const raceEnabled = true
