"""What the switch says when something fails: a code, a reason for programs, a text for people."""
import sys
from contextlib import contextmanager

import grpc
from google_rpc_pb2 import ErrorInfo, Status
from messageswitch.v1.failure_pb2 import Failure, Reason


class Failed(Exception):
    """A failure: of a verb (from_call), or in place of a reply (from_reply)."""

    def __init__(self, code, reason, message):
        name = next(c.name for c in grpc.StatusCode if c.value[0] == code)
        super().__init__(f"{name} ({reason}): {message}" if reason else f"{name}: {message}")
        self.code, self.reason = code, reason

    @classmethod
    def from_call(cls, error):
        """From a grpc.RpcError. The reason is empty when the switch did not speak: nobody was reached."""
        status = Status.FromString(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b""))
        info = ErrorInfo()
        for detail in status.details:
            if detail.Is(ErrorInfo.DESCRIPTOR):
                detail.Unpack(info)
        return cls(error.code().value[0], info.reason, error.details())

    @classmethod
    def from_reply(cls, failure):
        """From a Failure. The reason is empty when it was the handler that failed."""
        reason = Reason.Name(failure.reason).removeprefix("REASON_") if failure.reason else ""
        return cls(failure.code, reason, failure.message)


def from_handler(error):
    """What to reply for a handler that has raised."""
    code = grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, ValueError) else grpc.StatusCode.UNKNOWN
    return Failure(code=code.value[0], message=str(error))


@contextmanager
def exit_on_failure(name):
    """Ends the program with a line on stderr and 64 + the gRPC code, as the command switch does."""
    try:
        yield
    except (grpc.RpcError, Failed) as e:
        failed = e if isinstance(e, Failed) else Failed.from_call(e)
        print(f"{name}: {failed}", file=sys.stderr)
        sys.exit(64 + failed.code)
