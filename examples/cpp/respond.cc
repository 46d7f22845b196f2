// Serves a queue by shouting back, one request at a time: respond QUEUE [SECONDS that each request takes].
#include <csignal>
#include <thread>

#include "session.h"

volatile std::sig_atomic_t stopped = 0;

// The work. Every second it says that it goes on, and the answer says whether anybody still waits for the reply: false
// if nobody does.
bool work(Session& session, const pb::Delivery& d, double seconds, pb::ReplyRequest& reply) {
  pb::ExtendRequest extend;
  extend.add_leases(d.lease());
  for (; seconds > 0; --seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(seconds, 1.0)));
    if (session.call(&Switch::Extend, extend).cancelled_size() > 0) return false;
  }
  for (unsigned char c : d.body()) reply.mutable_body()->push_back(static_cast<char>(std::toupper(c)));
  if (d.body().empty()) {
    reply.mutable_failure()->set_code(grpc::INVALID_ARGUMENT);
    reply.mutable_failure()->set_message("nothing to shout");
  }
  return true;
}

// Handles one request. A lease that is gone is another server's now: that ends the work, and no more.
void answer(Session& session, const pb::Delivery& d, double seconds) try {
  pb::ReplyRequest reply;
  reply.set_lease(d.lease());
  pb::AckRequest ack;
  ack.add_leases(d.lease());
  const bool wanted = work(session, d, seconds, reply);
  if (!wanted) std::cout << "cancelled" << std::endl;
  if (wanted && !d.reply_to().empty()) session.call(&Switch::Reply, reply);
  else session.call(&Switch::Ack, ack);
} catch (const Failed& failed) {
  if (failed.reason.empty()) throw;  // the switch is gone
  failed.tell("respond");
}

int main(int argc, char** argv) try {
  if (argc < 2) return std::cerr << "usage: respond QUEUE [SECONDS]\n", 2;
  for (int number : {SIGTERM, SIGINT}) std::signal(number, [](int) { stopped = 1; });
  Session session("respond");
  pb::SubscribeRequest subscribe;
  subscribe.set_queue(argv[1]);
  subscribe.mutable_create();
  pb::TransferRequest poll;
  poll.add_consumers(session.call(&Switch::Subscribe, subscribe).consumer());
  poll.set_wait_ms(1000);  // so long a SIGTERM may take
  std::cout << "serving " << argv[1] << std::endl;
  while (!stopped)
    for (const auto got = session.call(&Switch::Transfer, poll); const pb::Delivery& d : got.deliveries())
      answer(session, d, argc > 2 ? std::stod(argv[2]) : 0);
} catch (const Failed& failed) {
  return failed.tell("respond");
}
