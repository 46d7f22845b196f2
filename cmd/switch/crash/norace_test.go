//go:build !race

package crash_test

// raceEnabled says that the tests run under the race detector, and so should the
// binary.
const raceEnabled = false
