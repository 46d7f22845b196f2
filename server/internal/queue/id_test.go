package queue

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestAppendID(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []uint64{0, 1, 31, 32, 1<<60 - 1, 1 << 60, math.MaxUint64}
	for range 10_000 {
		numbers = append(numbers, r.Uint64()>>r.IntN(64))
	}
	inBase := func(n uint64) string { return strconv.FormatUint(n, idBase) }
	for i, n := range numbers {
		id := ID{Shard: uint16(n), Epoch: numbers[len(numbers)-1-i], Sequence: n}
		want := fmt.Sprintf("before %s-%s-%s", inBase(uint64(id.Shard)), inBase(id.Epoch), inBase(n))
		if got := string(id.Append([]byte("before "))); got != want {
			t.Errorf("%v is %s, want %s", id, got, want)
		}
	}
	longest := ID{Shard: math.MaxUint16, Epoch: math.MaxUint64, Sequence: math.MaxUint64}
	if got := len(longest.Append(nil)); got != idLength {
		t.Errorf("an id may have %d bytes, not %d", got, idLength)
	}
}
