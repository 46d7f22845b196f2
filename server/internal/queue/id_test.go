package queue

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []uint64{0, 1, 31, 32, 1<<60 - 1, 1 << 60, math.MaxUint64}
	for range 10_000 {
		numbers = append(numbers, r.Uint64()>>r.IntN(64))
	}
	for _, n := range numbers {
		if got, want := string(appendDigits(nil, n)), strconv.FormatUint(n, idBase); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
