#pragma once

#include "protocol/messages.h"
#include "server/appends.h"
#include "server/peer.h"
#include "server/server.h"
#include "stream/catalog.h"

#include <cstdint>
#include <string>

namespace weir::server {

/// The requests about streams as such: create, update, delete, list, describe.
///
/// Threads: core. A change of the catalog is under way for a while; the requests behind it on the
/// same connection wait, those of others do not.
class Definitions {
 public:
  struct Environment {
    stream::Catalog& catalog;
    ExportStatuses& exports;
    Peers& peers;
    std::int64_t multipart_threshold_min = 0;
  };
  explicit Definitions(Environment environment) : environment_(environment) {}

  Verdict create(Peer& peer, protocol::CreateRequest& request);
  Verdict update(Peer& peer, protocol::UpdateRequest& request);
  Verdict remove(Peer& peer, const protocol::DeleteRequest& request);
  Verdict list(Peer& peer, const protocol::ListRequest& request);
  Verdict describe(Peer& peer, const protocol::DescribeRequest& request);

 private:
  std::string s3_violations(const model::StreamDefinition& definition);
  [[nodiscard]] const char* status_stream_violation(const std::string& name,
                                                    const model::StreamDefinition& definition);
  /// Answers when the catalog is done.
  stream::Catalog::Done answer_later(Peer& peer, protocol::Operation operation,
                                     std::string_view request_id);

  Environment environment_;
};

}  // namespace weir::server
