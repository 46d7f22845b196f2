package store

import "time"

func appendQueue(b []byte, q *Queue) []byte {
	b = append(b, valueFormat)
	b = appendBytes(b, q.Name)
	b = appendInt(b, q.Made)
	b = appendInt(b, int64(q.MaxMessages))
	b = appendInt(b, int64(q.MaxBytes))
	b = appendInt(b, int64(q.MaxAge))
	b = append(b, q.Overflow)
	b = appendInt(b, int64(q.MaxAttempts))
	b = appendBytes(b, q.DeadLetterQueue)
	b = appendBool(b, q.NoDeadLetter)
	return appendInt(b, int64(q.Lease))
}

func decodeQueue(key, value []byte) (q Queue, err error) {
	if q.ID, err = splitID(key); err != nil {
		return q, err
	}
	d := decode(value)
	q.Name = d.string()
	q.Made = d.int64()
	q.MaxMessages = d.int()
	q.MaxBytes = d.int()
	q.MaxAge = time.Duration(d.int64())
	q.Overflow = d.byte()
	q.MaxAttempts = d.int()
	q.DeadLetterQueue = d.string()
	q.NoDeadLetter = d.bool()
	q.Lease = time.Duration(d.int64())
	return q, d.end(key)
}

func appendStat(b []byte, s Stat) []byte {
	b = append(b, valueFormat)
	b = appendInt(b, int64(s.Messages))
	b = appendInt(b, int64(s.Bytes))
	return appendInt(b, s.Earliest)
}

func decodeStat(key, value []byte) (queue uint64, s Stat, err error) {
	if queue, err = splitID(key); err != nil {
		return 0, s, err
	}
	d := decode(value)
	s.Messages = d.int()
	s.Bytes = d.int()
	s.Earliest = d.int64()
	return queue, s, d.end(key)
}
