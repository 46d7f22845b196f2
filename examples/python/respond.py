"""Serves a queue by shouting back: respond.py QUEUE [SECONDS that each request takes]."""
import signal, sys, threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from failure import Failed, exit_on_failure, from_handler
from messageswitch.v1 import data_pb2 as pb, queue_pb2
from session import session
from shout import shout

WORKERS = 8
LEASE_MS = 600_000  # the longest that a handler may take; if we die our session ends after 30 s, and its leases with it


def answer(switch, token, d, seconds, cancelled):
    """Handles one request. A handler that raises fails its own request only."""
    reply = pb.ReplyRequest(session=token, lease=d.lease)
    try:
        if cancelled.wait(seconds):  # looked at while we work: from then on nobody waits for the reply
            print("cancelled", flush=True)
        reply.body = shout(d.body)
    except Exception as e:
        reply.failure.CopyFrom(from_handler(e))
    wanted = d.reply_to and not cancelled.is_set()
    try:
        switch.Reply(reply) if wanted else switch.Ack(pb.AckRequest(session=token, leases=[d.lease]))
    except grpc.RpcError as e:  # LEASE_GONE: it took too long, and another server has the request now
        print(f"respond.py: {Failed.from_call(e)}", file=sys.stderr)


def main(queue, seconds="0"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with exit_on_failure("respond.py"), session("respond.py") as (switch, token), ThreadPoolExecutor(WORKERS) as pool:
        consumer = switch.Subscribe(pb.SubscribeRequest(
            session=token, queue=queue, credit=WORKERS, lease_ms=LEASE_MS, create=queue_pb2.QueueOptions())).consumer
        poll = pb.TransferRequest(session=token, consumers=[consumer], max_messages=WORKERS, wait_ms=10_000)
        running = {}  # by lease: the Event that tells of a cancel
        print(f"serving {queue}", flush=True)
        try:
            while True:
                got = switch.Transfer(poll)
                for d in got.deliveries:
                    cancelled = running[d.lease] = threading.Event()
                    job = pool.submit(answer, switch, token, d, float(seconds), cancelled)
                    job.add_done_callback(lambda _, lease=d.lease: running.pop(lease))
                for cancelled in filter(None, map(running.get, got.cancelled)):
                    cancelled.set()
        except grpc.RpcError:  # the session is lost, and others will handle what we have begun
            for cancelled in list(running.values()):
                cancelled.set()
            raise
        finally:  # no further requests; what has begun is finished before the session ends
            switch.Unsubscribe(pb.UnsubscribeRequest(session=token, consumer=consumer))


if __name__ == "__main__":
    main(*sys.argv[1:])
