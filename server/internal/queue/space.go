package queue

// Space says whether the store has room for more. While it has none, nothing new
// comes into durable queues: Sends, replies and new queues are refused. What
// makes room goes on, and what is promised already: acks, deliveries, dead
// letters, replies to callers.
type Space struct {
	// Full is why there is no room, for people: it names the place, what is left
	// and the way out. Empty: there is room. Kept.
	Full string
}

func (op *Space) apply(s *State, _ *Effects) error {
	s.full = op.Full
	return nil
}

// roomOnDisk says why a queue with these options takes nothing new now. The
// options have their defaults.
func (s *State) roomOnDisk(d Durability) error {
	if s.full == "" || d != Durable {
		return nil
	}
	return errorf(ErrLimitReached, "%s", s.full).with("limit", "disk")
}

// roomForNew says why a queue of these options can't be made now.
func (s *State) roomForNew(o Options) error {
	return s.roomOnDisk(o.withDefaults("", &s.limits).Durability)
}
