#include "destination/s3/timestamp.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace weir::destination::s3 {
namespace {

// 2020-12-31T23:59:59Z, 2021-01-01T00:00:00Z, 2024-02-29T12:34:56.789012345Z,
// 2026-03-07T05:06:07.008Z, 2019-12-29T00:30:00.5Z
constexpr std::array<std::int64_t, 5> kMoments = {
    1'609'459'199'000'000'000, 1'609'459'200'000'000'000, 1'709'210'096'789'012'345,
    1'772'859'967'008'000'000, 1'577'579'400'500'000'000};

struct Row {
  const char* pattern;
  std::vector<const char*> expected;  // by the moments above
};

std::string formatted(std::string_view pattern, std::int64_t wall_ns) {
  const auto text = format_timestamp(pattern, wall_ns);
  return text ? *text : "refused: " + text.error().what;
}

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.expected.size(); ++i) {
      EXPECT_EQ(formatted(row.pattern, kMoments.at(i)), row.expected[i])
          << row.pattern << " at moment " << i;
    }
  }
}

// What Java 17 printed (destinations.md §24).
const std::vector<Row> kWholePatterns = {
    {"yyyy/MM/dd", {"2020/12/31", "2021/01/01", "2024/02/29"}},
    {"YYYY/MM/dd", {"2021/12/31", "2021/01/01", "2024/02/29"}},
    {"yyyy/MM/dd/HH", {"2020/12/31/23", "2021/01/01/00", "2024/02/29/12"}},
    {"yyyy-MM-dd'T'HH:mm:ss'Z'",
     {"2020-12-31T23:59:59Z", "2021-01-01T00:00:00Z", "2024-02-29T12:34:56Z"}},
    {"yyyyMMddHHmmssSSS", {"20201231235959000", "20210101000000000", "20240229123456789"}},
    {"yyyy-DDD", {"2020-366", "2021-001", "2024-060"}},
    {"'year='yyyy'/month='MM", {"year=2020/month=12", "year=2021/month=01", "year=2024/month=02"}},
    {"yyyy''MM", {"2020'12", "2021'01", "2024'02"}},
    {"YYYY-'W'ww-e", {"2021-W01-5", "2021-W01-6", "2024-W09-5"}},
    {"yyyy/MM/dd/HH/mm/ss.SSSSSS",
     {"2020/12/31/23/59/59.000000", "2021/01/01/00/00/00.000000", "2024/02/29/12/34/56.789012"}},
    {"hh:mm a", {"11:59 PM", "12:00 AM", "12:34 PM"}},
    {"yyyy-MM-dd'T'HH:mm:ssXXX",
     {"2020-12-31T23:59:59Z", "2021-01-01T00:00:00Z", "2024-02-29T12:34:56Z"}},
    {"[yyyy]", {"2020", "2021", "2024"}},
    {"yyyy_MM-dd.HH", {"2020_12-31.23", "2021_01-01.00", "2024_02-29.12"}},
};
const std::vector<Row> kFields = {
    {"A", {"86399000", "0", "45296789", "18367008", "1800500"}},
    {"AA", {"86399000", "00", "45296789", "18367008", "1800500"}},
    {"AAA", {"86399000", "000", "45296789", "18367008", "1800500"}},
    {"AAAA", {"86399000", "0000", "45296789", "18367008", "1800500"}},
    {"AAAAA", {"86399000", "00000", "45296789", "18367008", "1800500"}},
    {"D", {"366", "1", "60", "66", "363"}},
    {"DD", {"366", "01", "60", "66", "363"}},
    {"DDD", {"366", "001", "060", "066", "363"}},
    {"E", {"Thu", "Fri", "Thu", "Sat", "Sun"}},
    {"EE", {"Thu", "Fri", "Thu", "Sat", "Sun"}},
    {"EEE", {"Thu", "Fri", "Thu", "Sat", "Sun"}},
    {"EEEE", {"Thursday", "Friday", "Thursday", "Saturday", "Sunday"}},
    {"EEEEE", {"T", "F", "T", "S", "S"}},
    {"G", {"AD", "AD", "AD", "AD", "AD"}},
    {"GG", {"AD", "AD", "AD", "AD", "AD"}},
    {"GGG", {"AD", "AD", "AD", "AD", "AD"}},
    {"GGGG", {"Anno Domini", "Anno Domini", "Anno Domini", "Anno Domini", "Anno Domini"}},
    {"GGGGG", {"A", "A", "A", "A", "A"}},
    {"H", {"23", "0", "12", "5", "0"}},
    {"HH", {"23", "00", "12", "05", "00"}},
    {"K", {"11", "0", "0", "5", "0"}},
    {"KK", {"11", "00", "00", "05", "00"}},
    {"L", {"12", "1", "2", "3", "12"}},
    {"LL", {"12", "01", "02", "03", "12"}},
    {"LLL", {"Dec", "Jan", "Feb", "Mar", "Dec"}},
    {"LLLL", {"December", "January", "February", "March", "December"}},
    {"LLLLL", {"D", "J", "F", "M", "D"}},
    {"M", {"12", "1", "2", "3", "12"}},
    {"MM", {"12", "01", "02", "03", "12"}},
    {"MMM", {"Dec", "Jan", "Feb", "Mar", "Dec"}},
    {"MMMM", {"December", "January", "February", "March", "December"}},
    {"MMMMM", {"D", "J", "F", "M", "D"}},
    {"N", {"86399000000000", "0", "45296789012345", "18367008000000", "1800500000000"}},
    {"NN", {"86399000000000", "00", "45296789012345", "18367008000000", "1800500000000"}},
    {"NNN", {"86399000000000", "000", "45296789012345", "18367008000000", "1800500000000"}},
    {"NNNN", {"86399000000000", "0000", "45296789012345", "18367008000000", "1800500000000"}},
    {"NNNNN", {"86399000000000", "00000", "45296789012345", "18367008000000", "1800500000000"}},
    {"Q", {"4", "1", "1", "1", "4"}},
    {"QQ", {"04", "01", "01", "01", "04"}},
    {"QQQ", {"Q4", "Q1", "Q1", "Q1", "Q4"}},
    {"QQQQ", {"4th quarter", "1st quarter", "1st quarter", "1st quarter", "4th quarter"}},
    {"QQQQQ", {"4", "1", "1", "1", "4"}},
    {"S", {"0", "0", "7", "0", "5"}},
    {"SS", {"00", "00", "78", "00", "50"}},
    {"SSS", {"000", "000", "789", "008", "500"}},
    {"SSSS", {"0000", "0000", "7890", "0080", "5000"}},
    {"SSSSS", {"00000", "00000", "78901", "00800", "50000"}},
    {"W", {"5", "1", "5", "1", "5"}},
    {"X", {"Z", "Z", "Z", "Z", "Z"}},
    {"XX", {"Z", "Z", "Z", "Z", "Z"}},
    {"XXX", {"Z", "Z", "Z", "Z", "Z"}},
    {"XXXX", {"Z", "Z", "Z", "Z", "Z"}},
    {"XXXXX", {"Z", "Z", "Z", "Z", "Z"}},
    {"Y", {"2021", "2021", "2024", "2026", "2020"}},
    {"YY", {"21", "21", "24", "26", "20"}},
    {"YYY", {"2021", "2021", "2024", "2026", "2020"}},
    {"YYYY", {"2021", "2021", "2024", "2026", "2020"}},
    {"YYYYY", {"02021", "02021", "02024", "02026", "02020"}},
    {"Z", {"+0000", "+0000", "+0000", "+0000", "+0000"}},
    {"ZZ", {"+0000", "+0000", "+0000", "+0000", "+0000"}},
    {"ZZZ", {"+0000", "+0000", "+0000", "+0000", "+0000"}},
    {"ZZZZ", {"GMT", "GMT", "GMT", "GMT", "GMT"}},
    {"ZZZZZ", {"Z", "Z", "Z", "Z", "Z"}},
    {"a", {"PM", "AM", "PM", "AM", "AM"}},
    {"c", {"5", "6", "5", "7", "1"}},
    {"ccc", {"Thu", "Fri", "Thu", "Sat", "Sun"}},
    {"cccc", {"Thursday", "Friday", "Thursday", "Saturday", "Sunday"}},
    {"ccccc", {"T", "F", "T", "S", "S"}},
    {"d", {"31", "1", "29", "7", "29"}},
    {"dd", {"31", "01", "29", "07", "29"}},
    {"e", {"5", "6", "5", "7", "1"}},
    {"ee", {"05", "06", "05", "07", "01"}},
    {"eee", {"Thu", "Fri", "Thu", "Sat", "Sun"}},
    {"eeee", {"Thursday", "Friday", "Thursday", "Saturday", "Sunday"}},
    {"eeeee", {"T", "F", "T", "S", "S"}},
    {"h", {"11", "12", "12", "5", "12"}},
    {"hh", {"11", "12", "12", "05", "12"}},
    {"k", {"23", "24", "12", "5", "24"}},
    {"kk", {"23", "24", "12", "05", "24"}},
    {"m", {"59", "0", "34", "6", "30"}},
    {"mm", {"59", "00", "34", "06", "30"}},
    {"n", {"0", "0", "789012345", "8000000", "500000000"}},
    {"nn", {"00", "00", "789012345", "8000000", "500000000"}},
    {"nnn", {"000", "000", "789012345", "8000000", "500000000"}},
    {"nnnn", {"0000", "0000", "789012345", "8000000", "500000000"}},
    {"nnnnn", {"00000", "00000", "789012345", "8000000", "500000000"}},
    {"q", {"4", "1", "1", "1", "4"}},
    {"qq", {"04", "01", "01", "01", "04"}},
    {"qqq", {"Q4", "Q1", "Q1", "Q1", "Q4"}},
    {"qqqq", {"4th quarter", "1st quarter", "1st quarter", "1st quarter", "4th quarter"}},
    {"qqqqq", {"4", "1", "1", "1", "4"}},
    {"s", {"59", "0", "56", "7", "0"}},
    {"ss", {"59", "00", "56", "07", "00"}},
    {"u", {"2020", "2021", "2024", "2026", "2019"}},
    {"uu", {"20", "21", "24", "26", "19"}},
    {"uuu", {"2020", "2021", "2024", "2026", "2019"}},
    {"uuuu", {"2020", "2021", "2024", "2026", "2019"}},
    {"uuuuu", {"02020", "02021", "02024", "02026", "02019"}},
    {"w", {"1", "1", "9", "10", "1"}},
    {"ww", {"01", "01", "09", "10", "01"}},
    {"x", {"+00", "+00", "+00", "+00", "+00"}},
    {"xx", {"+0000", "+0000", "+0000", "+0000", "+0000"}},
    {"xxx", {"+00:00", "+00:00", "+00:00", "+00:00", "+00:00"}},
    {"xxxx", {"+0000", "+0000", "+0000", "+0000", "+0000"}},
    {"xxxxx", {"+00:00", "+00:00", "+00:00", "+00:00", "+00:00"}},
    {"y", {"2020", "2021", "2024", "2026", "2019"}},
    {"yy", {"20", "21", "24", "26", "19"}},
    {"yyy", {"2020", "2021", "2024", "2026", "2019"}},
    {"yyyy", {"2020", "2021", "2024", "2026", "2019"}},
    {"yyyyy", {"02020", "02021", "02024", "02026", "02019"}},
};
const std::vector<const char*> kRefused = {
    "DDDD",  "HHH", "KKK",     "WW",     "aa",         "cc",      "ddd",    "hhh",    "kkk",
    "mmm",   "sss", "www",     "MMMMMM", "SSSSSSSSSS", "xxxxxx",  "C",      "I",      "J",
    "P",     "R",   "T",       "U",      "b",          "f",       "i",      "j",      "l",
    "o",     "r",   "t",       "B",      "BBBB",       "BBBBB",   "F",      "O",      "OOOO",
    "VV",    "g",   "gg",      "ggg",    "gggg",       "ggggg",   "v",      "vvvv",   "z",
    "zz",    "zzz", "zzzz",    "p",      "year=yyyy",  "yyyy#MM", "yy{",    "}",      "'open",
    "yyyy'", "]",   "[yyyy]]", "eeeeee", "GGGGGG",     "ZZZZZZ",  "EEEEEE", "QQQQQQ", "yyyyyyyyyy"};

