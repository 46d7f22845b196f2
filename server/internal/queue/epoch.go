package queue

import "slices"

// Epoch is one start of the switch. Sequences go on from start to start, so
// that a sequence alone tells the epoch in which it was given.
type Epoch struct {
	Epoch uint64
	First uint64 // the first sequence that was given in it
}

// idOf is the id of a message by its sequence; zero when it is older than every
// start that is known.
func (s *State) idOf(sequence uint64) ID {
	i, found := slices.BinarySearchFunc(s.epochs, sequence, func(e Epoch, at uint64) int {
		switch {
		case e.First < at:
			return -1
		case e.First > at:
			return 1
		default:
			return 0
		}
	})
	if !found {
		i--
	}
	// Of starts that gave no sequence, the last counts.
	for i+1 < len(s.epochs) && s.epochs[i+1].First <= sequence {
		i++
	}
	if i < 0 {
		return ID{}
	}
	return ID{Epoch: s.epochs[i].Epoch, Sequence: sequence}
}
