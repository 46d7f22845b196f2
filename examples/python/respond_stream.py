"""Answers word by word, as a language model does: respond_stream.py QUEUE [SECONDS that each word takes]."""
import re, signal, sys, time

import grpc
from failure import Failed, exit_on_failure, from_handler
from messageswitch.v1 import data_pb2 as pb, queue_pb2
from session import session
from shout import shout

LEASE_MS = 600_000  # the longest that an answer may take; if we die our session ends after 30 s, and its leases with it


def send(switch, part):
    """Sends one part. The switch refuses it while too much waits for the caller: who reads slowly slows us down."""
    while True:
        try:
            return switch.Part(part)
        except grpc.RpcError as e:
            if Failed.from_call(e).reason != "QUEUE_FULL":
                raise
            time.sleep(0.1)


def answer(switch, token, d, seconds):
    """Handles one request: parts, and a reply that ends them. A caller that wants no parts gets all in the reply."""
    reply = pb.ReplyRequest(session=token, lease=d.lease)
    try:
        words = re.split(rb"(?<=\s)", shout(d.body)) if d.stream else []
        reply.body = b"" if d.stream else shout(d.body)
        for word in words:
            time.sleep(seconds)
            send(switch, pb.PartRequest(session=token, lease=d.lease, body=word))
        switch.Reply(reply)
    except ValueError as e:
        reply.failure.CopyFrom(from_handler(e))
        switch.Reply(reply)
    except grpc.RpcError as e:
        if Failed.from_call(e).reason not in ("NO_STREAM", "REPLY_QUEUE_GONE"):
            raise
        print("cancelled", flush=True)  # nobody waits any more
        switch.Ack(pb.AckRequest(session=token, leases=[d.lease]))


def main(queue, seconds="0"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a request that runs is given back
    with exit_on_failure("respond_stream.py"), session("respond_stream.py") as (switch, token):
        consumer = switch.Subscribe(pb.SubscribeRequest(
            session=token, queue=queue, lease_ms=LEASE_MS, create=queue_pb2.QueueOptions())).consumer
        print(f"serving {queue}", flush=True)
        while True:
            for d in switch.Transfer(pb.TransferRequest(session=token, consumers=[consumer], wait_ms=10_000)).deliveries:
                answer(switch, token, d, float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
