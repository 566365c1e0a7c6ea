#include "daemon/schema.h"
#include "daemon/schema_builder.h"

#include <fmt/format.h>
#include <functional>

namespace weir::daemon {

using build::checked;
using build::flag;
using build::integer;
using build::list;
using build::live;
using build::needs_restart;
using build::of_kind;
using build::one_of;
using build::option;
using build::secret;
using build::section;
using build::text;
using build::with_sample;
using build::within;
using destination::ExportOptions;
using destination::FileOptions;
using destination::Ordering;
using destination::PartitionKey;

namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

std::vector<std::string> directories_in(std::string_view text) {
  std::vector<std::string> paths;
  for (;;) {
    const auto comma = text.find(',');
    paths.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return paths;
    text.remove_prefix(comma + 1);
  }
}

std::string check_json_pointer(const std::string& pointer) {
  return pointer.starts_with('/') ? "" : "is not a JSON pointer; it starts with '/'";
}

Key partition_key() {
  Key key = option(Kind::kChoiceOrSection, "partition_key",
                   "How records find their shard: random (a new key for each record), stream (the "
                   "stream's name, so one shard), or a section with field or template.",
                   "random", [](ExportOptions& o, const Value& v) {
                     o.kinesis.partition_key.kind = v.text == "stream"
                                                        ? PartitionKey::Kind::kStream
                                                        : PartitionKey::Kind::kRandom;
                     o.kinesis.partition_key.text.clear();
                   });
  key.choices = {"random", "stream"};
  key.children = {
      with_sample("/device/id",
                  checked(check_json_pointer,
                          option(Kind::kText, "field",
                                 "JSON pointer to the member of the message that is the key.", "",
                                 [](ExportOptions& o, const Value& v) {
                                   o.kinesis.partition_key = {PartitionKey::Kind::kField, v.text};
                                 }))),
      with_sample("\"{stream}-{sequence}\"",
                  option(Kind::kText, "template",
                         "Text in which {stream}, {sequence} and {/json/pointer} are replaced.", "",
                         [](ExportOptions& o, const Value& v) {
                           o.kinesis.partition_key = {PartitionKey::Kind::kTemplate, v.text};
                         })),
  };
  return key;
}

destination::Compression compression_named(const std::string& name) {
  return name == "gzip"   ? destination::Compression::kGzip
         : name == "zstd" ? destination::Compression::kZstd
                          : destination::Compression::kNone;
}

Key compression(std::string doc, std::function<destination::Compression&(ExportOptions&)> field) {
  return one_of({"none", "gzip", "zstd"},
                option(Kind::kChoice, "compression", std::move(doc), "none",
                       [field = std::move(field)](ExportOptions& o, const Value& v) {
                         field(o) = compression_named(v.text);
                       }));
}

Key kinesis_aggregation() {
  return one_of({"none", "kpl", "lines"},
                option(Kind::kChoice, "aggregation",
                       "Several messages of one partition key in one record: kpl is the container "
                       "that Kinesis client libraries take apart by themselves, lines is one "
                       "message a line. Not with ordering strict.",
                       "none", [](ExportOptions& o, const Value& v) {
                         o.kinesis.aggregation = v.text == "kpl" ? destination::Aggregation::kKpl
                                                 : v.text == "lines"
                                                     ? destination::Aggregation::kLines
                                                     : destination::Aggregation::kNone;
                       }));
}

Key kinesis_options() {
  return section(
      "kinesis", "Options of Kinesis exports that the protocol has no fields for.",
      {
          partition_key(),
          one_of({"batch", "per_key", "strict"},
                 option(Kind::kChoice, "ordering",
                        "What happens to order when some records of a call fail: batch resends "
                        "the failed ones first, per_key also what follows them with the same "
                        "partition key, strict sends one record per call.",
                        "batch",
                        [](ExportOptions& o, const Value& v) {
                          o.kinesis.ordering = v.text == "strict"    ? Ordering::kStrict
                                               : v.text == "per_key" ? Ordering::kPerKey
                                                                     : Ordering::kBatch;
                        })),
          kinesis_aggregation(),
          within(1'024, 10 * kMiB,
                 option(Kind::kInteger, "aggregation_bytes_max",
                        "Largest aggregate, before compression. A larger message goes alone.",
                        std::to_string(ExportOptions{}.kinesis.aggregation_bytes_max),
                        [](ExportOptions& o, const Value& v) {
                          o.kinesis.aggregation_bytes_max = v.integer;
                        })),
          compression(
              "Compression of each record's data, worth it together with aggregation lines. "
              "Not with aggregation kpl.",
              [](ExportOptions & o) -> auto& { return o.kinesis.compression; }),
          within(1, 10 * kMiB,
                 option(Kind::kInteger, "record_bytes_max",
                        "Largest record, data and partition key. The service's default is 1 MiB; "
                        "streams may be set to allow up to 10 MiB.",
                        std::to_string(ExportOptions{}.kinesis.record_bytes_max),
                        [](ExportOptions& o, const Value& v) {
                          o.kinesis.record_bytes_max = v.integer;
                        })),
          within(1, 10 * kMiB,
                 option(Kind::kInteger, "call_bytes_max", "Largest call, all records together.",
                        std::to_string(ExportOptions{}.kinesis.call_bytes_max),
                        [](ExportOptions& o, const Value& v) {
                          o.kinesis.call_bytes_max = v.integer;
                        })),
          within(0, 60'000,
                 option(Kind::kInteger, "inter_call_delay_ms",
                        "Pause between two calls of one export; 0 = none.",
                        std::to_string(ExportOptions{}.kinesis.inter_call_delay_ms),
                        [](ExportOptions& o, const Value& v) {
                          o.kinesis.inter_call_delay_ms = v.integer;
                        })),
      });
}

Key firehose_options() {
  return section(
      "firehose", "Options of Firehose exports.",
      {
          one_of({"newline", "crlf", "none"},
                 option(Kind::kChoice, "delimiter",
                        "Added to messages that do not end with it, because Firehose puts nothing "
                        "between records.",
                        "newline",
                        [](ExportOptions& o, const Value& v) {
                          o.firehose.delimiter = v.text == "crlf"   ? "\r\n"
                                                 : v.text == "none" ? ""
                                                                    : "\n";
                        })),
          option(Kind::kFlag, "packing",
                 "true puts consecutive messages into one record: Firehose bills each record as 5 "
                 "KiB at least.",
                 "false", [](ExportOptions& o, const Value& v) { o.firehose.packing = v.flag; }),
          within(1'024, 1'024'000,
                 option(Kind::kInteger, "packing_bytes_max",
                        "Largest packed record, before compression. A larger message goes alone.",
                        std::to_string(ExportOptions{}.firehose.packing_bytes_max),
                        [](ExportOptions& o, const Value& v) {
                          o.firehose.packing_bytes_max = v.integer;
                        })),
          compression(
              "Compression of each record, worth it together with packing. What Firehose "
              "writes is one compressed file then.",
              [](ExportOptions & o) -> auto& { return o.firehose.compression; }),
          one_of({"batch", "strict"},
                 option(Kind::kChoice, "ordering",
                        "batch sends up to 500 records per call and resends the failed ones "
                        "first; strict sends one record per call (PutRecord).",
                        "batch",
                        [](ExportOptions& o, const Value& v) {
                          o.firehose.ordering =
                              v.text == "strict" ? Ordering::kStrict : Ordering::kBatch;
                        })),
      });
}

Key http_text(std::string name, std::string doc, std::string sample,
              std::string destination::HttpOptions::*field) {
  return with_sample(std::move(sample),
                     option(Kind::kText, std::move(name), std::move(doc), "",
                            [field](ExportOptions& o, const Value& v) { o.http.*field = v.text; }));
}

Key http_options() {
  return section(
      "http", "Options of HTTP exports that the protocol has no fields for.",
      {
          secret(with_sample(
              "{X-Site: plant-7}",
              option(Kind::kTextMap, "headers", "Extra request headers.", "",
                     [](ExportOptions& o, const Value& v) { o.http.headers[v.name] = v.text; }))),
          compression(
              "Compression of request bodies, said in Content-Encoding.",
              [](ExportOptions & o) -> auto& { return o.http.compression; }),
          http_text("bearer_token_file",
                    "File whose content is sent as 'Authorization: Bearer ...'; read again for "
                    "each delivery.",
                    "/etc/weir/http-token", &destination::HttpOptions::bearer_token_file),
          http_text("ca_file", "Certificates to trust instead of the system's (PEM).",
                    "/etc/weir/ca.pem", &destination::HttpOptions::ca_file),
          http_text("client_certificate_file", "Certificate to present (PEM).",
                    "/etc/weir/client.pem", &destination::HttpOptions::client_certificate_file),
          http_text("client_key_file", "Its private key (PEM).", "/etc/weir/client.key",
                    &destination::HttpOptions::client_key_file),
      });
}

Key file_options() {
  return section(
      "file", "Options of exports to local files.",
      {
          one_of({"newline", "length"},
                 option(Kind::kChoice, "format",
                        "newline: one message per line; length: each message behind its length, "
                        "for messages that contain line ends.",
                        "newline",
                        [](ExportOptions& o, const Value& v) {
                          o.file.format = v.text == "length" ? FileOptions::Format::kLength
                                                             : FileOptions::Format::kNewline;
                        })),
          compression(
              "Compression of the files.",
              [](ExportOptions & o) -> auto& { return o.file.compression; }),
          within(1, 1024 * kGiB,
                 option(Kind::kInteger, "roll_bytes", "A new file begins after this many bytes.",
                        std::to_string(ExportOptions{}.file.roll_bytes),
                        [](ExportOptions& o, const Value& v) { o.file.roll_bytes = v.integer; })),
          within(1'000, 31LL * 86'400'000,
                 option(Kind::kInteger, "roll_interval_ms",
                        "And after this time, also when no message comes any more.",
                        std::to_string(ExportOptions{}.file.roll_interval_ms),
                        [](ExportOptions& o, const Value& v) {
                          o.file.roll_interval_ms = v.integer;
                        })),
      });
}

Key export_rules() {
  auto keys = std::vector<Key>{
      with_sample("\"pumps-*\"",
                  of_kind(Kind::kText, "stream",
                          "Which streams, by name; * stands for any text, ? for one character.",
                          "*", [](Target& t, const Value& v) { t.rule->stream_pattern = v.text; })),
      with_sample("\"*\"",
                  of_kind(Kind::kText, "identifier", "Which exports, by identifier.", "*",
                          [](Target& t, const Value& v) { t.rule->identifier_pattern = v.text; })),
  };
  for (auto& key : destination_option_keys()) {
    if (key.name != "file") keys.push_back(std::move(key));
  }
  for (auto& key : poison_keys()) keys.push_back(std::move(key));
  Key rules = list("options",
                   "Options for exports that clients define, or that are declared below. Every "
                   "matching entry applies, in order.",
                   std::move(keys));
  rules.begin = [](Target& target, const Position&) {
    target.rule = &target.config.export_rules.emplace_back();
    target.rule->path = target.path;
    target.changes = &target.rule->changes;
  };
  return rules;
}

std::string check_directories(const std::string& text) {
  for (const auto& path : directories_in(text)) {
    if (!path.starts_with('/')) {
      return "is no list of directories: '" + path +
             "' is not an absolute path; separate them by commas";
    }
  }
  return "";
}

Key s3_section() {
  return section(
      "s3", "S3 exports: files that clients name in their tasks (docs/s3-export.md).",
      {
          with_sample(
              "/var/lib/gateway/outbox,/data/video",
              checked(check_directories,
                      of_kind(Kind::kText, "input_directories",
                              "Absolute paths, separated by commas. Only regular files below them "
                              "are uploaded, and none that is reached through a symbolic link. "
                              "Without it any file that weir can read is, except its own store, "
                              "configuration and secrets.",
                              "",
                              [](Target& t, const Value& v) {
                                t.config.export_defaults.s3.input_directories =
                                    directories_in(v.text);
                              }))),
          needs_restart(integer(
              "part_bytes_min",
              "Smallest part of an upload in parts; larger where a file would have more than "
              "10,000 of them.",
              5'242'880, 5 * kGiB,
              [](Config & c) -> auto& { return c.export_defaults.s3.part_bytes_min; })),
          flag(
              "path_style",
              "Name the bucket in the path of requests even where it could be in the host name.",
              [](Config & c) -> auto& { return c.export_defaults.s3.path_style; }),
      });
}

Key bandwidth_key() {
  return within(0, 1'000'000'000,
                of_kind(Kind::kInteger, "max_bandwidth_kbps",
                        "Limit of all uploads together, in kilobits (1000 bits) per second; 0 = "
                        "none.",
                        "0", [](Target& t, const Value& v) {
                          t.config.transport.bandwidth_bits_per_second = v.integer * 1000;
                        }));
}

}  // namespace

