#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "destination/aws_client.h"
#include "destination/credentials.h"
#include "destination/options.h"
#include "destination/testing/scripted_transport.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <string>
#include <utility>
#include <vector>

namespace weir::destination::testing {

/// A client of `service` whose answers come from `script`.
inline std::unique_ptr<AwsClient> scripted_client(AwsService service,
                                                  std::shared_ptr<Script> script, Clock& clock,
                                                  metrics::Registry& metrics) {
  AwsOptions aws;
  aws.access_key_id = "id";
  aws.secret_access_key = "secret";
  return std::make_unique<AwsClient>(
      std::move(service), "us-east-1", *parse_url("http://127.0.0.1:9/"), static_credentials(aws),
      std::make_unique<ScriptedTransport>(std::move(script)), clock, metrics);
}

/// A batch of a stream called "pumps"; sequence numbers count from 100.
inline exporter::Batch batch_of(const std::vector<std::string>& payloads) {
  exporter::Batch out("pumps", "cloud");
  std::int64_t sequence = 100;
  for (const std::string& payload : payloads) {
    out.add(SequenceNumber(sequence++), 1, as_bytes(payload));
  }
  return out;
}

/// "d", "r", "u" or "x" (delivered, retry, untried, rejected) for each record, or "all d" and the
/// like.
inline std::string verdicts(const exporter::Outcome& outcome) {
  const auto letter = [](exporter::Verdict v) {
    return v == exporter::Verdict::kDelivered ? 'd'
           : v == exporter::Verdict::kRetry   ? 'r'
           : v == exporter::Verdict::kUntried ? 'u'
                                              : 'x';
  };
  if (outcome.records.empty()) return std::string("all ") + letter(outcome.verdict);
  std::string text;
  for (const auto& record : outcome.records) text += letter(record.verdict);
  return text;
}

/// What base64 text stands for, by OpenSSL.
inline std::string from_base64(const nlohmann::json& value) {
  const auto text = value.get<std::string>();
  std::string raw(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(raw.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return "not base64";
  raw.resize(static_cast<std::size_t>(size));
  // OpenSSL counts the padding as bytes.
  if (text.ends_with('=')) raw.pop_back();
  if (text.ends_with("==")) raw.pop_back();
  return raw;
}

/// A refusal as services that speak JSON write it.
inline HttpResponse refusal(int status, const std::string& code, const std::string& message = {}) {
  return answer(status, R"({"__type":")" + code + R"(","message":")" + message + R"("})");
}

}  // namespace weir::destination::testing
