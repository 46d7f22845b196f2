package queue

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// Service is what a consumer said of the service that it is an instance of, and
// what has become of its deliveries since. It belongs to the session half: a
// client says it again when it comes back after a restart.
type Service struct {
	Name  string
	Info  []byte  // its whole description; opaque to the core
	Since Instant // when the consumer first said what it is
	Stats ServiceStats
}

// ServiceStats count since Service.Since. What was delivered is held, or counted
// in one of Replied, Acked, Returned and Ended.
type ServiceStats struct {
	Delivered uint64        // redeliveries among them
	Replied   uint64        // failures among them
	Failed    uint64        // replies that said that the handler failed
	Acked     uint64        // without a reply
	Returned  uint64        // given back or rejected, or their leases ended
	Ended     uint64        // while they were held: expired, purged, cancelled
	Busy      time.Duration // from the delivery to the end of its lease, of all together

	LastFailure   string // what the last failure or return said; empty: there was none, or it said nothing
	LastFailureAt Instant
}

const (
	// MaxServiceBytes bounds one description: a few hundred methods with a line each.
	MaxServiceBytes = 16 << 10
	// MaxServicesBytes bounds all descriptions together: they are not worth more
	// memory than that.
	MaxServicesBytes = 64 << 20
	// maxFailureText is how much of a failure's text is kept.
	maxFailureText = MaxCauseBytes
)

// Service is what c says that it is; nil if it says nothing.
func (c *Consumer) Service() *Service { return c.service }

// checkService says what is wrong with the description of op, for a consumer that
// has the description old. There may be none of either.
func (op *Subscribe) checkService(s *State, old *Service) error {
	switch {
	case op.Service == "" && len(op.ServiceInfo) > 0:
		return errorf(ErrInvalid, "the service has no name; name it, or leave its description out")
	case len(op.ServiceInfo) > MaxServiceBytes:
		return errorf(ErrInvalid, "the description of service %s takes %d bytes: at most %d", quote(op.Service), len(op.ServiceInfo), MaxServiceBytes)
	case op.Service == "":
		return nil
	}
	if err := checkName("service name", op.Service); err != nil {
		return err
	}
	if n := s.servicesBytes - old.size() + op.service().size(); n > MaxServicesBytes {
		return errorf(ErrLimitReached, "the descriptions of all services would take %d bytes: at most %d; describe fewer consumers", n, MaxServicesBytes).with("limit", "services")
	}
	return nil
}

func (op *Subscribe) service() *Service { return &Service{Name: op.Service, Info: op.ServiceInfo} }

// size is what sv takes in memory: its texts, and room for that of a failure.
func (sv *Service) size() int {
	if sv == nil {
		return 0
	}
	return len(sv.Name) + len(sv.Info) + maxFailureText
}

// describe sets what c says of itself, if op says something. What was counted
// stays.
func (s *State) describe(c *Consumer, op *Subscribe) {
	if op.Service == "" {
		return
	}
	sv := op.service()
	s.servicesBytes += sv.size() - c.service.size()
	if c.service != nil {
		c.service.Name, c.service.Info = sv.Name, sv.Info
		return
	}
	sv.Since, sv.Stats.Delivered = s.now, uint64(c.holding)
	c.service = sv
}

// count counts what became of a delivery.
func (sv *Service) count(kind EventKind, took time.Duration, why error, now Instant) {
	st := &sv.Stats
	st.Busy += took
	switch kind {
	case MessageDelivered:
		st.Delivered++
	case MessageReplied:
		st.Replied++
	case MessageAcked:
		st.Acked++
	case MessageReturned, MessageDead:
		st.Returned++
		var e *Error
		if errors.As(why, &e) { // a release has no why
			sv.fails(e.Text, now)
		}
	default:
		st.Ended++
	}
}

// fails notes the text of a failure.
func (sv *Service) fails(text string, now Instant) {
	if len(text) > maxFailureText {
		text = strings.ToValidUTF8(text[:maxFailureText], "") // a letter that was cut in two
	}
	sv.Stats.LastFailure, sv.Stats.LastFailureAt = text, now
}

// ServiceKey is the place of a consumer among those that are services.
type ServiceKey struct {
	Name     string
	Session  SessionID
	Consumer ConsumerID
}

// ServiceKey is the place of c, which has a Service.
func (c *Consumer) ServiceKey() ServiceKey {
	return ServiceKey{c.service.Name, c.Session.ID, c.ID}
}

func (k ServiceKey) compare(o ServiceKey) int {
	return cmp.Or(strings.Compare(k.Name, o.Name), cmp.Compare(k.Session, o.Session), cmp.Compare(k.Consumer, o.Consumer))
}

// Services are the consumers that are services whose names begin with prefix, by
// name and then by age, from behind a place on (the zero: from the start), at
// most limit; and whether there are more. It looks at every consumer of the
// switch, but puts few more than limit in order. They may be read until the next
// Apply.
func (s *State) Services(prefix string, after ServiceKey, limit int) (cs []*Consumer, more bool) {
	var last *Consumer // nothing behind it is wanted
	for _, sess := range s.sessions {
		for _, c := range sess.consumers {
			if c.service == nil || !strings.HasPrefix(c.service.Name, prefix) || c.ServiceKey().compare(after) <= 0 ||
				last != nil && compareServices(c, last) > 0 {
				continue
			}
			if cs = append(cs, c); len(cs) == 2*(limit+1) {
				slices.SortFunc(cs, compareServices)
				cs = cs[:limit+1]
				last = cs[limit]
			}
		}
	}
	slices.SortFunc(cs, compareServices)
	if len(cs) > limit {
		return cs[:limit], true
	}
	return cs, false
}

func compareServices(a, b *Consumer) int { return a.ServiceKey().compare(b.ServiceKey()) }

// CheckName says what is wrong with a name in a description: as with other names,
// and it must not be empty.
func CheckName(what, name string) error {
	if name == "" {
		return errorf(ErrInvalid, "%s is empty; name one of 1 to %d bytes", what, MaxNameBytes)
	}
	return checkName(what, name)
}
