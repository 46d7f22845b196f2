"""Calls a queue and prints the parts of the reply as they come: call_stream.py QUEUE BODY [TIMEOUT_SECONDS]."""
import os, sys, time, uuid

import grpc
from failure import Failed, exit_on_failure
from messageswitch.v1 import data_pb2 as pb, queue_pb2
from session import session

WINDOW = queue_pb2.QueueOptions(max_bytes=16 << 10)  # so much may wait for us; then the other side waits


def parts(switch, token, queue, body, timeout):
    """Sends a request, and gives the parts of the reply, and what the reply itself has. Each is acked when it is used."""
    end = time.monotonic() + timeout
    reply_to = switch.Create(pb.CreateRequest(session=token, options=WINDOW)).queue
    consumer = switch.Subscribe(pb.SubscribeRequest(session=token, queue=reply_to, credit=64)).consumer
    request = pb.SendRequest(session=token, queue=queue, body=body, reply_to=reply_to, stream=True,
                             correlation_id=uuid.uuid4().hex, timeout_ms=int(timeout * 1000))
    names = dict(session=token, reply_to=reply_to, correlation_id=request.correlation_id)
    try:
        switch.Send(request)
        while (left := end - time.monotonic()) > 0:
            poll = pb.TransferRequest(session=token, consumers=[consumer], max_messages=64, wait_ms=int(min(left, 10) * 1000) + 1)
            for d in switch.Transfer(poll).deliveries:
                if d.HasField("failure"):
                    raise Failed.from_reply(d.failure)
                if d.reply_to:  # the server takes parts; we have none
                    switch.Part(pb.PartRequest(end=True, **names))
                yield d.body
                switch.Ack(pb.AckRequest(session=token, leases=[d.lease]))  # which makes room for more
                if not d.part:
                    return
        switch.Cancel(pb.CancelRequest(**names))  # who runs the request is told
        raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "", f"queue {queue} was not done within {timeout} s")
    except KeyboardInterrupt:  # a queued request is withdrawn, and who runs one is told
        print("call_stream.py:", pb.CancelState.Name(switch.Cancel(pb.CancelRequest(**names)).state), file=sys.stderr)
        sys.exit(130)


def main(queue, body, timeout="60"):
    with exit_on_failure("call_stream.py"), session("call_stream.py") as (switch, token):
        for part in parts(switch, token, queue, os.fsencode(body), float(timeout)):
            sys.stdout.buffer.write(part)
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
