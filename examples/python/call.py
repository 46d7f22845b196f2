"""Calls a queue and prints the reply: call.py QUEUE BODY [TIMEOUT_SECONDS]."""
import os, sys, time, uuid

import grpc
from failure import Failed, exit_on_failure
from messageswitch.v1 import data_pb2 as pb
from session import session


def call(switch, token, queue, body, timeout):
    """Sends a request, and polls the session's own queue for the reply to it, or the switch's word why there is none."""
    end = time.monotonic() + timeout
    reply_to = switch.Create(pb.CreateRequest(session=token)).queue
    consumer = switch.Subscribe(pb.SubscribeRequest(session=token, queue=reply_to)).consumer
    request = pb.SendRequest(session=token, queue=queue, body=body, reply_to=reply_to,
                             correlation_id=uuid.uuid4().hex, timeout_ms=int(timeout * 1000))
    cancel = pb.CancelRequest(session=token, reply_to=reply_to, correlation_id=request.correlation_id)
    try:
        switch.Send(request)
        while (left := end - time.monotonic()) > 0:
            poll = pb.TransferRequest(session=token, consumers=[consumer], wait_ms=int(min(left, 10) * 1000) + 1)
            for d in switch.Transfer(poll).deliveries:
                switch.Ack(pb.AckRequest(session=token, leases=[d.lease]))
                if d.HasField("failure"):
                    raise Failed.from_reply(d.failure)
                return d.body
        switch.Cancel(cancel)  # who runs the request is told
        raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "", f"no reply from queue {queue} within {timeout} s")
    except KeyboardInterrupt:  # a queued request is withdrawn, and who runs one is told
        print("call.py:", pb.CancelState.Name(switch.Cancel(cancel).state), file=sys.stderr)
        sys.exit(130)


def main(queue, body, timeout="10"):
    with exit_on_failure("call.py"), session("call.py") as (switch, token):
        sys.stdout.buffer.write(call(switch, token, queue, os.fsencode(body), float(timeout)))


if __name__ == "__main__":
    main(*sys.argv[1:])