std::vector<Key> destination_option_keys() {
  return {kinesis_options(), firehose_options(), http_options(), file_options(),
          aws_access_options()};
}

Key export_section() {
  return live(section(
      "export", "Everything about sending messages on.",
      {
          needs_restart(integer(
              "worker_count", "How many deliveries may be under way at the same time.", 1, 256,
              [](Config & c) -> auto& { return c.exporter.worker_count; })),
          bandwidth_key(),
          integer(
              "backoff_first_ms", "Wait after the first failure; doubles with each further one.",
              10, 3'600'000, [](Config & c) -> auto& { return c.exporter.backoff_first_ms; }),
          integer(
              "backoff_ceiling_ms", "Longest wait between two tries.", 10, 86'400'000,
              [](Config & c) -> auto& { return c.exporter.backoff_ceiling_ms; }),
          integer(
              "operator_retry_min_ms",
              "Shortest wait after the third failure that only a person can fix (a missing "
              "permission, an unknown destination).",
              10, 86'400'000, [](Config & c) -> auto& { return c.exporter.operator_retry_min_ms; }),
          integer(
              "cursor_save_interval_ms",
              "How often positions are saved. After a crash, deliveries of this time may be "
              "repeated.",
              10, 1'000, [](Config & c) -> auto& { return c.exporter.cursor_save_interval_ms; }),
          integer(
              "batch_budget_bytes", "Memory for batches under way, all exports.", kMiB, 64 * kGiB,
              [](Config & c) -> auto& { return c.exporter.batch_budget_bytes; }),
          integer(
              "connect_timeout_ms", "A connection must be made within this time.", 100, 600'000,
              [](Config & c) -> auto& { return c.transport.connect_timeout_ms; }),
          integer(
              "stall_timeout_ms", "A request without any progress for this long has failed.", 100,
              3'600'000, [](Config & c) -> auto& { return c.transport.stall_timeout_ms; }),
          integer(
              "response_bytes_max", "How much of an answer is read.", 1024, kGiB,
              [](Config & c) -> auto& { return c.transport.response_bytes_max; }),
          aws_section(),
          s3_section(),
          export_rules(),
      }));
}

}  // namespace weir::daemon
