"""A gRPC client as any other. It knows nothing of the switch but its address."""

import queue
import sys

import grpc
import greeter_pb2 as pb
import greeter_pb2_grpc

stub = greeter_pb2_grpc.GreeterStub(grpc.insecure_channel(sys.argv[1]))

reply, call = stub.Greet.with_call(pb.Name(name="one"), metadata=(("color", "red"),), timeout=20)
print("unary:", reply.text, dict(call.initial_metadata())["seen"], dict(call.trailing_metadata())["left-bin"])

names = (pb.Name(name=n) for n in ("a", "b", "c"))
print("client streaming:", stub.GreetMany(names, timeout=20).text)

print("server streaming:", [g.text for g in stub.GreetOften(pb.Name(name="two"), timeout=20)])

asked = queue.SimpleQueue()
asked.put("x")
answers = []
for greeting in stub.GreetEach((pb.Name(name=n) for n in iter(asked.get, None)), timeout=20):
    answers.append(greeting.text)
    asked.put("x" * (len(answers) + 1) if len(answers) < 3 else None)
print("both:", answers)

for name, timeout in (("nobody", 20), ("slow", 1)):
    try:
        stub.Greet(pb.Name(name=name), timeout=timeout)
    except grpc.RpcError as e:
        print(name + ":", e.code().name, e.details() if timeout > 1 else "")

try:
    stub.Greet(pb.Name(name="elsewhere"), timeout=20, metadata=(("switch-queue", "nowhere"),))
except grpc.RpcError as e:
    print("elsewhere:", e.code().name)
