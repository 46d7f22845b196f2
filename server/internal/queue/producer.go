package queue

import "strings"

// window is how many of a producer's last sequences are remembered (DESIGN:
// 4,096). A client keeps fewer Sends unanswered than that.
const window = 4096

// producer remembers which of its sequences were sent, to tell a retry from a
// new Send.
type producer struct {
	name  string
	high  uint64   // highest sequence seen
	low   uint64   // lowest sequence in slots
	slots []uint64 // message sequence by sent sequence, modulo their number, a power of two; zero: not seen
	seen  Instant

	prev, next *producer // in State.quiet

	// What of it a store keeps.
	stored             bool
	dirty              bool   // it is in State.dirt
	dirtyLow, dirtyTop uint64 // sequences that changed since
}

func checkProducer(name string) error {
	if len(name) <= MaxProducerBytes {
		return nil
	}
	return errorf(ErrInvalid, "the producer id is %d bytes: at most %d", len(name), MaxProducerBytes)
}

// producer finds a producer; nil if it is not remembered. A Send asks twice.
func (s *State) producer(name string) *producer {
	if p := s.latest; p != nil && p.name == name {
		return p
	}
	p := s.producers[name]
	if p != nil {
		s.latest = p
	}
	return p
}

// repeated is the message that a producer's sequence first made; zero when the
// sequence is new.
func (s *State) repeated(name string, sequence uint64) (uint64, error) {
	p := s.producer(name)
	if p == nil || sequence > p.high {
		return 0, nil
	}
	if p.high-sequence >= window {
		return 0, errorf(ErrSequenceTooOld, "sequence %d is %d below the producer's highest: the last %d are remembered; it was sent or never will be",
			sequence, p.high-sequence, window)
	}
	if sequence < p.low {
		return 0, nil
	}
	return *p.slot(sequence), nil
}

// remember notes that a producer's new sequence made a message.
func (s *State) remember(name string, sequence, message uint64, durable bool) {
	p := s.rememberAt(name, sequence, message, s.now)
	if durable {
		s.rememberOnDisk(p, sequence)
	}
}

func (s *State) rememberAt(name string, sequence, message uint64, seen Instant) *producer {
	p := s.producer(name)
	if p == nil {
		if len(s.producers) >= s.limits.Producers {
			s.forgetProducer(s.quiet.head.name)
		}
		name = strings.Clone(name)
		p = &producer{name: name, high: sequence, low: sequence, slots: make([]uint64, 8)}
		s.producers[name] = p
		s.quiet.push(p)
	} else if p != s.quiet.tail {
		s.quiet.remove(p)
		s.quiet.push(p)
	}
	p.seen = seen
	for h := s.quiet.head; h != p && s.now.Sub(h.seen) > s.limits.ProducerSilence; h = s.quiet.head {
		s.forgetProducer(h.name)
	}
	p.note(sequence, message)
	return p
}

// slot is the place of a sequence.
func (p *producer) slot(sequence uint64) *uint64 {
	return &p.slots[sequence&uint64(len(p.slots)-1)]
}

func (p *producer) note(sequence, id uint64) {
	high, low := p.high, p.low
	p.high, p.low = max(p.high, sequence), min(p.low, sequence)
	if p.high-p.low >= window {
		p.low = p.high - window + 1
	}
	if need := p.high - p.low + 1; need > uint64(len(p.slots)) {
		old := *p
		n := uint64(len(p.slots))
		for n < need {
			n *= 2
		}
		p.slots = make([]uint64, n)
		// By differences, because the highest number of all has no next.
		for q := max(low, p.low); q-low <= high-low; q++ {
			*p.slot(q) = *old.slot(q)
		}
	} else if sequence > high {
		// Sequences that were jumped over are unseen.
		for q := max(high+1, p.low); q < sequence; q++ {
			*p.slot(q) = 0
		}
	} else {
		// So are those between a new lowest and the old one.
		for q := p.low; q < low; q++ {
			*p.slot(q) = 0
		}
	}
	*p.slot(sequence) = id
}

func (s *State) forgetProducer(name string) {
	if p := s.producers[name]; p != nil {
		s.quiet.remove(p)
		delete(s.producers, name)
		if s.latest == p {
			s.latest = nil
		}
		if p.stored {
			s.dirt.producersGone = append(s.dirt.producersGone, name)
		}
	}
}

// producerList is producers by silence, longest first.
type producerList struct{ head, tail *producer }

func (l *producerList) push(p *producer) {
	p.prev = l.tail
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.next = p
	}
	l.tail = p
}

func (l *producerList) remove(p *producer) {
	if p.prev == nil {
		l.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
}
