package queue_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// All descriptions together are bounded, and who leaves makes room.
func TestServicesAreBounded(t *testing.T) {
	const many = 8000
	s := queue.New(0, queue.Limits{Consumers: many})
	var fx queue.Effects
	apply := func(op queue.Op) error {
		err := s.Apply(1, op, &fx)
		if broken := s.Check(); broken != nil {
			t.Fatal(broken)
		}
		return err
	}
	if err := errors.Join(apply(&queue.Login{Session: 1}), apply(&queue.Create{Session: 1, Queue: "q"})); err != nil {
		t.Fatal(err)
	}
	info := make([]byte, queue.MaxServiceBytes) // all share it: what counts is what it says
	describe := func(consumer int, info []byte) error {
		return s.Apply(1, &queue.Subscribe{Session: 1, Queue: "q", Consumer: queue.ConsumerID(consumer), Service: "s", ServiceInfo: info}, &fx)
	}
	n := 0
	var err error
	for ; err == nil && n < many; n++ {
		err = describe(0, info)
	}
	if n--; !errors.Is(err, queue.ErrLimitReached) || n*len(info) > queue.MaxServicesBytes || n < queue.MaxServicesBytes/len(info)*9/10 {
		t.Fatalf("%d descriptions of %d bytes fit, and then: %v", n, len(info), err)
	}
	if err := apply(&queue.Subscribe{Session: 1, Queue: "q"}); err != nil {
		t.Errorf("a consumer without a description is refused: %v", err)
	}
	if err := describe(n+1, info); !errors.Is(err, queue.ErrLimitReached) {
		t.Errorf("a consumer that is there describes itself: %v", err)
	}
	if err := describe(n, info); err != nil {
		t.Errorf("one that is described says so again: %v", err)
	}
	if err := describe(1, nil); err != nil {
		t.Errorf("one says less: %v", err)
	}
	if err := describe(n+1, info[:len(info)-2000]); err != nil {
		t.Errorf("there is room, and it is not used: %v", err)
	}
	if err := apply(&queue.Unsubscribe{Session: 1, Consumer: 2}); err != nil {
		t.Fatal(err)
	}
	if err := describe(0, info); err != nil {
		t.Errorf("who left made no room: %v", err)
	}
	if err := apply(&queue.Logout{Session: 1}); err != nil {
		t.Error(err)
	}
}

// Pages of services are what a naive person cuts from the sorted list, and a small
// page of many takes little.
func TestServicesInPages(t *testing.T) {
	const many = 3000
	s := queue.New(0, queue.Limits{Consumers: many})
	var fx queue.Effects
	apply := func(op queue.Op) {
		if err := s.Apply(1, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	apply(&queue.Login{Session: 1})
	apply(&queue.Create{Session: 1, Queue: "q"})
	rng := rand.New(rand.NewPCG(1, 1))
	var all []string
	for i := range many {
		name := fmt.Sprintf("s%d", rng.IntN(900))
		apply(&queue.Subscribe{Session: 1, Queue: "q", Service: name})
		all = append(all, fmt.Sprintf("%s %05d", name, i+1))
	}
	slices.Sort(all)
	for _, limit := range []int{1, 7, many - 1, many, many + 1} {
		var got []string
		after, more := queue.ServiceKey{}, true
		for pages := 0; more && (pages < 300 || limit > 1); pages++ {
			var cs []*queue.Consumer
			cs, more = s.Services("", after, limit)
			if len(cs) > limit || more != (len(got)+len(cs) < many) {
				t.Fatalf("limit %d: a page of %d after %d, more %v", limit, len(cs), len(got), more)
			}
			for _, c := range cs {
				after = c.ServiceKey()
				got = append(got, fmt.Sprintf("%s %05d", after.Name, after.Consumer))
			}
		}
		if want := all[:len(got)]; !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("with limit %d the pages differ from the sorted list", limit)
		}
	}
	if n := testing.AllocsPerRun(3, func() { s.Services("", queue.ServiceKey{}, 1) }); n > 3 {
		t.Errorf("a page of one service of %d makes %.0f allocations: it collects them all", many, n)
	}
}
