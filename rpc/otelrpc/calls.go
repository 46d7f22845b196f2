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
			parent := ctx
			if in, serves := rpc.FromContext(ctx); serves && !trace.SpanContextFromContext(ctx).IsValid() {
				parent = propagator.Extract(ctx, propagation.MapCarrier(in.Headers))
			}
			ctx, span := tracer.Start(parent, "call "+req.Queue, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
				keySystem.String(system), keyRPCSystem.String(system), keyOperation.String("call"), keyOperationType.String("send"),
				keyDestination.String(req.Queue), keyBodySize.Int(len(req.Body))))
			defer span.End()
			req.Headers = withSpan(req.Headers, func(to propagation.TextMapCarrier) { propagator.Inject(ctx, to) })
			res, err := next(ctx, req, opts...)
			ended(span, err, true)
			return res, err
		}
	}
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
