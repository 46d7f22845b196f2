package store

import "time"

// Least sizes of a session's lists' elements, in bytes: they bound how many
// there can be.
const (
	leastName     = 1
	leastConsumer = 5
)

func appendSession(b []byte, s *Session) []byte {
	b = append(b, valueFormat)
	b = appendBytes(b, s.Name)
	b = appendBytes(b, s.Principal)
	b = appendBytes(b, s.Producer)
	b = appendInt(b, int64(s.TTL))
	b = appendInt(b, int64(s.Grace))
	b = appendInt(b, s.Began)
	b = appendUint(b, s.LastConsumer)
	b = appendUint(b, uint64(len(s.Temporary)))
	for _, name := range s.Temporary {
		b = appendBytes(b, name)
	}
	b = appendUint(b, uint64(len(s.Consumers)))
	for i := range s.Consumers {
		c := &s.Consumers[i]
		b = appendUint(b, c.ID)
		b = appendBytes(b, c.Queue)
		b = appendInt(b, int64(c.Credit))
		b = appendInt(b, int64(c.CreditBytes))
		b = appendInt(b, int64(c.Lease))
	}
	return b
}

func decodeSession(key, value []byte) (s Session, err error) {
	if s.ID, err = splitID(key); err != nil {
		return s, err
	}
	d := decode(value)
	s.Name = d.string()
	s.Principal = d.string()
	s.Producer = d.string()
	s.TTL = time.Duration(d.int64())
	s.Grace = time.Duration(d.int64())
	s.Began = d.int64()
	s.LastConsumer = d.uint64()
	if n := d.count(leastName); n > 0 {
		s.Temporary = make([]string, n)
		for i := range s.Temporary {
			s.Temporary[i] = d.string()
		}
	}
	if n := d.count(leastConsumer); n > 0 {
		s.Consumers = make([]Consumer, n)
		for i := range s.Consumers {
			s.Consumers[i] = Consumer{
				ID: d.uint64(), Queue: d.string(), Credit: d.int(), CreditBytes: d.int(),
				Lease: time.Duration(d.int64()),
			}
		}
	}
	return s, d.end(key)
}
