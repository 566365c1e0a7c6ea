#include "base/byte_buffer.h"
#include "base/rng.h"
#include "destination/base64.h"
#include "destination/http_date.h"
#include "destination/json_text.h"
#include "destination/url.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

namespace weir::destination {
namespace {

TEST(Base64, AgreesWithOpenSslForEveryLengthUpTo300) {
  Rng rng(7);
  for (std::size_t length = 0; length <= 300; ++length) {
    std::string raw(length, '\0');
    for (char& c : raw) c = static_cast<char>(rng.next());
    std::string expected(base64_size(length) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(expected.data()),
                                     reinterpret_cast<const unsigned char*>(raw.data()),
                                     static_cast<int>(length));
    expected.resize(static_cast<std::size_t>(size));
    EXPECT_EQ(base64(as_bytes(raw)), expected) << length;
  }
}

std::string json_text(std::string_view text) {
  ByteBuffer buffer;
  append_json_text(buffer, text);
  EXPECT_LE(buffer.size(), json_text_bytes_max(text.size()));
  return std::string(as_text(buffer.bytes()));
}

TEST(JsonText, EveryByteBecomesPartOfAValidStringThatReadsBack) {
  for (int i = 0; i < 128; ++i) {
    const std::string one(1, static_cast<char>(i));
    EXPECT_EQ(nlohmann::json::parse("\"" + json_text(one) + "\""), one) << i;
  }
  EXPECT_EQ(nlohmann::json::parse("\"" + json_text("a\"b\\c\né\xf0\x9f\x98\x80") + "\""),
            "a\"b\\c\né\xf0\x9f\x98\x80");
}

TEST(JsonText, InvalidUtf8IsReplacedAndNeverBreaksTheString) {
  for (const std::string_view bad :
       {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80"}) {
    const std::string text = json_text(bad);
    EXPECT_TRUE(nlohmann::json::accept("\"" + text + "\"")) << text;
    EXPECT_TRUE(text.starts_with("\xef\xbf\xbd"));
  }
}

TEST(HttpDate, ReadsTheOneFormThatServersSend) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777'000);
  EXPECT_EQ(parse_http_date("  Thu, 01 Jan 1970 00:00:00 GMT "), 0);
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT"), 1'709'251'199'000);
}

TEST(HttpDate, RefusesEverythingElse) {
  for (const char* text : {"", "now", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                           "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Feb 2024 00:00:00 GMT",
                           "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
                           "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT+1"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

std::int64_t wait_s(std::string_view text) {
  const auto wait = parse_retry_after(text, 784'111'777'000);
  return wait ? std::chrono::duration_cast<std::chrono::seconds>(*wait).count() : -1;
}

TEST(RetryAfter, SecondsOrDateBothClampedToFiveMinutes) {
  EXPECT_EQ(wait_s("0"), 0);
  EXPECT_EQ(wait_s(" 17 "), 17);
  EXPECT_EQ(wait_s("300"), 300);
  EXPECT_EQ(wait_s("1000000000"), 300);
  EXPECT_EQ(wait_s("99999999999999999999999999"), 300);
  EXPECT_EQ(wait_s("Sun, 06 Nov 1994 08:49:47 GMT"), 10);
  EXPECT_EQ(wait_s("Sun, 06 Nov 1994 08:49:07 GMT"), 0);
  EXPECT_EQ(wait_s("Sun, 06 Nov 2094 08:49:07 GMT"), 300);
  for (const char* text : {"", "-1", "1.5", "1e9", "soon", "+5"}) EXPECT_EQ(wait_s(text), -1);
}

TEST(UrlParsing, TakesAddressesApart) {
  const auto url = parse_url("HTTPS://Example.COM:8443/a/../b?x=1&y");
  ASSERT_TRUE(url) << url.error().what;
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/a/../b");
  EXPECT_EQ(url->query, "x=1&y");
  EXPECT_EQ(url->authority(), "example.com:8443");
  EXPECT_EQ(url->text(), "https://example.com:8443/a/../b?x=1&y");
}

TEST(UrlParsing, DefaultPortsAreNotWrittenInTheHostHeader) {
  EXPECT_EQ(parse_url("http://h:80")->authority(), "h");
  EXPECT_EQ(parse_url("https://h:443/")->authority(), "h");
  EXPECT_EQ(parse_url("http://h:443/")->authority(), "h:443");
  EXPECT_EQ(parse_url("http://[::1]:80/")->authority(), "[::1]");
  EXPECT_EQ(parse_url("http://[::1]:81/")->origin(), "http://[::1]:81");
  EXPECT_EQ(parse_url("http://h?q")->text(), "http://h/?q");
}

TEST(UrlParsing, RefusesWhatClientsMustNotSend) {
  for (const char* text : {"",
                           "h/path",
                           "ftp://h/",
                           "file:///etc/passwd",
                           "http:///x",
                           "http://user@h/",
                           "http://user:pw@h/",
                           "http://h/#f",
                           "http://h:0/",
                           "http://h:65536/",
                           "http://h:x/",
                           "http://h:/",
                           "http://h:-1/",
                           "http://a b/",
                           "http://h/a b",
                           "http://h/\r\nX: 1",
                           "http://h/\x7f",
                           "http://\xc3\xa9/",
                           "http://[::1",
                           "http://[::g]/",
                           "http://[::1]x/",
                           "http://h\\@evil/",
                           "http://h/a\\b",
                           "http://a%41/",
                           "gopher://h",
                           "//h/",
                           "javascript:1"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_FALSE(parse_url("http://h/" + std::string(2048, 'a')));
  EXPECT_TRUE(parse_url("http://h/" + std::string(2048, 'a'), 3000));
  EXPECT_FALSE(parse_url("http://" + std::string(300, 'a') + "/"));
}

}  // namespace
}  // namespace weir::destination
