package queue

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The core's errors. Every error of Apply wraps one of them; so does the error
// of a Failure that the switch itself puts into a reply. The set only grows.
var (
	ErrInvalid           = errors.New("invalid argument")
	ErrQueueNotFound     = errors.New("queue not found")
	ErrQueueExists       = errors.New("queue exists with other options")
	ErrQueueFull         = errors.New("queue full")
	ErrQueueNotYours     = errors.New("queue is another session's")
	ErrLeaseGone         = errors.New("lease gone")
	ErrLeaseNotYours     = errors.New("lease is another session's")
	ErrSessionEnded      = errors.New("session ended")
	ErrSessionNotYours   = errors.New("session is another principal's")
	ErrNoConsumer        = errors.New("nobody serves the queue")
	ErrReplyQueueGone    = errors.New("reply queue gone")
	ErrSequenceTooOld    = errors.New("sequence below the producer's window")
	ErrConsumerNotFound  = errors.New("consumer not found")
	ErrMessageNotFound   = errors.New("message not found")
	ErrPayloadTooLarge   = errors.New("payload too large")
	ErrLimitReached      = errors.New("limit reached")
	ErrShuttingDown      = errors.New("shutting down")
	ErrNotDurable        = errors.New("no durability without a data directory")
	ErrCorrelationInUse  = errors.New("correlation id in use")
	ErrNoReplyTo         = errors.New("no reply wanted")
	ErrExpired           = errors.New("expired")
	ErrAttemptsExhausted = errors.New("attempts exhausted")
	ErrRejected          = errors.New("rejected")
	ErrServerGone        = errors.New("server gone")
	ErrPurged            = errors.New("purged")
	ErrQueueDestroyed    = errors.New("queue destroyed")
	ErrDropped           = errors.New("dropped")
	ErrSuperseded        = errors.New("superseded by another stream")
	ErrStreamBroken      = errors.New("stream broken")
	ErrNoStream          = errors.New("no stream under way")
	ErrNotAccepted       = errors.New("stream not accepted")
	ErrPartGap           = errors.New("part out of order")
	ErrCallNotFound      = errors.New("call not found")
	ErrCallNotYours      = errors.New("call is another principal's")
	ErrKeyReused         = errors.New("key reused with another body")
	ErrParentGone        = errors.New("the call that it was made for is over")
	ErrNotStarted        = errors.New("nobody began it in time")
	ErrCallCancelled     = errors.New("cancelled by an operator")
)

// Error is an error of the core: a sentinel, a text that names the thing, the
// limit and the way out, and details for programs.
type Error struct {
	Kind error    // one of the sentinels
	Text string   // for people
	Meta []string // key, value, key, value …
}

// Error is the text for people.
func (e *Error) Error() string { return e.Text }

// Unwrap is the sentinel.
func (e *Error) Unwrap() error { return e.Kind }

func errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// with adds a detail for programs.
func (e *Error) with(key, value string) *Error {
	e.Meta = append(e.Meta, key, clip(value))
	return e
}

// maxQuoted bounds what an error repeats of its input, so that a hostile name
// does not fill a log.
const maxQuoted = 64

func clip(s string) string {
	if len(s) > maxQuoted {
		return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
	}
	return s
}

func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "… (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return strconv.Quote(s)
}
