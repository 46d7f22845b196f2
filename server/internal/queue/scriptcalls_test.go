package queue_test

import (
	"fmt"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// endCall ends the call of a number: end-call 3. Where it is, is looked up by the
// core.
func (s *script) endCall() {
	s.do(&queue.EndCall{Call: queue.ID{Sequence: uint64(toInt(s.at(0)))}})
}

// calls shows the calls, so many messages at a time.
func (s *script) calls() {
	scan := queue.CallScan{Queue: s.str("queue"), Prefix: s.str("prefix"), Only: queue.ID{Sequence: uint64(s.num("only"))}}
	for more := true; more; {
		more = scan.Next(s.state, max(1, s.num("step")), func(m *queue.Message) {
			line := fmt.Sprintf("#%d in %s, %s, attempt %d of %d", m.ID.Sequence, m.Queue().Name,
				map[queue.MessageState]string{queue.Waiting: "waits", queue.Delayed: "delayed", queue.Leased: "runs"}[m.State()], m.Attempts, m.MaxAttempts())
			if p := m.Parent(); !p.IsZero() {
				line += fmt.Sprintf(", for #%d", p.Sequence)
			}
			if n := m.Children(); n > 0 {
				line += fmt.Sprintf(", with %d children", n)
			}
			if d := m.StartLeft(s.now); d > 0 {
				line += fmt.Sprintf(", to begin within %v", d)
			}
			if m.CallerGone() {
				line += ", for nobody"
			}
			s.printf("%s", line)
		})
	}
}
