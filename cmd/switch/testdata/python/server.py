"""A gRPC server as any other. It knows nothing of the switch."""

import sys
import time
from concurrent import futures

import grpc
import greeter_pb2 as pb
import greeter_pb2_grpc


def greeting(name):
    return pb.Greeting(text="hello " + name)


class Greeter(greeter_pb2_grpc.GreeterServicer):
    def Greet(self, request, context):
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata((("seen", metadata.get("color", "none")),))
        context.set_trailing_metadata((("left-bin", b"\x00\xff"),))
        if request.name == "nobody":
            context.abort(grpc.StatusCode.NOT_FOUND, "nobody is not here")
        if request.name == "slow":
            time.sleep(min(context.time_remaining(), 5) + 0.5)
        return greeting(request.name)

    def GreetMany(self, requests, context):
        return greeting(" and ".join(r.name for r in requests))

    def GreetOften(self, request, context):
        for i in range(3):
            yield greeting("%s %d" % (request.name, i))

    def GreetEach(self, requests, context):
        for request in requests:
            yield greeting(request.name)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
greeter_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()  # until the test ends
server.stop(None).wait()
