// The whole picture in 24 lines: what stands there, in which order, and that it always fits.

#include "cli/overview.h"

#include "cli/screen_text.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace weir::cli {
namespace {

using nlohmann::json;

constexpr const char* kRightToLeft = "\xe2\x80\xae";

json an_export(const std::string& name, const std::string& state, const std::string& error = "") {
  return {{"identifier", name},
          {"type", "kinesis"},
          {"target", "t"},
          {"state", state},
          {"last_error", error},
          {"next_try_in_ms", 4000},
          {"waiting_messages", state == "idle" ? 0 : 12},
          {"oldest_waiting_age_ms", 7'200'000}};
}

json a_stream(const std::string& name, std::int64_t messages, json exports = json::array()) {
  return {{"name", name},
          {"id", messages},
          {"oldest", 0},
          {"newest", messages - 1},
          {"total_bytes", messages * 100},
          {"max_size", 1'000'000},
          {"exports", std::move(exports)}};
}

std::vector<std::string> shown(const json& status, std::size_t lines = 24,
                               std::size_t columns = 80) {
  std::istringstream text(overview_text(read_overview(status), lines, columns));
  std::vector<std::string> out;
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

std::size_t place(const std::vector<std::string>& lines, const std::string& part) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos;
  });
  return static_cast<std::size_t>(found - lines.begin());
}

TEST(Overview, WhatNeedsAPersonComesFirstThenWhatWaitsThenTheLargest) {
  json lost_key = an_export("denied", "backoff", "AccessDenied");
  lost_key["failure_class"] = "operator";
  const auto lines =
      shown({{"streams",
              {a_stream("small", 10),
               a_stream("pumps", 20, json::array({an_export("cloud", "backoff", "throttled")})),
               a_stream("large", 5000), a_stream("valves", 5, json::array({lost_key}))}}});
  ASSERT_LT(place(lines, "valves/denied"), lines.size());
  EXPECT_LT(place(lines, "valves/denied"), place(lines, "pumps/cloud"));
  EXPECT_LT(place(lines, "pumps/cloud"), place(lines, "STREAM"));
  EXPECT_NE(place(lines, "backing off: throttled, next try in 4 s"), lines.size());
  EXPECT_NE(place(lines, "12 waiting, oldest 2 h"), lines.size());
  const auto table = place(lines, "STREAM");
  EXPECT_TRUE(lines[table + 1].starts_with("large "));
}

TEST(Overview, AnOutageOfManyExportsIsOneProblem) {
  json streams = json::array();
  for (int i = 0; i < 300; ++i) {
    streams.push_back(a_stream("s" + std::to_string(i), i,
                               json::array({an_export("cloud", "backoff", "no answer")})));
  }
  const auto lines = shown({{"streams", streams}});
  EXPECT_EQ(lines.size(), 24U);
  EXPECT_NE(place(lines, "and 299 more"), lines.size());
  EXPECT_NE(place(lines, "3,600 waiting"), lines.size());
  EXPECT_NE(place(lines, "weir status --all"), lines.size());
}

TEST(Overview, WhatWasNeverExportedIsSaidOfExportsThatLookWell) {
  json skipping = an_export("cloud", "idle");
  skipping["skipped_messages"] = 1000;
  json overtaken = an_export("archive", "idle");
  overtaken["lost_messages"] = 63;
  const auto lines =
      shown({{"streams", json::array({a_stream("pumps", 9, json::array({skipping})),
                                      a_stream("fans", 9, json::array({overtaken}))})}});
  EXPECT_NE(
      place(lines, "1,063 messages never exported, since weir started: pumps/cloud and 1 more"),
      lines.size());
  EXPECT_NE(place(lines, "Nothing is stuck."), lines.size());
  const auto well = shown({{"streams", json::array({a_stream("a", 1)})}});
  EXPECT_EQ(place(well, "never exported"), well.size());
}

TEST(Overview, AReasonIsShownToItsEndWhereThereIsRoom) {
  const std::string error =
      "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for weir, or another "
      "source of them, as the page about credentials says at its beginning";
  const json status = {
      {"streams",
       json::array({a_stream("pumps", 9, json::array({an_export("k", "backoff", error)}))})}};
  std::string words;
  for (const std::string& line : shown(status)) {
    EXPECT_LE(columns_of(line), 80U) << line;
    words += " " + line.substr(std::min(line.size(), line.find_first_not_of(' ')));
  }
  EXPECT_NE(words.find(error), std::string::npos) << words;
  EXPECT_EQ(shown(status, 9).size(), 9U) << "and cut where there is none";
}

TEST(Overview, FitsWhateverThereIs) {
  for (const int streams : {0, 1, 7, 20, 100}) {
    for (const int stuck : {0, 1, 5, 40}) {
      for (const std::size_t columns : {40U, 60U, 80U, 200U}) {
        json status = {{"version", "0.1.0"}, {"streams", json::array()}};
        for (int i = 0; i < streams; ++i) {
          const bool waits = i < stuck;
          status["streams"].push_back(a_stream(
              "stream with a long name " + std::to_string(i), 1000,
              waits ? json::array({an_export("e", "backoff", "cause " + std::to_string(i))})
                    : json::array({an_export("e", "idle")})));
        }
        const auto lines = shown(status, 24, columns);
        EXPECT_LE(lines.size(), 24U) << streams << " " << stuck << " " << columns;
        for (const auto& line : lines) EXPECT_LE(columns_of(line), columns) << line;
      }
    }
  }
}

