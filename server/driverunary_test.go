package server_test

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// unary is the driver that any generated client can be: calls, and a Transfer
// for each delivery.
type unary struct {
	conn  *grpc.ClientConn
	token string
	after uint64 // of the next Transfer
}

func loginUnary(ctx context.Context, conn *grpc.ClientConn, req *pb.LoginRequest) (driver, *pb.LoginResponse, error) {
	res, err := pb.NewDataServiceClient(conn).Login(ctx, req)
	if err != nil {
		return nil, nil, refusalOf(err)
	}
	return &unary{conn: conn, token: res.GetSession()}, res, nil
}

// do finds the method by the name of its request.
func (u *unary) do(ctx context.Context, verb proto.Message) (proto.Message, error) {
	name := verb.ProtoReflect().Descriptor().FullName()
	answer, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(strings.TrimSuffix(string(name), "Request") + "Response"))
	if err != nil {
		return nil, err
	}
	req := proto.Clone(verb).ProtoReflect()
	if field := req.Descriptor().Fields().ByName("session"); field != nil && !req.Has(field) {
		req.Set(field, protoreflect.ValueOfString(u.token))
	}
	res := answer.New().Interface()
	method := "/" + pb.DataService_ServiceDesc.ServiceName + "/" + strings.TrimSuffix(string(name.Name()), "Request")
	return res, refusalOf(u.conn.Invoke(ctx, method, req.Interface(), res))
}

func (u *unary) next(ctx context.Context, wait time.Duration) (*pb.Delivery, error) {
	res, err := u.do(ctx, &pb.TransferRequest{WaitMs: wait.Milliseconds(), AfterLease: u.after})
	u.after = 0
	if err != nil {
		return nil, err
	}
	for _, d := range res.(*pb.TransferResponse).GetDeliveries() {
		return d, nil // max_messages is one
	}
	return nil, nil
}

func (u *unary) orphan(ctx context.Context, wait time.Duration) (uint64, error) {
	res, err := u.do(ctx, &pb.TransferRequest{WaitMs: wait.Milliseconds(), AfterLease: u.after})
	u.after = 0
	if err != nil {
		return 0, err
	}
	for _, lease := range res.(*pb.TransferResponse).GetCancelled() {
		return lease, nil
	}
	return 0, nil
}

func (u *unary) rebind(_ context.Context, _, afterLease uint64) error {
	u.after = afterLease
	return nil
}

func (u *unary) close() { _ = u.conn.Close() }
