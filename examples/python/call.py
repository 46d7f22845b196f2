"""Calls a queue and prints the reply: call.py QUEUE BODY [TIMEOUT_SECONDS]."""
import os, sys, uuid

from failure import Failed, exit_on_failure
from messageswitch.v1 import data_pb2 as pb
from session import session


def call(switch, token, queue, body, timeout):
    """Sends a request, and polls the session's own queue for the reply to it."""
    reply_to = switch.Create(pb.CreateRequest(session=token)).queue
    consumer = switch.Subscribe(pb.SubscribeRequest(session=token, queue=reply_to)).consumer
    request = pb.SendRequest(session=token, queue=queue, body=body, reply_to=reply_to,
                             correlation_id=uuid.uuid4().hex, timeout_ms=int(timeout * 1000))
    poll = pb.TransferRequest(session=token, consumers=[consumer], wait_ms=10_000)
    try:
        switch.Send(request)
        while True:  # until the reply, or the switch's word that there will be none
            for d in switch.Transfer(poll).deliveries:
                switch.Ack(pb.AckRequest(session=token, leases=[d.lease]))
                if d.HasField("failure"):
                    raise Failed.from_reply(d.failure)
                return d.body
    except KeyboardInterrupt:  # a queued request is withdrawn, and who runs one is told
        cancel = pb.CancelRequest(session=token, reply_to=reply_to, correlation_id=request.correlation_id)
        print("call.py:", pb.CancelState.Name(switch.Cancel(cancel).state), file=sys.stderr)
        sys.exit(130)


def main(queue, body, timeout="10"):
    with exit_on_failure("call.py"), session("call.py") as (switch, token):
        sys.stdout.buffer.write(call(switch, token, queue, os.fsencode(body), float(timeout)))


if __name__ == "__main__":
    main(*sys.argv[1:])
