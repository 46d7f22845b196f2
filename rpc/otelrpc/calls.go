package otelrpc

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/d3b0a776/switch/rpc"
)

// Calls makes a span of every call, and hands it on in the request's headers. A
// call from a handler belongs to the handler's span; without one, to what its
// request says.
func Calls(config Config) rpc.CallInterceptor {
	tracer, propagator := config.tracer(), config.propagator()
	return func(next rpc.CallFunc) rpc.CallFunc {
		return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Response, error) {
			ctx, span := begin(ctx, tracer, propagator, &req, "call")
			defer span.End()
			res, err := next(ctx, req, opts...)
			ended(span, err, true)
			return res, err
		}
	}
}

// Streams makes a span of every stream, from its beginning to its end, in the way of
// Calls.
func Streams(config Config) rpc.StreamInterceptor {
	tracer, propagator := config.tracer(), config.propagator()
	return func(next rpc.StreamFunc) rpc.StreamFunc {
		return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Stream, error) {
			ctx, span := begin(ctx, tracer, propagator, &req, "stream")
			s, err := next(ctx, req, opts...)
			if err != nil {
				ended(span, err, true)
				span.End()
				return nil, err
			}
			context.AfterFunc(s.Context(), func() { // when the call is over
				ended(span, s.Err(), true)
				span.End()
			})
			return s, nil
		}
	}
}

// begin begins the span of a caller, and puts it into the headers of req.
func begin(ctx context.Context, tracer trace.Tracer, propagator propagation.TextMapPropagator, req *rpc.Request, operation string) (context.Context, trace.Span) {
	parent := ctx
	if in, serves := rpc.FromContext(ctx); serves && !trace.SpanContextFromContext(ctx).IsValid() {
		parent = propagator.Extract(ctx, propagation.MapCarrier(in.Headers))
	}
	ctx, span := tracer.Start(parent, operation+" "+req.Queue, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		keySystem.String(system), keyRPCSystem.String(system), keyOperation.String(operation), keyOperationType.String("send"),
		keyDestination.String(req.Queue), keyBodySize.Int(len(req.Body))))
	req.Headers = withSpan(req.Headers, func(to propagation.TextMapCarrier) { propagator.Inject(ctx, to) })
	return ctx, span
}

// ended tells a span how what it stands for has ended. An error is its status too,
// if it is at fault.
func ended(span trace.Span, err error, fault bool) {
	if !span.IsRecording() {
		return
	}
	code := codeName(code(err))
	span.SetAttributes(keyStatusCode.String(code))
	if err == nil {
		return
	}
	attributes := []attribute.KeyValue{keyErrorType.String(code)}
	if e := (*rpc.Error)(nil); errors.As(err, &e) {
		attributes = append(attributes, keyOrigin.String(e.Origin.String()))
	}
	span.SetAttributes(attributes...)
	span.RecordError(err)
	if fault {
		span.SetStatus(otelcodes.Error, err.Error())
	}
}
