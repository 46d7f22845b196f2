"""A session on one Attach stream: verbs go in, events come out.

It ends with its connection. To come back to the session, log in with its token on a new stream, and send again
what AttachResponse.applied does not cover; the Go client does that.
"""
import asyncio

import grpc
from messageswitch.v1 import data_pb2 as pb, data_pb2_grpc
from session import ADDR, KEEPALIVE


class Stream:
    def __init__(self, name):
        self._verbs = asyncio.Queue()
        self._seen = 0  # answers that have come, so that the switch can forget them
        self.do(login=pb.LoginRequest(name=name))

    def do(self, quiet=True, **verb):
        """Sends one verb, a field of ClientFrame. A quiet one is answered only if it fails."""
        self._verbs.put_nowait(dict(verb, quiet=quiet))

    async def _frames(self):
        tag = 0  # is for Login; from there on tags rise
        while True:
            frame = pb.ClientFrame(tag=tag, **await self._verbs.get())
            yield pb.AttachRequest(frames=[frame], answers_received=self._seen)
            tag += 1

    async def events(self):
        """Gives what the switch says: the name of a field of ServerFrame, its value, and the tag that it answers."""
        async with grpc.aio.insecure_channel(ADDR, options=KEEPALIVE) as channel:
            async for message in data_pb2_grpc.DataServiceStub(channel).Attach(self._frames()):
                self._seen = message.answers_sent or self._seen
                for frame in message.frames:
                    event = frame.WhichOneof("event")
                    yield event, getattr(frame, event), frame.tag