TEST(Timestamp, WholePatternsReadAsInJava) { expect_rows(kWholePatterns); }
TEST(Timestamp, EveryLetterAndCountReadsAsInJava) { expect_rows(kFields); }

TEST(Timestamp, WhatJavaRefusesOrPrintsByChanceIsRefused) {
  for (const char* pattern : kRefused) {
    EXPECT_TRUE(formatted(pattern, kMoments[0]).starts_with("refused: ")) << pattern;
  }
  // "year" begins with fields that exist; the first that does not is named.
  EXPECT_NE(formatted("year=yyyy", 0).find("'r'"), std::string::npos) << formatted("year=yyyy", 0);
  EXPECT_TRUE(formatted(std::string(1025, '-'), 0).starts_with("refused: "));
}

TEST(Timestamp, LiteralsAndMarks) {
  EXPECT_EQ(formatted("", 0), "");
  EXPECT_EQ(formatted("''", 0), "'");
  EXPECT_EQ(formatted("'a''b'''yyyy", 0), "a'b'1970");
  EXPECT_EQ(formatted("[yyyy[-MM", 0), "1970-01");
  EXPECT_EQ(formatted("yyyy \xC3\xA9 MM", 0), "1970 \xC3\xA9 01");
}

// Sunday begins the week, and one day in January is enough (en_US).
TEST(Timestamp, WeeksAroundNewYear) {
  constexpr std::int64_t kDay = 86'400'000'000'000;
  const std::int64_t eve = 1'609'372'800'000'000'000;  // 2020-12-31
  EXPECT_EQ(formatted("YYYY-ww", kMoments[4]), "2020-01");
  EXPECT_EQ(formatted("YYYY-ww", eve - 5 * kDay), "2020-52");
  EXPECT_EQ(formatted("YYYY-ww", eve - 4 * kDay), "2021-01");
  EXPECT_EQ(formatted("YYYY-ww", eve + 2 * kDay), "2021-01");
  EXPECT_EQ(formatted("YYYY-ww", eve + 3 * kDay), "2021-02");
}

TEST(Timestamp, TheWeekYearIsNoticed) {
  EXPECT_TRUE(uses_week_year("YYYY/MM/dd"));
  EXPECT_FALSE(uses_week_year("yyyy/MM/dd"));
  EXPECT_FALSE(uses_week_year("yyyy'Y'MM"));
}

}  // namespace
}  // namespace weir::destination::s3
