package grpcqueue

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// callInfo is what the call options of gRPC say about one call. Those that are about
// connections (peer, authority, compression, retry buffers) mean nothing here.
type callInfo struct {
	codec      encoding.CodecV2
	headers    []*metadata.MD // to be filled in
	trailers   []*metadata.MD
	onFinish   []func(error)
	creds      []credentials.PerRPCCredentials
	failFast   bool // WaitForReady(false) was said
	maxSend    int  // bytes; -1: the switch's limit alone
	maxReceive int
}

func newCallInfo(opts []grpc.CallOption) *callInfo {
	info := &callInfo{codec: protoCodec(), maxSend: -1, maxReceive: -1}
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			info.headers = append(info.headers, o.HeaderAddr)
		case grpc.TrailerCallOption:
			info.trailers = append(info.trailers, o.TrailerAddr)
		case grpc.OnFinishCallOption:
			info.onFinish = append(info.onFinish, o.OnFinish)
		case grpc.PerRPCCredsCallOption:
			info.creds = append(info.creds, o.Creds)
		case grpc.FailFastCallOption:
			info.failFast = o.FailFast
		case grpc.MaxSendMsgSizeCallOption:
			info.maxSend = o.MaxSendMsgSize
		case grpc.MaxRecvMsgSizeCallOption:
			info.maxReceive = o.MaxRecvMsgSize
		case grpc.ForceCodecCallOption:
			info.codec = codecV1{o.Codec}
		case grpc.ForceCodecV2CallOption:
			info.codec = o.CodecV2
		}
	}
	return info
}

// request is the request of a call to a method, without its body.
func (i *callInfo) request(ctx context.Context, queue, method string) (rpc.Request, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	for _, c := range i.creds {
		if c.RequireTransportSecurity() {
			return rpc.Request{}, status.Errorf(codes.Unauthenticated,
				"the credentials of this call ask for a connection that is known to be encrypted, and a queue is none")
		}
		more, err := c.GetRequestMetadata(ctx, "queue:"+queue)
		if err != nil {
			return rpc.Request{}, status.Errorf(codes.Unauthenticated, "the credentials of this call: %v", err)
		}
		md = metadata.Join(metadata.New(more), md) // in this order, as gRPC sends them
	}
	if err := checkMetadata(md); err != nil {
		return rpc.Request{}, err
	}
	headers := make(map[string]string, len(md)+2)
	putMetadata(headers, "", md)
	headers[headerMethod] = method
	return rpc.Request{Queue: queue, Headers: headers}, nil
}

// encode gives the bytes of a message to send.
func (i *callInfo) encode(m any) ([]byte, error) {
	body, err := encode(i.codec, m)
	if err == nil && i.maxSend >= 0 && len(body) > i.maxSend {
		return nil, status.Errorf(codes.ResourceExhausted, "a message of %d bytes is larger than the %d of MaxCallSendMsgSize", len(body), i.maxSend)
	}
	return body, err
}

// decode reads a message that was received.
func (i *callInfo) decode(body []byte, m any) error {
	if i.maxReceive >= 0 && len(body) > i.maxReceive {
		return status.Errorf(codes.ResourceExhausted, "a message of %d bytes is larger than the %d of MaxCallRecvMsgSize", len(body), i.maxReceive)
	}
	return decode(i.codec, body, m, codes.Internal, "reply")
}

// finish tells what is to be told when a call is over.
func (i *callInfo) finish(header, trailer metadata.MD, err error) {
	for _, md := range i.headers {
		*md = header
	}
	for _, md := range i.trailers {
		*md = trailer
	}
	for _, f := range i.onFinish {
		f(err)
	}
}
