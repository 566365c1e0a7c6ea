#include "server/definitions.h"

#include "protocol/codec.h"
#include "server/answers.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace weir::server {

using protocol::Operation;
using protocol::Status;

stream::Catalog::Done Definitions::answer_later(Peer& peer, Operation operation,
                                                std::string_view request_id) {
  return [&peers = environment_.peers, id = peer.id(), operation,
          request = std::string(request_id)](const Result<void>& outcome) {
    Peer* asker = peers.find(id);
    if (asker == nullptr) return;
    if (outcome) {
      asker->answer(operation, request, Status::kSuccess, "");
    } else {
      const Answer answer = answer_for(outcome.error(), operation);
      asker->answer(operation, request, answer.status, answer.text);
    }
    asker->finished();
    peers.resume(id);
  };
}

// A status stream has to exist, and must not be the stream itself: a loop has to be impossible
// (protocol.md §7.4).
const char* Definitions::status_stream_violation(const std::string& name,
                                                 const model::StreamDefinition& definition) {
  if (name.empty()) return nullptr;
  if (name == definition.name) return "must not be the stream itself";
  const bool exists = environment_.catalog.find(name) != nullptr ||
                      environment_.catalog.find_unavailable(name) != nullptr;
  return exists ? nullptr : "no such stream, create it first";
}

std::string Definitions::s3_violations(const model::StreamDefinition& definition) {
  std::string violations;
  const auto add = [&violations](std::size_t at, const char* field, const std::string& reason) {
    if (!violations.empty()) violations += "; ";
    violations += "definition.exportDefinition.s3TaskExecutor[" + std::to_string(at) + "]." +
                  field + ": " + reason;
  };
  std::size_t index = 0;  // within s3TaskExecutor, as the client sees it
  for (const auto& config : definition.exports) {
    if (config.type != model::ExportType::kS3TaskExecutor) continue;
    const std::size_t at = index++;
    const auto& threshold = config.size_threshold_for_multipart_upload_bytes;
    if (threshold && *threshold < environment_.multipart_threshold_min) {
      add(at, "sizeThresholdForMultipartUploadBytes",
          "must be at least the configured size of parts, " +
              std::to_string(environment_.multipart_threshold_min));
    }
    if (!config.status_config || !config.status_config->status_stream_name) continue;
    const char* reason =
        status_stream_violation(*config.status_config->status_stream_name, definition);
    if (reason != nullptr) add(at, "statusConfig.statusStreamName", reason);
  }
  return violations;
}

Verdict Definitions::create(Peer& peer, protocol::CreateRequest& request) {
  // The name comes first: programs that create what exists already look for this very answer.
  if (environment_.catalog.find(request.definition.name) != nullptr) {
    peer.answer(Operation::kCreateMessageStream, request.request_id, Status::kInvalidRequest,
                protocol::kTextStreamExists);
    return Verdict::kDone;
  }
  if (const auto* one = environment_.catalog.find_unavailable(request.definition.name)) {
    peer.answer(Operation::kCreateMessageStream, request.request_id, Status::kInvalidRequest,
                std::string(protocol::kTextStreamExists) + ": " + one->why);
    return Verdict::kDone;
  }
  const std::string violations = s3_violations(request.definition);
  if (!violations.empty()) {
    peer.answer(Operation::kCreateMessageStream, request.request_id, Status::kInvalidRequest,
                violations);
    return Verdict::kDone;
  }
  auto done = answer_later(peer, Operation::kCreateMessageStream, request.request_id);
  environment_.catalog.create(std::move(request.definition), std::move(done));
  return Verdict::kBusy;
}

Verdict Definitions::update(Peer& peer, protocol::UpdateRequest& request) {
  const std::string violations = s3_violations(request.definition);
  if (environment_.catalog.find(request.definition.name) != nullptr && !violations.empty()) {
    peer.answer(Operation::kUpdateMessageStream, request.request_id, Status::kInvalidRequest,
                violations);
    return Verdict::kDone;
  }
  auto answer = answer_later(peer, Operation::kUpdateMessageStream, request.request_id);
  auto done = [environment = environment_, name = request.definition.name,
               answer = std::move(answer)](const Result<void>& outcome) {
    const stream::Stream* stream = outcome ? environment.catalog.find(name) : nullptr;
    if (stream == nullptr) {
      answer(outcome);
    } else {
      environment.exports.when_settled(*stream, answer);
    }
  };
  environment_.catalog.update(std::move(request.definition), std::move(done));
  return Verdict::kBusy;
}

Verdict Definitions::remove(Peer& peer, const protocol::DeleteRequest& request) {
  environment_.catalog.remove(
      request.name, answer_later(peer, Operation::kDeleteMessageStream, request.request_id));
  return Verdict::kBusy;
}

Verdict Definitions::list(Peer& peer, const protocol::ListRequest& request) {
  std::vector<std::string> names;
  for (const auto* stream : environment_.catalog.streams()) {
    names.push_back(stream->definition().name);
  }
  // They are there, and asking for one tells what is wrong with it.
  for (const auto& one : environment_.catalog.unavailable()) {
    if (one.name.empty() || environment_.catalog.find(one.name) != nullptr) continue;
    names.push_back(one.name);
  }
  if (!environment_.catalog.unavailable().empty()) std::sort(names.begin(), names.end());
  protocol::encode_list_response(request.request_id, names, peer.output());
  return Verdict::kDone;
}

Verdict Definitions::describe(Peer& peer, const protocol::DescribeRequest& request) {
  const stream::Stream* stream = environment_.catalog.find(request.name);
  if (stream == nullptr) {
    const Answer answer =
        answer_for_missing(environment_.catalog, request.name, Operation::kDescribeMessageStream);
    peer.answer(Operation::kDescribeMessageStream, request.request_id, answer.status, answer.text);
    return Verdict::kDone;
  }
  model::StreamInfo info;
  info.definition = model::with_defaults(stream->definition());
  info.storage_status = stream->storage_status();
  info.export_statuses = environment_.exports.export_statuses(*stream);
  // What is wrong with the stream itself has no field of its own; people look here.
  if (const std::string fault = stream->fault(); !fault.empty()) {
    for (auto& status : info.export_statuses) {
      if (status.error_message.empty()) status.error_message = fault;
    }
  }
  protocol::encode_describe_response(request.request_id, info, peer.output());
  return Verdict::kDone;
}

}  // namespace weir::server
