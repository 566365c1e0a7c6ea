// Definitions as files, the status document as text, /proc as figures.

#include "cli/definition_json.h"
#include "cli/demo.h"
#include "cli/status.h"
#include "cli/stream_text.h"
#include "cli/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(DefinitionFile, is_what_stream_info_prints) {
  model::StreamInfo info;
  info.definition.name = "pumps";
  info.definition.time_to_live_ms = 60'000;
  info.definition = model::with_defaults(info.definition);
  model::ExportConfig config;
  config.type = model::ExportType::kKinesis;
  config.identifier = "k";
  config.target = "kds";
  config.batch_size = 7;
  info.definition.exports = {config};
  const auto read = definition_from_json(info_to_json(info).dump());
  ASSERT_TRUE(read.has_value()) << read.error().what;
  EXPECT_EQ(*read, info.definition);
}

TEST(DefinitionFile, mistakes_are_named) {
  const auto mistake = [](const char* text) {
    const auto read = definition_from_json(text);
    return read ? std::string("none") : read.error().what;
  };
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0})"), "none");
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0,"exportDefinition":{"http":[]}})"), "none");
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0,"exportDefinition":
                       {"iotSitewise":[{"identifier":"w"}]}})"),
            "none");
  EXPECT_THAT(mistake("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(mistake("[]"), HasSubstr("a JSON object"));
  EXPECT_EQ(mistake(R"({"strategyOnFull":0})"), "definition.name: is required");
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0,"maxsize":4096})"),
            "definition.maxsize: unknown key");
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0,"exportDefinition":
                       {"kinesis":[{"identifier":"k","kinesisStreamName":"x","batch":3}]}})"),
            "definition.exportDefinition.kinesis[0].batch: unknown key");
  EXPECT_EQ(mistake(R"({"name":"s","strategyOnFull":0,"maxSize":2048.5})"),
            "definition.maxSize: must be a whole number");
}

