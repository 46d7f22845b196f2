// Calls a queue and prints the reply: call QUEUE BODY [TIMEOUT_SECONDS].
#include <csignal>

#include "session.h"

volatile std::sig_atomic_t interrupted = 0;

// Sends a request, and polls the session's own queue for the reply to it, or the switch's word why there is none.
std::string call(Session& session, const char* queue, const char* body, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const std::string reply_to = session.call(&Switch::Create, pb::CreateRequest()).queue();
  pb::SubscribeRequest subscribe;
  subscribe.set_queue(reply_to);
  pb::TransferRequest poll;
  poll.add_consumers(session.call(&Switch::Subscribe, subscribe).consumer());
  poll.set_wait_ms(100);  // so long a Ctrl-C may take, and the end of the time

  pb::SendRequest request;
  request.set_queue(queue);
  request.set_body(body);
  request.set_reply_to(reply_to);
  request.set_correlation_id("1");  // unique in its reply queue, which has no other
  request.set_timeout_ms(static_cast<int64_t>(seconds * 1000));
  session.call(&Switch::Send, request);

  while (!interrupted && std::chrono::steady_clock::now() < end) {
    for (const auto got = session.call(&Switch::Transfer, poll); const pb::Delivery& reply : got.deliveries()) {
      pb::AckRequest ack;
      ack.add_leases(reply.lease());
      session.call(&Switch::Ack, ack);
      if (reply.has_failure()) throw Failed(reply.failure());
      return reply.body();
    }
  }
  pb::CancelRequest cancel;  // a queued request is withdrawn, and who runs one is told
  cancel.set_reply_to(reply_to);
  cancel.set_correlation_id(request.correlation_id());
  const auto state = session.call(&Switch::Cancel, cancel).state();
  if (!interrupted) throw Failed(grpc::Status(grpc::DEADLINE_EXCEEDED, "no reply in time"));
  std::cerr << "call: " << pb::CancelState_Name(state) << "\n";
  return "";
}

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: call QUEUE BODY [TIMEOUT_SECONDS]\n";
    return 2;
  }
  std::signal(SIGINT, [](int) { interrupted = 1; });
  Session session("call");
  std::cout << call(session, argv[1], argv[2], argc > 3 ? std::stod(argv[3]) : 10);
  return interrupted ? 130 : 0;
} catch (const Failed& failed) {
  return failed.tell("call");
}
