// What /status says of credentials and redirects, as text.

#include "cli/status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

std::string shown(const std::string& document) {
  const auto status = parse_status(document);
  return status ? status_text(*status) : "error: " + status.error().what;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(StatusText, CredentialsHaveASourceAndAnEndAndAnErrorWhenTheyNeedOne) {
  const std::string text = shown(R"({"credentials":[
    {"role":"","source":"environment","have":true,"expires_ms":0,"expires_in_ms":0,"error":""},
    {"role":"arn:aws:iam::2:role/x","source":"role arn:aws:iam::2:role/x","have":true,
     "expires_ms":1600000,"expires_in_ms":600000,"error":"the token service is away"},
    {"role":"arn:aws:iam::3:role/y","source":"","have":false,"expires_ms":0,"error":"AccessDenied"},
    {"role":"","source":"old","have":true,"expires_ms":1,"expires_in_ms":-5,"error":""}]})");
  EXPECT_TRUE(has(text, "  AWS credentials: environment, without end\n")) << text;
  EXPECT_TRUE(has(text,
                  "AWS credentials of arn:aws:iam::2:role/x: role arn:aws:iam::2:role/x, for "
                  "another 10 min"))
      << text;
  EXPECT_TRUE(has(text, "\n    the token service is away\n")) << text;
  EXPECT_TRUE(has(text, "arn:aws:iam::3:role/y: NONE\n    AccessDenied\n")) << text;
  EXPECT_TRUE(has(text, "AWS credentials: old, EXPIRED\n")) << text;
}

TEST(StatusText, ARedirectedExportSaysWhereItsMessagesGo) {
  const std::string text = shown(R"({"streams":[{"name":"pumps","exports":[
    {"identifier":"a","type":"iot_analytics","target":"closed","state":"idle",
     "redirected_to":{"type":"kinesis","target":"telemetry"}}]}]})");
  EXPECT_TRUE(has(text,
                  "export a (iot_analytics -> closed), 0 exported\n    redirected to kinesis -> "
                  "telemetry\n"))
      << text;
}

TEST(StatusText, DocumentsOfAnotherShapeDoNoHarm) {
  for (const char* text :
       {R"({"credentials":{}})", R"({"credentials":[1,null,"x"]})", R"({"credentials":7})",
        R"({"credentials":[{"have":"yes","expires_ms":"x","role":[]}]})",
        R"({"streams":[{"exports":[{"redirected_to":7}]}]})"}) {
    EXPECT_FALSE(shown(text).starts_with("error")) << text;
  }
}

}  // namespace
}  // namespace weir::cli
