package otelrpc

import (
	"context"
	"time"

	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// Serving makes two spans of every request: one for its wait in the queue, and one
// for its handler, whose context has it.
func Serving(config Config) rpc.ServeInterceptor {
	tracer, propagator := config.tracer(), config.propagator()
	return func(next rpc.Handler) rpc.Handler {
		return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			began := time.Now()
			ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{}) // what Serve was called in is no part of the request
			ctx = propagator.Extract(ctx, propagation.MapCarrier(req.Headers))
			waited(ctx, tracer, req, began)
			kind := trace.SpanKindServer
			if !req.ReplyWanted {
				kind = trace.SpanKindConsumer
			}
			ctx, span := tracer.Start(ctx, "serve "+req.Queue, trace.WithTimestamp(began), trace.WithSpanKind(kind), about(req, "serve"),
				trace.WithAttributes(keyRPCSystem.String(system), keyOperationType.String("process"), keyBodySize.Int(len(req.Body))))
			returned := false
			defer func() { // also when it panics: that goes on to the server
				if !returned {
					span.SetAttributes(keyErrorType.String("panic"))
					span.SetStatus(otelcodes.Error, "the handler panicked")
				}
				span.End()
			}()
			body, err := next(ctx, req)
			returned = true
			ended(span, err, isFault(code(err)))
			return body, err
		}
	}
}

// waited makes the span of the time before the handler began.
func waited(ctx context.Context, tracer trace.Tracer, req *rpc.Request, began time.Time) {
	sent := req.Sent()
	if sent.IsZero() || sent.After(began) {
		return
	}
	_, span := tracer.Start(ctx, "wait "+req.Queue, trace.WithTimestamp(sent), about(req, "wait"))
	span.End(trace.WithTimestamp(began))
}

// about is what is said of a request in each of its spans.
func about(req *rpc.Request, operation string) trace.SpanStartEventOption {
	return trace.WithAttributes(keySystem.String(system), keyOperation.String(operation), keyDestination.String(req.Queue),
		keyMessageID.String(req.MessageID), keyAttempt.Int(req.Attempt))
}

// code is what the caller is told of a handler's error.
func code(err error) codes.Code {
	if s, is := status.FromError(err); is {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}

// isFault says whether a code is the server's fault, by the conventions.
func isFault(c codes.Code) bool {
	switch c {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	default:
		return false
	}
}
