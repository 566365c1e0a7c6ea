#include "cli/text.h"

#include "cli/message_format.h"
#include "cli/start_position.h"

#include <gtest/gtest.h>
#include <limits>

namespace weir::cli {
namespace {

TEST(Text, sizes_are_read_as_people_write_them) {
  const std::pair<const char*, std::int64_t> good[] = {
      {"0", 0},
      {"4096", 4096},
      {"512B", 512},
      {"1k", 1024},
      {"1kB", 1000},
      {"1KiB", 1024},
      {"64MiB", 67'108'864},
      {"64 MiB", 67'108'864},
      {"64mib", 67'108'864},
      {"1.5GiB", 1'610'612'736},
      {"2GB", 2'000'000'000},
      {"3T", 3'298'534'883'328},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()}};
  for (const auto& [text, bytes] : good) EXPECT_EQ(parse_bytes(text), bytes) << text;
  for (const char* bad : {"", "-1", "MiB", "1.5", "1.0001k", "64XiB", "64MiBs", "1e3", "nan", "inf",
                          "99999999TiB", "0x10", " 1"}) {
    EXPECT_EQ(parse_bytes(bad), std::nullopt) << bad;
  }
}

TEST(Text, durations_and_times_are_read) {
  EXPECT_EQ(parse_duration_ms("500ms"), 500);
  EXPECT_EQ(parse_duration_ms("250"), 250);
  EXPECT_EQ(parse_duration_ms("90s"), 90'000);
  EXPECT_EQ(parse_duration_ms("5min"), 300'000);
  EXPECT_EQ(parse_duration_ms("1.5h"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("7 d"), 604'800'000);
  for (const char* bad : {"", "h", "-1s", "5y", "1h30"}) {
    EXPECT_EQ(parse_duration_ms(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_time_ms("1970-01-01"), 0);
  EXPECT_EQ(parse_time_ms("2023-11-14T22:13:20Z"), 1'700'000'000'000);
  EXPECT_EQ(parse_time_ms("2023-11-14T22:13:20.125Z"), 1'700'000'000'125);
  EXPECT_EQ(parse_time_ms("2023-11-14T22:13:20.1259999"), 1'700'000'000'125);
  EXPECT_EQ(parse_time_ms("2023-11-14 23:13:20+01:00"), 1'700'000'000'000);
  EXPECT_EQ(parse_time_ms("2023-11-14T20:43:20-0130"), 1'700'000'000'000);
  EXPECT_EQ(parse_time_ms("2024-02-29"), 1'709'164'800'000);
  for (const char* bad : {"", "2023", "2023-02-29", "2023-13-01", "2023-11-14T", "2023-11-14T25:00",
                          "2023-11-14T22:13:20X", "2023-11-14T22:13:20Zx", "23-11-14",
                          "2023-11-14T22:60", "2023-11-14T22:13:-1"}) {
    EXPECT_EQ(parse_time_ms(bad), std::nullopt) << bad;
  }
}

TEST(Text, figures_are_written_for_people) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(81'230), "81,230");
  EXPECT_EQ(grouped(-1'234'567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(counted(1, "message"), "1 message");
  EXPECT_EQ(counted(1200, "message"), "1,200 messages");
  EXPECT_EQ(human_duration(0), "0 ms");
  EXPECT_EQ(human_duration(48'900), "48 s");
  EXPECT_EQ(human_duration(60'000), "1 min");
  EXPECT_EQ(human_duration(61'000), "1 min 1 s");
  EXPECT_EQ(human_duration((2 * 60 + 4) * 60'000), "2 h 4 min");
  EXPECT_EQ(human_duration(73 * 3'600'000LL), "3 d 1 h");
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1024), "1 KiB");
  EXPECT_EQ(human_bytes(1'048'575), "1 MiB");
  EXPECT_EQ(human_bytes(1'258'291), "1.2 MiB");
  EXPECT_EQ(human_bytes(std::numeric_limits<std::int64_t>::max()), "8 EiB");
  EXPECT_EQ(iso_time(1'700'000'000'125), "2023-11-14T22:13:20.125Z");
  EXPECT_EQ(iso_time(-1), "1969-12-31T23:59:59.999Z");
}

TEST(Text, base64_is_that_of_rfc_4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xff\xfe\xfd", "//79"}};
  for (const auto& [plain, coded] : cases) EXPECT_EQ(base64(plain), coded);
}

TEST(Text, delimiters_can_be_written_out) {
  EXPECT_EQ(parse_escapes("\\n"), "\n");
  EXPECT_EQ(parse_escapes("a\\t\\\\\\r"), "a\t\\\r");
  EXPECT_EQ(parse_escapes("\\0"), std::string("\0", 1));
  EXPECT_EQ(parse_escapes("\\x1e"), "\x1e");
  EXPECT_EQ(parse_escapes(""), "");
  for (const char* bad : {"\\", "\\q", "\\x", "\\x1", "\\xzz"}) {
    EXPECT_EQ(parse_escapes(bad), std::nullopt) << bad;
  }
}

TEST(StartPosition, is_a_word_a_number_or_a_time) {
  using Kind = StartPosition::Kind;
  const auto kind = [](const char* text) { return parse_start_position(text).value().kind; };
  EXPECT_EQ(kind("start"), Kind::kStart);
  EXPECT_EQ(kind("end"), Kind::kEnd);
  EXPECT_EQ(kind("-10"), Kind::kLast);
  EXPECT_EQ(parse_start_position("-10")->value, 10);
  EXPECT_EQ(kind("4711"), Kind::kSequence);
  EXPECT_EQ(kind("2023-11-14T22:13:20Z"), Kind::kTime);
  for (const char* bad : {"", "first", "-", "1x", "99999999999999999999", "-9223372036854775808"}) {
    EXPECT_FALSE(parse_start_position(bad).has_value()) << bad;
  }
}

protocol::StoredMessage message(std::string_view payload) {
  const Bytes bytes = as_bytes(payload);
  return {"pumps", 42, 1'700'000'000'125, {bytes.begin(), bytes.end()}};
}

TEST(MessageFormat, fills_in_the_fields_of_a_template) {
  const auto text = [](const char* form, const char* delimiter = "\n") {
    auto format = MessageFormat::from_template(form, delimiter);
    return format ? format->text_of(message("on")) : "refused: " + format.error().what;
  };
  EXPECT_EQ(text("%p"), "on\n");
  EXPECT_EQ(text("%s %t %p"), "42 1700000000125 on\n");
  EXPECT_EQ(text("%T %n %l %b 100%%", ""), "2023-11-14T22:13:20.125Z pumps 2 b24= 100%");
  EXPECT_EQ(text("%s\\t%p"), "42\ton\n");
  EXPECT_EQ(text("", ";"), ";");
  EXPECT_TRUE(text("%q").starts_with("refused: --format"));
  EXPECT_TRUE(text("50%").starts_with("refused: --format"));
  EXPECT_TRUE(text("\\q").starts_with("refused: --format"));
}

TEST(MessageFormat, json_has_text_if_it_is_text) {
  const MessageFormat format = MessageFormat::json_lines();
  EXPECT_EQ(format.text_of(message("a\"b\n")),
            "{\"streamName\":\"pumps\",\"sequenceNumber\":42,\"ingestTime\":1700000000125,"
            "\"payload\":\"a\\\"b\\n\"}\n");
  EXPECT_EQ(format.text_of(message("\xff")),
            "{\"streamName\":\"pumps\",\"sequenceNumber\":42,\"ingestTime\":1700000000125,"
            "\"payloadBase64\":\"/w==\"}\n");
}

TEST(Base64, IsReadBackAsItIsWrittenAndNothingElse) {
  for (const std::string bytes : {"", "f", "fo", "foo", "foob", "\xff\xfe\x00x"}) {
    EXPECT_EQ(from_base64(base64(bytes)), bytes);
  }
  for (const char* text : {"Zg", "Zg=", "Zh==", "Z===", "Zm9v!", "Zm9v\n", "=Zg=", "Zg==Zg=="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace weir::cli
