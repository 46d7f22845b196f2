"""The connection to the switch at $SWITCH_ADDR, by default 127.0.0.1:7411, and a session there."""
import os
from contextlib import contextmanager

import grpc
from messageswitch.v1 import data_pb2 as pb, data_pb2_grpc

ADDR = os.environ.get("SWITCH_ADDR", "127.0.0.1:7411")
KEEPALIVE = [("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000)]  # finds a dead link in 30 s


@contextmanager
def session(name):
    """Logs in, and out again: gives the stub and the session's token."""
    with grpc.insecure_channel(ADDR, options=KEEPALIVE) as channel:
        switch = data_pb2_grpc.DataServiceStub(channel)
        token = switch.Login(pb.LoginRequest(name=name)).session
        try:
            yield switch, token
        finally:
            switch.Logout(pb.LogoutRequest(session=token))