TEST(StreamText, shows_what_matters) {
  model::StreamInfo info;
  info.definition.name = "pumps";
  info.storage_status = {10, 1'244, 52'428'800};
  info.export_statuses = {{"files", 1'200, 0, "", 0, 1'201}};
  const std::string text = stream_text(info);
  EXPECT_THAT(text, HasSubstr("1,235 messages, numbers 10 to 1244, 50 MiB"));
  EXPECT_THAT(text, HasSubstr("256 MiB in segments of 16 MiB, rejects new messages when full"));
  EXPECT_THAT(text, HasSubstr("files: configured at the server"));
  EXPECT_THAT(text, HasSubstr("44 behind"));
  EXPECT_EQ(columns({{"A", "B"}, {"long", "x"}}), "A     B\nlong  x\n");
}

json backing_off() {
  return {{"identifier", "k1"},
          {"type", "kinesis"},
          {"target", "x"},
          {"state", "backoff"},
          {"reason", "backing off: AccessDenied kinesis:PutRecords on stream/x"},
          {"next_try_in_ms", 48'000},
          {"waiting_messages", 81'230},
          {"oldest_waiting_age_ms", 124 * 60'000},
          {"exported_messages", 4'000}};
}

TEST(Status, says_in_plain_words_why_an_export_waits) {
  EXPECT_EQ(export_line(backing_off()),
            "backing off: AccessDenied kinesis:PutRecords on stream/x, next try in 48 s, 81,230 "
            "messages waiting, oldest 2 h 4 min");
  EXPECT_EQ(export_line({{"state", "idle"}}), "up to date");
  EXPECT_EQ(export_line({{"state", "in_flight"}, {"waiting_messages", 1}}),
            "sending, 1 message waiting");
  EXPECT_EQ(export_line({{"state", "stopped"}, {"reason", "disabled"}, {"lost_messages", 12}}),
            "disabled; 12 never sent, deleted or moved past");
  EXPECT_EQ(export_line({{"state", "broken"}, {"reason", "no AWS region"}}),
            "broken: no AWS region");
  EXPECT_EQ(export_line({{"state", "backoff"}, {"last_error", "503"}, {"skipped_messages", 2}}),
            "backing off: 503, next try in 0 ms; 2 skipped as unacceptable");
}

TEST(Status, a_stream_that_cannot_be_read_is_shown_with_the_reason) {
  const json status = {
      {"streams", json::array()},
      {"unavailable_streams",
       {{{"name", "pumps"}, {"id", 7}, {"reason", "read the definition: Input/output error"}},
        {{"name", ""}, {"id", 9}, {"reason", "gone"}}}}};
  const std::string text = status_text(status);
  EXPECT_NE(text.find("pumps\n  UNAVAILABLE: read the definition: Input/output error\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("stream 9, whose name cannot be read either"), std::string::npos);
  EXPECT_EQ(text.find("no streams yet"), std::string::npos);
}

TEST(Status, survives_any_document) {
  for (const char* text : {"{}", R"({"streams":7})", R"({"streams":[7,null,{"exports":{}}]})",
                           R"({"store":[],"server":null,"pid":"x","streams":[{"exports":[1]}]})"}) {
    const auto status = parse_status(text);
    ASSERT_TRUE(status.has_value()) << text;
    EXPECT_FALSE(status_text(*status).empty());
  }
  EXPECT_FALSE(parse_status("<html>").has_value());
  EXPECT_FALSE(parse_status("[]").has_value());
}

TEST(Status, cannot_be_used_to_write_to_the_terminal) {
  json entry = backing_off();
  entry["reason"] = "backing off: \x1b[2J\nall is well";
  EXPECT_EQ(export_line(entry).find_first_of("\x1b\n"), std::string::npos);
}

TEST(Demo, shows_the_slowest_export) {
  DemoFigures figures;
  json fast = backing_off();
  fast["exported_messages"] = 81'000;
  fast["waiting_messages"] = 2;
  const json status = {
      {"streams",
       {{{"name", "other"}, {"exports", json::array({fast})}},
        {{"name", "telemetry"}, {"exports", json::array({fast, backing_off()})}}}}};
  read_exports(status, "telemetry", figures);
  EXPECT_EQ(figures.exported, 4'000);
  EXPECT_EQ(figures.lag, 81'230);
  figures.appended = 5;
  EXPECT_EQ(demo_line(figures), "appended=5 refused=0 stored=0 exported=4000 lag=81230\n");
  const std::string view = demo_view(figures);
  EXPECT_EQ(std::count(view.begin(), view.end(), '\n'), 4);
  read_exports(status, "none", figures);
  EXPECT_EQ(figures.exported, std::nullopt);
  EXPECT_THAT(demo_view(figures), HasSubstr("no export"));
}

TEST(Telemetry, reads_proc) {
  TelemetryCounters counters;
  read_cpu("cpu  100 0 50 800 40 0 10 0 7 0\ncpu0 1 2 3\n", counters);
  EXPECT_EQ(counters.cpu_total, 1000);
  EXPECT_EQ(counters.cpu_busy, 160);
  read_disks(
      "   7       0 loop0 9 0 9 0 9 0 9 0 0 0 0\n"
      "   8       0 sda 10 0 100 0 20 0 200 0 0 0 0\n"
      "   8       1 sda1 10 0 100 0 20 0 200 0 0 0 0\n"
      " 259       0 nvme0n1 1 0 1 0 1 0 2 0 0 0 0\n"
      " 259       1 nvme0n1p1 1 0 1 0 1 0 2 0 0 0 0\n",
      counters);
  EXPECT_EQ(counters.disk_read_bytes, 101 * 512);
  EXPECT_EQ(counters.disk_written_bytes, 202 * 512);
  read_network(
      "Inter-|   Receive  |  Transmit\n face |bytes packets |bytes packets\n"
      "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
      "  eth0:1000 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n"
      " wlan0: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n",
      counters);
  EXPECT_EQ(counters.network_received_bytes, 1001);
  EXPECT_EQ(counters.network_sent_bytes, 52);
  EXPECT_EQ(read_memory("MemTotal:  16 kB\nMemAvailable: 4 kB\n", "MemAvailable"), 4096);
  EXPECT_EQ(read_memory("", "MemTotal"), std::nullopt);
}

TEST(Telemetry, samples_are_one_json_document_each) {
  Telemetry telemetry;
  for (int i = 0; i < 3; ++i) {
    const json sample = json::parse(telemetry.sample(0.2, 1'700'000'000'000));
    EXPECT_EQ(sample.at("time"), "2023-11-14T22:13:20.000Z");
    EXPECT_GT(sample.at("memory_total_bytes").get<std::int64_t>(), 0);
    const double cpu = sample.at("cpu_percent").get<double>();
    EXPECT_TRUE(cpu >= 0 && cpu <= 100) << cpu;
  }
}

}  // namespace
}  // namespace weir::cli
