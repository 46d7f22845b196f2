package otelrpc

import (
	"maps"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// Config says where spans go. The zero is right for programs that have set the
// global TracerProvider.
type Config struct {
	// TracerProvider makes the spans. Nil: the global one.
	TracerProvider trace.TracerProvider
	// Propagator puts the caller's span into headers and takes it out. Nil: W3C
	// Trace Context, traceparent and tracestate.
	Propagator propagation.TextMapPropagator
}

// scope names this package to the TracerProvider.
const scope = "github.com/d3b0a776/switch/rpc/otelrpc"

func (c Config) tracer() trace.Tracer {
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	return c.TracerProvider.Tracer(scope)
}

func (c Config) propagator() propagation.TextMapPropagator {
	if c.Propagator == nil {
		return propagation.TraceContext{}
	}
	return c.Propagator
}

const system = "messageswitch"

// The keys of the attributes, from the semantic conventions 1.43 and our own.
const (
	keySystem        = attribute.Key("messaging.system")
	keyRPCSystem     = attribute.Key("rpc.system.name")
	keyOperation     = attribute.Key("messaging.operation.name")
	keyOperationType = attribute.Key("messaging.operation.type")
	keyDestination   = attribute.Key("messaging.destination.name")
	keyMessageID     = attribute.Key("messaging.message.id")
	keyBodySize      = attribute.Key("messaging.message.body.size")
	keyStatusCode    = attribute.Key("rpc.response.status_code")
	keyErrorType     = attribute.Key("error.type")
	keyAttempt       = attribute.Key("messageswitch.attempt")
	keyOrigin        = attribute.Key("messageswitch.error.origin")
)

// maxHeaders leaves room for traceparent and tracestate among the protocol's 64.
const maxHeaders = 62

// withSpan is headers with what inject adds; the map itself is not changed.
func withSpan(headers map[string]string, inject func(propagation.TextMapCarrier)) map[string]string {
	if len(headers) > maxHeaders {
		return headers
	}
	all := make(map[string]string, len(headers)+2)
	maps.Copy(all, headers)
	inject(propagation.MapCarrier(all))
	return all
}

// codeName is a code as the conventions write it: NOT_FOUND.
func codeName(c codes.Code) string {
	switch c {
	case codes.OK:
		return "OK"
	case codes.Canceled:
		return "CANCELLED" // Go spells it with one l
	}
	var b strings.Builder
	for i, r := range c.String() { // NotFound
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
