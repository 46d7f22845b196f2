"""Calls a queue and prints the reply: call.py QUEUE BODY [TIMEOUT_SECONDS]."""
import os, sys, time, uuid

import grpc
from messageswitch.v1 import data_pb2 as pb, data_pb2_grpc


def call(switch, session, queue, body, timeout):
    """Sends a request, and polls the session's own queue for the reply to it."""
    reply_to = switch.Create(pb.CreateRequest(session=session)).queue
    consumer = switch.Subscribe(pb.SubscribeRequest(session=session, queue=reply_to)).consumer
    correlation_id = uuid.uuid4().hex
    switch.Send(pb.SendRequest(session=session, queue=queue, body=body, reply_to=reply_to,
                               correlation_id=correlation_id, timeout_ms=int(timeout * 1000)))
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        got = switch.Transfer(pb.TransferRequest(session=session, consumers=[consumer], wait_ms=int(left * 1000)))
        for d in got.deliveries:
            switch.Ack(pb.AckRequest(session=session, leases=[d.lease]))
            if d.correlation_id == correlation_id:
                if d.HasField("failure"):
                    raise RuntimeError(d.failure.message)
                return d.body
    raise TimeoutError(f"no reply from queue {queue} within {timeout} s")


def main(queue, body, timeout="10"):
    with grpc.insecure_channel(os.environ.get("SWITCH_ADDR", "127.0.0.1:7411")) as channel:
        switch = data_pb2_grpc.DataServiceStub(channel)
        session = switch.Login(pb.LoginRequest(name="call.py")).session
        try:
            print(call(switch, session, queue, body.encode(), float(timeout)).decode())
        finally:
            switch.Logout(pb.LogoutRequest(session=session))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as e:
        sys.exit(f"call.py: {e.details()}")
    except (RuntimeError, TimeoutError) as e:
        sys.exit(f"call.py: {e}")
