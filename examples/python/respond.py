"""Serves a queue by shouting back: respond.py QUEUE."""
import os, sys

import grpc
from messageswitch.v1 import data_pb2 as pb, data_pb2_grpc, queue_pb2


def serve(switch, session, queue, handler):
    """Answers requests until it is stopped. A handler that raises fails its own request only."""
    consumer = switch.Subscribe(pb.SubscribeRequest(
        session=session, queue=queue, credit=8, create=queue_pb2.QueueOptions())).consumer
    print(f"serving {queue}", flush=True)
    while True:
        got = switch.Transfer(pb.TransferRequest(session=session, consumers=[consumer], max_messages=8, wait_ms=10_000))
        for d in got.deliveries:
            reply = pb.ReplyRequest(session=session, lease=d.lease)
            try:
                reply.body = handler(d.body)
            except Exception as e:
                reply.failure.code, reply.failure.message = grpc.StatusCode.UNKNOWN.value[0], str(e)
            switch.Reply(reply)


def main(queue):
    with grpc.insecure_channel(os.environ.get("SWITCH_ADDR", "127.0.0.1:7411")) as channel:
        switch = data_pb2_grpc.DataServiceStub(channel)
        session = switch.Login(pb.LoginRequest(name="respond.py")).session
        try:
            serve(switch, session, queue, lambda body: body.decode().upper().encode())
        except KeyboardInterrupt:
            switch.Logout(pb.LogoutRequest(session=session))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as e:
        sys.exit(f"respond.py: {e.details()}")