TEST(Overview, SaysSoWhenNothingIsStuckAndWhenThereIsNothing) {
  EXPECT_NE(place(shown({{"streams", json::array({a_stream("a", 1)})}}), "Nothing is stuck."), 99U);
  const auto lines = shown(json::object());
  EXPECT_NE(place(lines, "weir stream create NAME"), lines.size());
}

TEST(Overview, CredentialsConnectorsAndStreamsInTroubleAreNamed) {
  const auto lines =
      shown({{"credentials",
              {{{"role", ""}, {"have", false}, {"error", "no answer"}},
               {{"role", "r"}, {"have", true}, {"expires_ms", 1}, {"expires_in_ms", -1}},
               {{"role", "good"}, {"have", true}, {"expires_ms", 0}}}},
             {"connectors",
              {{{"name", "line"}, {"state", "disconnected"}, {"reason", "refused"}},
               {{"name", "fine"}, {"state", "connected"}}}},
             {"nucleus", {{"state", "waiting"}, {"reason", "nobody there"}}},
             {"config",
              {{"refused", {"weir.yaml:3:1: unknown key"}}, {"needs_restart", {"server.port"}}}},
             {"unavailable_streams", {{{"name", "gone"}, {"reason", "damaged"}}}}});
  EXPECT_NE(place(lines, "configuration: refused, the one before is in force: weir.yaml:3:1"),
            lines.size());
  EXPECT_NE(place(lines, "configuration: in force after a restart: server.port"), lines.size());
  EXPECT_NE(place(lines, "AWS credentials: none: no answer"), lines.size());
  EXPECT_NE(place(lines, "AWS credentials of r: expired"), lines.size());
  EXPECT_NE(place(lines, "connector line: not connected: refused"), lines.size());
  EXPECT_NE(place(lines, "stream gone: not available: damaged"), lines.size());
  EXPECT_NE(place(lines, "Greengrass nucleus: not connected, lets no new programs in: nobody"),
            lines.size());
  EXPECT_EQ(place(lines, "good"), lines.size());
  EXPECT_EQ(place(lines, "fine"), lines.size());
}

TEST(Overview, HostileTextDoesNotReachTheTerminal) {
  const std::string evil = "\x1b[2J\x07\xc2\x9b" + std::string(kRightToLeft) + "evil\n";
  json one = an_export(evil, "backoff", evil);
  one["target"] = evil;
  json status = {{"version", evil},
                 {"streams", json::array({a_stream(evil, 1, json::array({one}))})}};
  status["streams"][0]["fault"] = evil;
  for (const auto& line : shown(status)) {
    EXPECT_TRUE(std::none_of(line.begin(), line.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    })) << line;
    EXPECT_EQ(line.find(kRightToLeft), std::string::npos);
    EXPECT_EQ(line.find("\xc2\x9b"), std::string::npos);
  }
}

TEST(Overview, DocumentsOfAnotherShapeDoNoHarm) {
  for (
      const char* text :
      {"{}", R"({"streams":7})", R"({"streams":[7,{"exports":[1,{}]},{"exports":{"a":1}}]})",
       R"({"streams":[{"name":[],"oldest":"x","newest":{}}],"credentials":{"a":[]}})",
       R"({"server":[],"store":3,"connectors":[[]],"nucleus":[1],"unavailable_streams":[{}],"warnings":[1]})"}) {
    EXPECT_FALSE(shown(json::parse(text)).empty()) << text;
  }
}

TEST(Overview, RatesComeFromWhatChanged) {
  json before = {{"pid", 1}, {"uptime_ms", 1000}, {"streams", json::array({a_stream("a", 100)})}};
  json after = before;
  after["uptime_ms"] = 3000;
  after["streams"][0]["newest"] = 299;
  auto now = read_overview(after);
  add_rates(now, read_overview(before), 2);
  EXPECT_EQ(now.streams[0].per_second, 100);
  after["pid"] = 2;  // restarted: nothing is known yet
  now = read_overview(after);
  add_rates(now, read_overview(before), 2);
  EXPECT_EQ(now.streams[0].per_second, 0);
}

TEST(ScreenText, KnowsHowWideTextIs) {
  EXPECT_EQ(columns_of("abc"), 3U);
  EXPECT_EQ(columns_of("Grüße"), 5U);
  EXPECT_EQ(columns_of("温度"), 4U);
  EXPECT_EQ(columns_of("e\xcc\x81"), 1U) << "e and a combining accent";
  EXPECT_EQ(columns_of("🚰"), 2U);
}

TEST(ScreenText, CutsBetweenCharactersAndFills) {
  EXPECT_EQ(cut("telemetry", 9), "telemetry");
  EXPECT_EQ(cut("telemetry", 5), "tele~");
  EXPECT_EQ(cut("温度温度", 5), "温度~");
  EXPECT_EQ(cut("温度温度", 4), "温~");
  EXPECT_EQ(cut("abc", 0), "");
  EXPECT_EQ(fitted("温度", 6), "温度  ");
  EXPECT_EQ(fitted("12", 4, true), "  12");
  EXPECT_EQ(columns_of(fitted("温度温度", 6)), 6U);
}

}  // namespace
}  // namespace weir::cli
