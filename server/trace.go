package server

import (
	"strings"
	"time"

	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// traceBatch is how many events one TraceResponse has at most.
const traceBatch = 256

// Trace reads the flight recorder. A reader that is too slow is told how many
// events it missed; it never slows the switch down.
func (a *adminService) Trace(req *pb.TraceRequest, ss grpc.ServerStreamingServer[pb.TraceResponse]) error {
	if _, err := a.s.principal(ss.Context()); err != nil {
		return a.s.status(err)
	}
	want, err := newTraceFilter(req)
	if err != nil {
		return a.s.status(err)
	}
	w := a.s.engine.Watch()
	defer w.Close()
	buf := make([]queue.Event, traceBatch)
	for after := req.GetAfter(); ; {
		n, missed := w.After(after, buf)
		if n > 0 {
			after = buf[n-1].Number
			if err := sendTrace(ss, buf[:n], missed, want); err != nil {
				return err
			}
			continue
		}
		if !req.GetFollow() {
			return nil
		}
		select {
		case <-w.C:
		case <-ss.Context().Done():
			return ss.Context().Err()
		case <-a.s.stopping:
			return a.s.status(&queue.Error{Kind: queue.ErrShuttingDown, Text: "the switch is shutting down"})
		}
	}
}

func sendTrace(ss grpc.ServerStreamingServer[pb.TraceResponse], events []queue.Event, missed uint64, want traceFilter) error {
	res := &pb.TraceResponse{Missed: missed}
	for i := range events {
		if want.has(&events[i]) {
			res.Events = append(res.Events, traceEvent(&events[i]))
		}
	}
	if len(res.Events) == 0 && missed == 0 {
		return nil
	}
	return ss.Send(res)
}

// traceFilter is which events a reader wants.
type traceFilter struct {
	queue   string   // empty: those of all
	message queue.ID // zero: those of all
}

func newTraceFilter(req *pb.TraceRequest) (f traceFilter, err error) {
	f.queue = req.GetQueue()
	if req.GetMessageId() != "" {
		f.message, err = queue.ParseID(req.GetMessageId())
	}
	return f, err
}

func (f traceFilter) has(e *queue.Event) bool {
	return (f.queue == "" || e.Queue == f.queue) && (f.message.IsZero() || e.Message == f.message)
}

// maxTraceCause is how much of an error's text an event tells, in bytes.
const maxTraceCause = 256

func traceEvent(e *queue.Event) *pb.TraceEvent {
	out := &pb.TraceEvent{
		Number:        e.Number,
		UnixUs:        time.Duration(e.At).Microseconds(),
		Kind:          pb.TraceKind(e.Kind), // the two lists are the same, and a test says so
		Sender:        e.Sender,
		Queue:         e.Queue,
		Receiver:      e.Receiver,
		MessageId:     e.Message.String(),
		CorrelationId: e.CorrelationID,
		ReplyTo:       e.ReplyTo,
		Attempt:       uint32(e.Attempt),
		BodyBytes:     uint64(e.Bytes),
		BodyPrefix:    e.Prefix(),
		TookUs:        e.Took.Microseconds(),
		Ahead:         uint64(e.Ahead),
	}
	if e.Err != nil {
		out.Reason = reason(e.Err)
		text := e.Err.Error()
		out.Cause = strings.ToValidUTF8(text[:min(len(text), maxTraceCause)], "")
	}
	return out
}
