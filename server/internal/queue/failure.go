package queue

import (
	"encoding/binary"
	"slices"
)

// kinds are the sentinels by the numbers under which a store keeps them. The
// list only grows, at its end.
var kinds = []error{
	ErrInvalid, ErrQueueNotFound, ErrQueueExists, ErrQueueFull, ErrQueueNotYours, ErrLeaseGone, ErrLeaseNotYours,
	ErrSessionEnded, ErrSessionNotYours, ErrNoConsumer, ErrReplyQueueGone, ErrSequenceTooOld, ErrConsumerNotFound,
	ErrMessageNotFound, ErrPayloadTooLarge, ErrLimitReached, ErrShuttingDown, ErrNotDurable, ErrCorrelationInUse,
	ErrNoReplyTo, ErrExpired, ErrAttemptsExhausted, ErrRejected, ErrServerGone, ErrPurged, ErrQueueDestroyed,
	ErrDropped, ErrSuperseded, ErrStreamBroken, ErrNoStream, ErrNotAccepted, ErrPartGap,
	ErrParentGone, ErrNotStarted, ErrCallCancelled,
}

// Who speaks in a stored failure.
const (
	handlerSpeaks = 0
	switchSpeaks  = 1
)

// StoredFailure is f for a store; nil for none.
func StoredFailure(f *Failure) []byte {
	switch e, _ := errorOf(f); {
	case f == nil:
		return nil
	case e == nil:
		return append([]byte{handlerSpeaks}, f.Handler...)
	default:
		b := append([]byte{switchSpeaks}, byte(max(0, slices.Index(kinds, e.Kind))))
		for _, s := range append([]string{e.Text}, e.Meta...) {
			b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
		return b
	}
}

func errorOf(f *Failure) (*Error, bool) {
	if f == nil || f.Err == nil {
		return nil, false
	}
	e, ok := f.Err.(*Error) //nolint:errorlint // the core makes them, bare
	return e, ok
}

// failureOf reads what StoredFailure wrote. What is cut off is left out.
func failureOf(b []byte) *Failure {
	switch {
	case len(b) == 0:
		return nil
	case b[0] == handlerSpeaks || len(b) < 2:
		return &Failure{Handler: b[1:]}
	}
	e := &Error{Kind: ErrInvalid}
	if int(b[1]) < len(kinds) {
		e.Kind = kinds[b[1]]
	}
	var texts []string
	for b = b[2:]; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			break
		}
		texts = append(texts, string(b[size:size+int(n)]))
		b = b[size+int(n):]
	}
	if len(texts) > 0 {
		e.Text, e.Meta = texts[0], texts[1:1+(len(texts)-1)&^1] // in pairs
	}
	return &Failure{Err: e}
}
