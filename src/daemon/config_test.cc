#include "daemon/config.h"

#include "base/nearest.h"
#include "base/testing.h"
#include "daemon/environment.h"
#include "daemon/schema.h"
#include "daemon/yaml_reader.h"

#include <cstdlib>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

LoadedConfig parse(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  ConfigSources rest;
  rest.environment = std::move(environment);
  return parse_config(yaml, "weir.yaml", rest);
}

// The only problem of a configuration, as text.
std::string problem(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  const auto loaded = parse(yaml, std::move(environment));
  std::string all;
  for (const auto& each : loaded.problems) all += each.text() + "\n";
  EXPECT_EQ(loaded.problems.size(), 1U) << yaml << "\n" << all;
  return loaded.problems.empty() ? std::string() : loaded.problems.front().text();
}

Config good(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  auto loaded = parse(yaml, std::move(environment));
  for (const auto& each : loaded.problems) ADD_FAILURE() << each.text();
  return std::move(loaded.config);
}

TEST(Config, nothing_at_all_is_the_defaults) {
  for (const char* empty : {"", "\n", "# only a comment\n", "---\n", "{}", "server:\nstore:\n"}) {
    const auto config = good(empty);
    EXPECT_EQ(config.server.port, 8088);
    EXPECT_EQ(config.admin.port, 8089);
    EXPECT_EQ(config.store_directory, "/var/lib/weir");
    EXPECT_TRUE(config.server.authenticate_client);
    EXPECT_THAT(config.streams, IsEmpty());
  }
}

TEST(Config, reads_every_section) {
  const auto config = good(R"(
store: {directory: /data/weir, sync_interval_ms: 250}
server:
  port: 0
  authenticate_client: false
  bind_address: 127.0.0.2
admin: {port: -1}
log: {level: warn}
export:
  worker_count: 7
  max_bandwidth_kbps: 64
  aws:
    region: eu-west-1
    service_endpoint_urls: {kinesis: "http://127.0.0.1:4567"}
)");
  EXPECT_EQ(config.store_directory, "/data/weir");
  EXPECT_EQ(config.store.sync_interval_ms, 250);
  EXPECT_EQ(config.server.port, 0);
  EXPECT_FALSE(config.server.authenticate_client);
  EXPECT_EQ(config.server.bind_address, "127.0.0.2");
  EXPECT_EQ(config.admin.port, -1);
  EXPECT_EQ(config.log_level, log::Level::kWarn);
  EXPECT_EQ(config.exporter.worker_count, 7);
  EXPECT_EQ(config.transport.bandwidth_bits_per_second, 64'000);
  EXPECT_EQ(config.aws.region, "eu-west-1");
  EXPECT_EQ(config.aws.service_endpoint_urls.at("kinesis"), "http://127.0.0.1:4567");
}

TEST(Config, json_is_yaml) {
  const auto config = good(R"({"server": {"port": "9000"}, "streams": [{"name": "s"}]})");
  EXPECT_EQ(config.server.port, 9000);
  ASSERT_THAT(config.streams, SizeIs(1));
}

TEST(Config, reads_the_names_of_a_greengrass_component_as_keys) {
  const auto config = good(
      R"({"STREAM_MANAGER_SERVER_PORT": "9001", "STREAM_MANAGER_AUTHENTICATE_CLIENT": "false",
          "LOG_LEVEL": "DEBUG", "JVM_ARGS": "-Xmx1g"})");
  EXPECT_EQ(config.server.port, 9001);
  EXPECT_FALSE(config.server.authenticate_client);
  EXPECT_EQ(config.log_level, log::Level::kDebug);
  EXPECT_THAT(config.notes, ElementsAre(HasSubstr("JVM_ARGS")));
  EXPECT_THAT(problem("AWS_SECRET_ACCESS_KEY: x\n"), HasSubstr("unknown key"));
}

struct Wrong {
  const char* yaml;
  const char* where;
  const char* words;
};

