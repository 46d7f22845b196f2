// A session with the switch at $SWITCH_ADDR, by default 127.0.0.1:7411.
#pragma once
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "failure.h"
#include "messageswitch/v1/data.grpc.pb.h"

namespace pb = messageswitch::v1;
using Switch = pb::DataService::Stub;

class Session {
 public:
  explicit Session(const std::string& name) {
    const char* addr = std::getenv("SWITCH_ADDR");
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);  // a dead link is found within 30 s
    args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
    stub_ = pb::DataService::NewStub(
        grpc::CreateCustomChannel(addr ? addr : "127.0.0.1:7411", grpc::InsecureChannelCredentials(), args));
    pb::LoginRequest login;
    login.set_name(name);
    token_ = call(&Switch::Login, login).session();
  }

  Session(const Session&) = delete;

  // Ends the session, and with it its queues and leases. If that can't be said, the switch finds out in 30 s.
  ~Session() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    pb::LogoutRequest logout;
    logout.set_session(token_);
    pb::LogoutResponse gone;
    stub_->Logout(&context, logout, &gone);
  }

  // Does one verb of DataService, such as &Switch::Send, and throws Failed.
  template <class Request, class Response>
  Response call(grpc::Status (Switch::*verb)(grpc::ClientContext*, const Request&, Response*), Request request) {
    if (!token_.empty()) request.set_session(token_);
    grpc::ClientContext context;
    Response response;
    if (auto status = (stub_.get()->*verb)(&context, request, &response); !status.ok()) throw Failed(status);
    return response;
  }

 private:
  std::unique_ptr<Switch> stub_;
  std::string token_;
};
