package server_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// update writes the golden files anew, for a review of the difference.
var update = flag.Bool("update", false, "write testdata/*.txt anew")

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