class WrongConfig : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, is_refused_with_its_place_and_the_fix) {
  const std::string text = problem(GetParam().yaml);
  EXPECT_TRUE(text.starts_with(std::string("weir.yaml") + GetParam().where)) << text;
  EXPECT_THAT(text, HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(
    Config, WrongConfig,
    ::testing::Values(
        // Keys.
        Wrong{"server:\n  authenticate_cleint: true\n",
              ":2:3: ", "did you mean 'authenticate_client'?"},
        Wrong{"sever: {}\n", ":1:1: ", "did you mean 'server'?"},
        Wrong{"server: {Port: 1}\n", ":1:10: ", "did you mean 'port'?"},
        Wrong{"store: {sync-interval-ms: 1}\n", ":1:9: ", "did you mean 'sync_interval_ms'?"},
        Wrong{"store: {sync_interval: 1}\n", ":1:9: ", "did you mean 'sync_interval_ms'?"},
        Wrong{"store: {port: 1}\n", ":1:9: ", "there is a key server.port"},
        Wrong{"zebra: 1\n", ":1:1: ", "known keys are store, server"},
        Wrong{"server:\n  port: 1\n  port: 2\n", ":3:3: ", "the first is in line 2"},
        Wrong{"server: {port: 1}\nadmin: {}\nserver: {}\n", ":3:1: ", "appears twice"},
        Wrong{"? [a, b]\n: 1\n", ":1:3: ", "must be a single word"},
        // Types.
        Wrong{"server: 8088\n", ":1:9: ", "server must be a section"},
        Wrong{"server: [1]\n", ":1:9: ", "here is a list"},
        Wrong{"- server\n", ":1:1: ", "the configuration must be a section"},
        Wrong{"weir\n", ":1:1: ", "here is a single value"},
        Wrong{"server:\n  port: {a: 1}\n", ":2:9: ", "server.port must be integer"},
        Wrong{"server: {port: eighty}\n", ":1:16: ", "'eighty' is not a whole number"},
        Wrong{"server: {port: 80.5}\n", ":1:16: ", "not a whole number"},
        Wrong{"server: {port: 0x50}\n", ":1:16: ", "not a whole number"},
        Wrong{"server: {port: }\n", ":1:10: ", "server.port has no value"},
        Wrong{"server: {port: ''}\n", ":1:16: ", "not a whole number"},
        Wrong{"store: {sync_bytes: 8MiB}\n", ":1:21: ", "unit is part of the key's name"},
        Wrong{"server: {authenticate_client: yes}\n", ":1:31: ", "neither true nor false"},
        Wrong{"log: {level: loud}\n", ":1:14: ", "not one of trace, debug, info, warn, error"},
        Wrong{"store: {directory: \"\"}\n", ":1:20: ", "is empty"},
        Wrong{"store: {directory: \"a\\tb\"}\n", ":1:20: ", "control character"},
        Wrong{"streams: {name: s}\n", ":1:10: ", "streams must be a list"},
        Wrong{"streams: [s]\n", ":1:11: ", "streams[0] must be a section"},
        Wrong{"export: {aws: {endpoint_url: 'localhost:4566'}}\n", ":1:30: ", "is not a URL"},
        Wrong{"export: {aws: {service_endpoint_urls: {s3: 'ftp://x'}}}\n", ":1:44: ", "not a URL"},
        Wrong{"export: {aws: {service_endpoint_urls: [x]}}\n", ":1:39: ", "a section of names"},
        // Ranges.
        Wrong{"server:\n  port: 99999\n", ":2:9: ", "allowed are 0 to 65535"},
        Wrong{"server: {port: -1}\n", ":1:16: ", "allowed are 0 to 65535"},
        Wrong{"server: {port: 99999999999999999999}\n", ":1:16: ", "out of range"},
        Wrong{"export: {worker_count: 0}\n", ":1:24: ", "allowed are 1 to 256"},
        Wrong{"export: {cursor_save_interval_ms: 1001}\n", ":1:35: ", "allowed are 10 to 1000"},
        Wrong{"export: {cursor_save_interval_ms: 9}\n", ":1:35: ", "allowed are 10 to 1000"},
        // YAML itself.
        Wrong{"a: b: c\n", ":1:", "not valid YAML"},
        Wrong{"store:\n\tdirectory: x\n", ":2:", "not valid YAML"},
        Wrong{"server: {port: 1\n", ":", "not valid YAML"},
        Wrong{"server: *nobody\n", ":1:", "not valid YAML"},
        Wrong{"log: {}\n---\nlog: {}\n", ":2:1: ", "does not belong to the one document"},
        Wrong{"log: {}\n...\nlog: {}\n", ":3:1: ", "does not belong to the one document"},
        Wrong{",", ":1:1: ", "stray character"}, Wrong{",#", ":1:1: ", "stray character"},
        Wrong{", server: {port: 1}", ":1:1: ", "stray character"}));

INSTANTIATE_TEST_SUITE_P(
    Streams, WrongConfig,
    ::testing::Values(
        Wrong{"streams:\n  - strategy_on_full: reject\n", ":2:5: ", "streams[0] has no 'name'"},
        Wrong{"streams:\n  - name: a/b\n", ":2:5: ", "streams[0]"},
        Wrong{"streams: [{name: a}, {name: b}, {name: a}]\n",
              ":1:33: ", "streams[2]: there is already a stream 'a', at weir.yaml:1"},
        Wrong{"streams: [{name: a, max_size: 1}]\n", ":1:21: ", "did you mean 'max_size_bytes'?"},
        Wrong{"streams: [{name: a, max_size_bytes: 1}]\n", ":1:37: ", "allowed are 1024 to"},
        Wrong{"streams: [{name: a, max_size_bytes: 5000, segment_size_bytes: 6000}]\n",
              ":1:11: ", "segment_size_bytes is 6000, more than max_size_bytes, which is 5000"},
        Wrong{"streams: [{name: a, time_to_live_ms: 1}]\n", ":1:38: ", "allowed are 60000 to"},
        Wrong{"streams: [{name: a, exports: [{type: smtp, identifier: x}]}]\n",
              ":1:38: ", "not one of kinesis, firehose, iot_sitewise"},
        Wrong{"streams: [{name: a, exports: [{identifier: x, uri: 'http://h/'}]}]\n",
              ":1:31: ", "streams[0].exports[0] has no 'type'"},
        Wrong{"streams: [{name: a, exports: [{type: kinesis, stream: k}]}]\n",
              ":1:31: ", "has no 'identifier'"},
        Wrong{"streams: [{name: a, exports: [{type: http, identifier: x}]}]\n",
              ":1:31: ", "has no 'uri', which http exports need"},
        Wrong{"streams: [{name: a, exports: [{type: file, identifier: x}]}]\n",
              ":1:31: ", "has no 'directory', which file exports need"},
        Wrong{
            "streams: [{name: a, exports: [{type: file, identifier: x, directory: d, uri: u}]}]\n",
            ":1:73: ", "'uri' is a key of http exports, but this one is of type file"},
        Wrong{"streams: [{name: a, exports: [{type: file, identifier: x, directory: d}, {type: "
              "file, identifier: x, directory: e}]}]\n",
              ":1:74: ", "the identifier 'x' is used twice"},
        Wrong{"streams: [{name: a, exports: [{type: kinesis, identifier: x, stream: k, kinesis: "
              "{partition_key: {}}}]}]\n",
              ":1:98: ", "needs exactly one of field, template"},
        Wrong{"streams: [{name: a, exports: [{type: kinesis, identifier: x, stream: k, kinesis: "
              "{partition_key: {field: id}}}]}]\n",
              ":1:106: ", "is not a JSON pointer"}));

TEST(Config, declares_exports_to_every_service) {
  const auto loaded = parse(R"(
streams:
  - name: s
    exports:
      - {type: firehose, identifier: f, delivery_stream: lake,
         firehose: {delimiter: none, compression: zstd, ordering: strict}}
      - {type: iot_sitewise, identifier: i}
      - {type: iot_analytics, identifier: a, channel: ch}
      - {type: kinesis, identifier: k, stream: x,
         kinesis: {aggregation: lines, aggregation_bytes_max: 5000, compression: gzip}}
)");
  for (const auto& problem : loaded.problems) ADD_FAILURE() << problem.text();
  ASSERT_EQ(loaded.config.streams.size(), 1U);
  const auto& stream = loaded.config.streams[0];
  ASSERT_EQ(stream.exports.size(), 4U);
  std::string shown;
  for (const auto& config : stream.definition.exports) shown += config.identifier;
  EXPECT_EQ(shown, "aki") << "clients see what they could define, by type";
  EXPECT_EQ(stream.exports[0].config.target, "lake");
  const auto firehose = loaded.config.options_for({"s", stream.exports[0].config}).firehose;
  EXPECT_EQ(firehose.delimiter, "");
  EXPECT_EQ(firehose.compression, destination::Compression::kZstd);
  EXPECT_EQ(firehose.ordering, destination::Ordering::kStrict);
  const auto kinesis = loaded.config.options_for({"s", stream.exports[3].config}).kinesis;
  EXPECT_EQ(kinesis.aggregation, destination::Aggregation::kLines);
  EXPECT_EQ(kinesis.aggregation_bytes_max, 5000);
  EXPECT_EQ(kinesis.compression, destination::Compression::kGzip);
}

TEST(Config, reports_several_problems_at_once) {
  const auto loaded = parse("server: {port: x}\nadmin: {prot: 1}\nlog: {level: loud}\n",
                            {{"STREAM_MANAGER_SERVER_PORT", "eighty"}});
  EXPECT_THAT(loaded.problems, SizeIs(4));
}

TEST(Config, reports_a_bounded_number_of_problems) {
  std::string yaml = "server:\n";
  for (int i = 0; i < 1000; ++i) yaml += fmt::format("  nonsense_{}: 1\n", i);
  EXPECT_THAT(parse(yaml).problems, SizeIs(kProblemsMax + 1));
}

TEST(Config, an_address_that_others_can_reach_needs_authentication) {
  EXPECT_THAT(problem("server: {bind_address: 0.0.0.0, authenticate_client: false}\n"),
              HasSubstr("which others can reach"));
  good("server: {bind_address: 0.0.0.0}\n");
  good("server: {bind_address: '::1', authenticate_client: false}\n");
  EXPECT_THAT(problem("server: {bind_address: gateway}\n"), HasSubstr("is not an IP address"));
}

TEST(Config, two_ports_must_differ) {
  EXPECT_THAT(problem("server: {port: 8089}\n"), HasSubstr("must differ"));
  good("server: {port: 0}\nadmin: {port: 0}\n");
}

TEST(Config, an_alias_stands_for_what_it_names) {
  const auto config = good(
      "streams:\n  - &first {name: a, max_size_bytes: 5000}\n  - name: b\n"
      "    exports: &none []\n  - {name: c, exports: *none}\n");
  EXPECT_THAT(config.streams, SizeIs(3));
}

// Ten levels of ten aliases each would be ten thousand million values.
TEST(Config, a_bomb_of_aliases_is_defused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("{}*a{}", j == 0 ? "" : ", ", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(parse(bomb).problems, SizeIs(10));

  std::string streams =
      "export: {aws: {region: x}}\nstreams:\n  - &s\n    name: a\n    exports: [&e {}";
  for (int i = 0; i < 1000; ++i) streams += ", *e";
  streams += "]\n";
  for (int i = 0; i < 2000; ++i) streams += "  - *s\n";
  EXPECT_THAT(parse(streams).problems, SizeIs(kProblemsMax + 1));
}

TEST(Config, a_list_that_contains_itself_ends) {
  EXPECT_FALSE(parse("streams: &s [*s]\n").problems.empty());
  EXPECT_FALSE(parse("server: &s {port: 1, admin: *s}\n").problems.empty());
}

TEST(Config, deep_nesting_is_refused) {
  EXPECT_THAT(problem("server: " + std::string(5000, '[')), HasSubstr("weir.yaml"));
  EXPECT_FALSE(parse("server: " + std::string(100'000, '{')).problems.empty());
}

TEST(Config, a_huge_file_is_refused) {
  EXPECT_THAT(problem(std::string(kConfigBytesMax + 1, ' ')), HasSubstr("bytes; at most"));
}

TEST(Config, a_hostile_value_is_shown_escaped_and_short) {
  const std::string text = problem("log: {level: \"\\e[31m" + std::string(1000, 'x') + "\"}\n");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LT(text.size(), 300U);
}

TEST(Config, declared_exports_become_part_of_the_definition_by_type) {
  const auto config = good(R"(
streams:
  - name: telemetry
    max_size_bytes: 1048576
    time_to_live_ms: 60000
    strategy_on_full: overwrite
    persistence: memory
    flush_on_write: true
    exports:
      - {type: file, identifier: disk, directory: out, file: {compression: zstd, format: length}}
      - {type: kinesis, identifier: cloud, stream: k, batch_size: 10, priority: 1}
      - {type: http, identifier: web, uri: "http://127.0.0.1/x", format: json, disabled: true}
)");
  ASSERT_THAT(config.streams, SizeIs(1));
  const auto& definition = config.streams[0].definition;
  EXPECT_EQ(definition.max_size, 1048576);
  EXPECT_EQ(definition.time_to_live_ms, 60000);
  EXPECT_EQ(definition.strategy_on_full, model::StrategyOnFull::kOverwriteOldestData);
  EXPECT_EQ(definition.persistence, model::Persistence::kMemory);
  EXPECT_EQ(definition.flush_on_write, true);
  ASSERT_THAT(definition.exports, SizeIs(2));
  EXPECT_EQ(definition.exports[0].identifier, "web");
  EXPECT_EQ(definition.exports[0].export_format, model::ExportFormat::kJsonBatched);
  EXPECT_EQ(definition.exports[0].disabled, true);
  EXPECT_EQ(definition.exports[1].identifier, "cloud");
  EXPECT_EQ(definition.exports[1].target, "k");
  const auto options = config.options_for({"telemetry", config.streams[0].exports[0].config});
  EXPECT_EQ(options.file.directory, "out");
  EXPECT_EQ(options.file.compression, destination::FileOptions::Compression::kZstd);
  EXPECT_EQ(options.file.format, destination::FileOptions::Format::kLength);
}

TEST(Config, a_short_batch_interval_is_shown_to_clients_as_a_minute) {
  const auto config = good(
      "streams: [{name: a, exports: [{type: kinesis, identifier: x, stream: k, "
      "batch_interval_ms: 500}]}]\n");
  EXPECT_EQ(config.streams[0].exports[0].config.batch_interval_ms, 500);
  EXPECT_EQ(config.streams[0].definition.exports[0].batch_interval_ms, 60'000);
}

TEST(Config, later_rules_change_only_what_they_name) {
  const auto config = good(R"(
export:
  options:
    - stream: "pump*"
      kinesis: {ordering: strict, partition_key: {field: /id}}
    - stream: "*"
      identifier: "?loud"
      kinesis: {partition_key: stream}
streams:
  - name: pump-1
    exports:
      - {type: kinesis, identifier: cloud, stream: k, kinesis: {call_bytes_max: 1000}}
)");
  const auto options_of = [&](const char* stream, const char* identifier) {
    exporter::ExportSpec spec;
    spec.stream_name = stream;
    spec.config.type = model::ExportType::kKinesis;
    spec.config.identifier = identifier;
    return config.options_for(spec).kinesis;
  };
  EXPECT_EQ(options_of("pump-1", "cloud").ordering, destination::Ordering::kStrict);
  EXPECT_EQ(options_of("pump-1", "cloud").partition_key.kind,
            destination::PartitionKey::Kind::kStream);
  EXPECT_EQ(options_of("pump-1", "cloud").call_bytes_max, 1000);
  EXPECT_EQ(options_of("pump-2", "other").partition_key.text, "/id");
  EXPECT_EQ(options_of("fan", "cloud").ordering, destination::Ordering::kBatch);
  EXPECT_EQ(options_of("fan", "clouds").partition_key.kind,
            destination::PartitionKey::Kind::kRandom);
}

TEST(Config, the_environment_wins_over_the_file_and_options_over_both) {
  ConfigSources rest;
  rest.environment = {{"STREAM_MANAGER_SERVER_PORT", "2"}, {"LOG_LEVEL", "error"}};
  auto loaded = parse_config("server: {port: 1}\nlog: {level: debug}\n", "weir.yaml", rest);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.server.port, 2);
  EXPECT_EQ(loaded.config.log_level, log::Level::kError);
  rest.environment["WEIR_SERVER_PORT"] = "3";
  EXPECT_EQ(parse_config("", "weir.yaml", rest).config.server.port, 3);
  rest.options = {{"--port", "server.port", "4"}};
  EXPECT_EQ(parse_config("", "weir.yaml", rest).config.server.port, 4);
  rest.options = {{"--port", "server.port", "many"}};
  loaded = parse_config("", "weir.yaml", rest);
  ASSERT_THAT(loaded.problems, SizeIs(1));
  EXPECT_THAT(loaded.problems[0].text(), HasSubstr("option --port: 'many' is not"));
}

TEST(Environment, reads_the_names_of_existing_deployments) {
  const auto config =
      good("", {{"STREAM_MANAGER_STORE_ROOT_DIR", "/srv/streams"},
                {"STREAM_MANAGER_SERVER_PORT", "0"},
                {"STREAM_MANAGER_AUTHENTICATE_CLIENT", "False"},
                {"STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH", "10000"},
                {"STREAM_MANAGER_THREAD_POOL_SIZE", "2"},
                {"STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", "3"},
                {"STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS", "250"},
                {"AWS_DEFAULT_REGION", "us-east-1"},
                {"AWS_REGION", "eu-west-1"},
                {"AWS_ENDPOINT_URL", "http://127.0.0.1:4566"},
                {"AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:4567"},
                {"AWS_ACCESS_KEY_ID", "id"},
                {"AWS_SECRET_ACCESS_KEY", "secret"},
                {"AWS_SESSION_TOKEN", "session"},
                {"AWS_CA_BUNDLE", "/etc/ca.pem"},
                {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:8090/creds"}});
  EXPECT_EQ(config.store_directory, "/srv/streams");
  EXPECT_TRUE(config.store_must_exist);
  EXPECT_EQ(config.server.port, 0);
  EXPECT_FALSE(config.server.authenticate_client);
  EXPECT_EQ(config.transport.bandwidth_bits_per_second, 10'000'000);
  EXPECT_EQ(config.exporter.worker_count, 3) << "the longer name wins";
  EXPECT_EQ(config.export_defaults.kinesis.inter_call_delay_ms, 250);
  EXPECT_EQ(config.aws.region, "eu-west-1");
  EXPECT_EQ(config.aws.endpoint_url, "http://127.0.0.1:4566");
  EXPECT_EQ(config.aws.service_endpoint_urls.at("kinesis"), "http://127.0.0.1:4567");
  EXPECT_EQ(config.aws.access_key_id, "id");
  EXPECT_EQ(config.aws.secret_access_key, "secret");
  EXPECT_EQ(config.aws.session_token, "session");
  EXPECT_EQ(config.aws.ca_bundle_file, "/etc/ca.pem");
  EXPECT_EQ(config.token_exchange_url, "http://localhost:8090/creds");
}

TEST(Environment, an_older_thread_pool_name_is_read_as_well) {
  EXPECT_EQ(good("", {{"STREAM_MANAGER_THREAD_POOL_SIZE", "2"}}).exporter.worker_count, 2);
}

TEST(Environment, empty_is_unset) {
  std::map<std::string, std::string> environment;
  for (const auto& each : environment_names()) environment[std::string(each.name)] = "";
  environment["WEIR_SERVER_PORT"] = "";
  const auto config = good("", environment);
  EXPECT_EQ(config.server.port, 8088);
  EXPECT_THAT(config.notes, IsEmpty());
}

TEST(Environment, what_has_no_effect_is_said_once) {
  const auto config = good("", {{"JVM_ARGS", "-Xmx1g"}});
  EXPECT_THAT(config.notes, SizeIs(1));
}

TEST(Environment, s3_settings_have_the_names_of_the_original) {
  const auto config = good(
      "",
      {{"STREAM_MANAGER_READ_ONLY_DIRS", "/a,/b"},
       {"STREAM_MANAGER_EXPORTER_S3_DESTINATION_MULTIPART_UPLOAD_MIN_PART_SIZE_BYTES", "6000000"}});
  EXPECT_THAT(config.export_defaults.s3.input_directories,
              ElementsAre(std::string("/a"), std::string("/b")));
  EXPECT_EQ(config.export_defaults.s3.part_bytes_min, 6'000'000);
}

TEST(Environment, an_invalid_value_is_refused_by_name_value_and_fix) {
  const std::map<std::string, std::pair<std::string, std::string>> wrong = {
      {"STREAM_MANAGER_STORE_ROOT_DIR", {"relative/path", "must start with '/'"}},
      {"STREAM_MANAGER_SERVER_PORT", {"70000", "0 to 65535"}},
      {"STREAM_MANAGER_AUTHENTICATE_CLIENT", {"maybe", "neither true nor false"}},
      {"STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH", {"fast", "not a whole number"}},
      {"STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", {"0", "1 to 256"}},
      {"STREAM_MANAGER_THREAD_POOL_SIZE", {"-1", "1 to 256"}},
      {"STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS", {"-5", "0 to 60000"}},
      {"STREAM_MANAGER_EXPORTER_S3_DESTINATION_MULTIPART_UPLOAD_MIN_PART_SIZE_BYTES",
       {"5242879", "5242880"}},
      {"STREAM_MANAGER_READ_ONLY_DIRS", {"/a,b", "'b' is not an absolute path"}},
      {"LOG_LEVEL", {"LOUD", "TRACE, DEBUG, INFO, WARN, ERROR"}},
      {"AWS_ENDPOINT_URL", {"4566", "not a URL"}},
      {"AWS_ENDPOINT_URL_S3", {"s3", "not a URL"}},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", {"http://10.0.0.1/", "https://"}},
      {"WEIR_STORE_SYNC_BYTES", {"8M", "not a whole number"}},
  };
  for (const auto& [name, value_and_fix] : wrong) {
    const std::string text = problem("", {{name, value_and_fix.first}});
    EXPECT_THAT(text, HasSubstr("environment variable " + name));
    EXPECT_THAT(text, HasSubstr(value_and_fix.second));
  }
}

TEST(Environment, the_container_endpoint_is_asked_in_the_clear_only_where_nobody_listens_in) {
  const char* kName = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
  for (const char* bad : {"http://127.0.0.1.evil.example/", "http://localhost.evil.example/",
                          "http://localhost@10.0.0.1/", "http://127.0.0.1:80@10.0.0.1/",
                          "http://127.0.0.1\\@10.0.0.1/", "http://169.254.169.254/",
                          "http://[::ffff:10.0.0.1]/", "ftp://localhost/", "localhost"}) {
    EXPECT_THAT(problem("", {{kName, bad}}), HasSubstr(kName)) << bad;
  }
  const auto exchange = [&](const std::string& url) {
    const auto config = good("", {{kName, url}});
    EXPECT_EQ(config.aws.environment.at(kName), url) << "asked for credentials";
    return config.token_exchange_url;
  };
  EXPECT_EQ(exchange("http://127.9.9.9:80/x"), "http://127.9.9.9/x");
  EXPECT_EQ(exchange("http://[::1]:8090/x"), "http://[::1]:8090/x");
  EXPECT_EQ(exchange("https://gateway.example/x"), "https://gateway.example/x");
  // They are of a network, and know no token of a client.
  for (const char* platform :
       {"http://169.254.170.2/x", "http://169.254.170.23/x", "http://[fd00:ec2::23]/x"}) {
    EXPECT_EQ(exchange(platform), "") << platform;
  }
}

TEST(Environment, what_files_say_of_aws_counts_more_than_its_variables) {
  const auto config = good(
      "export:\n  aws:\n    region: eu-central-1\n    ca_bundle_file: /etc/own.pem\n"
      "    use_fips: false\n    service_endpoint_urls: {kinesis: 'http://127.0.0.1:1'}\n",
      {{"AWS_REGION", "us-east-1"},
       {"AWS_DEFAULT_REGION", "us-east-2"},
       {"AWS_CA_BUNDLE", "/etc/other.pem"},
       {"AWS_USE_FIPS_ENDPOINT", "true"},
       {"AWS_USE_DUALSTACK_ENDPOINT", "true"},
       {"AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:2"},
       {"AWS_ENDPOINT_URL_S3", "http://127.0.0.1:3"},
       {"AWS_ENDPOINT_URL", "http://127.0.0.1:4"}});
  EXPECT_EQ(config.aws.region, "eu-central-1");
  EXPECT_EQ(config.aws.ca_bundle_file, "/etc/own.pem");
  EXPECT_EQ(config.aws.use_fips, false);
  EXPECT_EQ(config.aws.use_dual_stack, true) << "no file says anything";
  EXPECT_EQ(config.aws.service_endpoint_urls.at("kinesis"), "http://127.0.0.1:1");
  EXPECT_EQ(config.aws.service_endpoint_urls.at("s3"), "http://127.0.0.1:3");
  EXPECT_EQ(config.aws.endpoint_url, "http://127.0.0.1:4");
}

TEST(Environment, an_endpoint_that_files_name_is_for_services_with_a_variable_as_well) {
  const std::map<std::string, std::string> variables = {
      {"AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:2"}};
  EXPECT_THAT(good("export: {aws: {endpoint_url: 'http://127.0.0.1:1'}}", variables)
                  .aws.service_endpoint_urls,
              IsEmpty());
  auto with_own_name = variables;
  with_own_name["WEIR_EXPORT_AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
  EXPECT_THAT(good("", with_own_name).aws.service_endpoint_urls, IsEmpty());
}

TEST(Environment, weirs_own_variables_count_more_than_files) {
  const auto config = good("export: {aws: {region: eu-central-1}}",
                           {{"AWS_REGION", "us-east-1"}, {"WEIR_EXPORT_AWS_REGION", "ap-south-1"}});
  EXPECT_EQ(config.aws.region, "ap-south-1");
}

TEST(Environment, every_scalar_key_outside_lists_has_a_variable) {
  int tried = 0;
  for_each_key([&](const std::string& path, const Key& key) {
    if (key.kind != Kind::kInteger || path.find("[]") != std::string::npos) return;
    const std::string name = environment_name_of(path);
    EXPECT_THAT(problem("", {{name, "x"}}), HasSubstr(name));
    ++tried;
  });
  EXPECT_GT(tried, 20);
}

TEST(Environment, a_name_that_looks_like_ours_but_is_not_is_mentioned) {
  const auto config = good("", {{"STREAM_MANAGER_SEVER_PORT", "1"}});
  EXPECT_THAT(config.notes, ElementsAre(HasSubstr("did you mean STREAM_MANAGER_SERVER_PORT?")));
}

TEST(Nearest, counts_edits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("cleint", "client"), 1U) << "a swap is one edit";
  EXPECT_EQ(edit_distance("same", "same"), 0U);
  EXPECT_EQ(nearest("zzzzzz", {"port", "bind_address"}), "");
}

class ConfigFiles : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    return directory_.write(name, text);
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(ConfigFiles, drop_ins_follow_in_name_order_and_win) {
  const auto main = write("weir.yaml", "server: {port: 1}\nstreams: [{name: a}]\n");
  write("conf.d/20-b.yaml", "server: {port: 3}\n");
  write("conf.d/10-a.yaml", "server: {port: 2}\nstreams: [{name: b}]\n");
  write("conf.d/notes.txt", "not: {a: configuration}\n");
  ConfigSources sources;
  sources.files = with_drop_ins(main);
  const auto loaded = load_config(sources);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.config.files, SizeIs(3));
  EXPECT_EQ(loaded.config.server.port, 3);
  EXPECT_THAT(loaded.config.streams, SizeIs(2));
}

TEST_F(ConfigFiles, a_file_that_cannot_be_read_is_named) {
  ConfigSources sources;
  sources.files = {directory_.path("absent.yaml")};
  auto loaded = load_config(sources);
  ASSERT_THAT(loaded.problems, SizeIs(1));
  EXPECT_THAT(loaded.problems[0].text(), HasSubstr("absent.yaml: cannot open: No such file"));
  sources.files = {directory_.path()};
  loaded = load_config(sources);
  ASSERT_THAT(loaded.problems, SizeIs(1));
  EXPECT_THAT(loaded.problems[0].text(), HasSubstr("is a directory"));
}

}  // namespace
}  // namespace weir::daemon
