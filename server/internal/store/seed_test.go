package store_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// seed is SWITCH_SEED, or a new one. It is printed when the test fails.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64() >> 16
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		var err error
		if s, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatalf("SWITCH_SEED=%s: %v", env, err)
		}
	}
	t.Logf("repeat with SWITCH_SEED=%d", s)
	return s
}

// slow says whether the tests run in their long form.
func slow() bool { return os.Getenv("SWITCH_SLOW") != "" }

func random(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
