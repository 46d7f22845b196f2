// What the switch says when something fails: a code, a reason for programs, a text for people.
#pragma once
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>

#include "google_rpc.pb.h"
#include "messageswitch/v1/failure.pb.h"

struct Failed {
  int code;
  std::string reason, message;

  // From the status of a verb. The reason is empty when the switch did not speak: nobody was reached.
  explicit Failed(const grpc::Status& status) : code(status.error_code()), message(status.error_message()) {
    google::rpc::Status trailer;
    trailer.ParseFromString(status.error_details());
    google::rpc::ErrorInfo info;
    for (const auto& detail : trailer.details())
      if (detail.UnpackTo(&info)) reason = info.reason();
  }

  // From a Failure. The reason is empty when it was the handler that failed.
  explicit Failed(const messageswitch::v1::Failure& f) : code(f.code()), message(f.message()) {
    if (f.reason()) reason = messageswitch::v1::Reason_Name(f.reason()).substr(sizeof("REASON_") - 1);
  }

  // Tells of it on stderr, and gives the exit code: 64 + the gRPC code, as of the command switch.
  int tell(const char* program) const {
    static const char* const names[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
    std::cerr << program << ": " << names[code] << (reason.empty() ? "" : " (" + reason + ")") << ": " << message << "\n";
    return 64 + code;
  }
};
