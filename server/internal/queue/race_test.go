//go:build race

package queue_test

// raced says that the race detector watches, which takes five times as long.
const raced = true
