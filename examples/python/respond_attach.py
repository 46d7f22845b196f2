"""Serves a queue over one stream, with asyncio: respond_attach.py QUEUE [SECONDS that each request takes]."""
import asyncio, signal, sys

from failure import Failed, exit_on_failure, from_handler
from messageswitch.v1 import data_pb2 as pb, queue_pb2
from shout import shout
from stream import Stream

LEASE_MS = 600_000  # the longest that a handler may take; if we die our session ends after 10 s, and its leases with it


async def answer(stream, d, seconds):
    """Handles one request. One that raises fails alone; a cancel by the caller cancels this task."""
    reply = pb.ReplyRequest(lease=d.lease)
    try:
        await asyncio.sleep(seconds)
        reply.body = shout(d.body)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        return stream.do(ack=pb.AckRequest(leases=[d.lease]))
    except Exception as e:
        reply.failure.CopyFrom(from_handler(e))
    stream.do(reply=reply) if d.reply_to else stream.do(ack=pb.AckRequest(leases=[d.lease]))


async def drain(stream, consumer, running):
    """Takes no further requests, finishes what has begun, and ends the session, and with it the stream."""
    stream.do(unsubscribe=pb.UnsubscribeRequest(consumer=consumer))
    await asyncio.gather(*running.values())
    stream.do(logout=pb.LogoutRequest())
    await asyncio.sleep(2)
    sys.exit()  # by then the stream has ended, and this with it; if nobody said so, it is over all the same


async def main(queue, seconds="0"):
    loop, running = asyncio.get_running_loop(), {}  # running: the tasks by lease
    stream = Stream("respond_attach.py")
    stream.do(quiet=False, subscribe=pb.SubscribeRequest(
        queue=queue, credit=64, lease_ms=LEASE_MS, create=queue_pb2.QueueOptions()))
    async for event, value, tag in stream.events():
        if event == "subscribe":
            for number in signal.SIGTERM, signal.SIGINT:
                loop.add_signal_handler(number, lambda c=value.consumer: loop.create_task(drain(stream, c, running)))
            print(f"serving {queue}", flush=True)
        elif event == "delivery":
            task = running[value.lease] = loop.create_task(answer(stream, value, float(seconds)))
            task.add_done_callback(lambda _, lease=value.lease: running.pop(lease))
        elif event == "cancelled" and value.lease in running:
            running[value.lease].cancel()
        elif event == "failure" and tag > 1:  # of a reply: REPLY_QUEUE_GONE when its caller is gone
            print(f"respond_attach.py: {Failed.from_reply(value)}", file=sys.stderr)
        elif event in ("failure", "consumer_ended"):
            raise Failed.from_reply(value if event == "failure" else value.failure)


if __name__ == "__main__":
    with exit_on_failure("respond_attach.py"):
        asyncio.run(main(*sys.argv[1:]))
