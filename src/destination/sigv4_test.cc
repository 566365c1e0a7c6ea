#include "destination/sigv4.h"

#include <gtest/gtest.h>
#include <string>

namespace weir::destination {
namespace {

constexpr std::int64_t kWhenMs = 1'767'323'045'000;  // 2026-01-02T03:04:05Z

Credentials example_keys() {
  Credentials keys;
  keys.access_key_id = "AKIDEXAMPLE";
  keys.secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  return keys;
}

struct Signed {
  std::string canonical;
  std::string to_sign;
  std::string authorization;
  std::vector<HttpHeader> added;
};

struct Request {
  const char* region = "us-east-1";
  const char* service = "kinesis";
  const char* method = "POST";
  const char* path = "/";
  const char* query = "";
  std::vector<HttpHeader> headers = {};
  std::string hash = {};
};

Signed sign(const Request& request, const Credentials& keys = example_keys()) {
  SigV4Signer signer(request.region, request.service);
  SigningInput input;
  input.method = request.method;
  input.path = request.path;
  input.query = request.query;
  input.headers = &request.headers;
  input.payload_hash = request.hash;
  auto added = signer.sign(input, keys, kWhenMs);
  return {signer.canonical_request(), signer.string_to_sign(), added.back().value, added};
}

std::string last_line(const std::string& text) { return text.substr(text.rfind('\n') + 1); }
std::string signature(const Signed& s) {
  return s.authorization.substr(s.authorization.find("Signature=") + 10);
}

// The six vectors of destinations.md §25, computed with botocore and a third implementation.

TEST(SigV4Vectors, V1KinesisPutRecords) {
  const Signed s =
      sign({.headers = {{"Host", "kinesis.us-east-1.amazonaws.com"},
                        {"Content-Type", "application/x-amz-json-1.1"},
                        {"X-Amz-Target", "Kinesis_20131202.PutRecords"}},
            .hash = sha256_hex(
                as_bytes(R"({"StreamName":"s","Records":[{"Data":"YQ==","PartitionKey":"p"}]})"))});
  EXPECT_EQ(s.canonical,
            "POST\n/\n\ncontent-type:application/x-amz-json-1.1\n"
            "host:kinesis.us-east-1.amazonaws.com\nx-amz-date:20260102T030405Z\n"
            "x-amz-target:Kinesis_20131202.PutRecords\n\n"
            "content-type;host;x-amz-date;x-amz-target\n"
            "fdb8c0147fc176863ac10260ce77ec7a2032229381760709a56297f19015eebe");
  EXPECT_EQ(s.to_sign,
            "AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/us-east-1/kinesis/aws4_request\n"
            "1195d5efc6041211661dc3e7e00e8f607e57afff3b69ae98ad48450442f8414b");
  EXPECT_EQ(s.authorization,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/kinesis/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            "Signature=bbc9a38b438202750771c7aff3c5da772f5e027174e72b9c8fc9817fd29c1e3d");
}

TEST(SigV4Vectors, V2SiteWiseWithSessionToken) {
  Credentials keys = example_keys();
  keys.session_token = "IQoJb3JpZ2luX2VjE/+==";
  const Signed s = sign({.region = "eu-west-1",
                         .service = "iotsitewise",
                         .path = "/properties",
                         .headers = {{"Host", "data.iotsitewise.eu-west-1.amazonaws.com"},
                                     {"Content-Type", "application/json"}},
                         .hash = sha256_hex(as_bytes(R"({"entries":[]})"))},
                        keys);
  EXPECT_EQ(last_line(s.to_sign),
            "1834a2768f66ff5e8f8043b03d1feeaaf14712e8b8ac43eb1405a9bd25f9c288");
  EXPECT_EQ(signature(s), "4dce6e801ebf76b028343bd4b58adf18e2506bb0c47742084c6910f8736ef06c");
}

TEST(SigV4Vectors, V3S3PutObjectWithInnerSpacesInAHeader) {
  const Signed s = sign({.service = "s3",
                         .method = "PUT",
                         .path = "/a%20b/c%3Dd%2B%C3%A9~%281%29.txt",
                         .headers = {{"Host", "bkt.s3.us-east-1.amazonaws.com"},
                                     {"Content-Type", "text/plain"},
                                     {"x-amz-meta-b", "1"},
                                     {"x-amz-meta-a-b", "x   y"},
                                     {"x-amz-meta-a", "3"}},
                         .hash = sha256_hex(as_bytes("hello"))});
  EXPECT_EQ(last_line(s.to_sign),
            "e865ab045ec4a5beb55ae3621c78708ded4a423e017fca9ad83e205fdcf06826");
  EXPECT_EQ(signature(s), "24483240af5b932b3c7996a99493c299bf5dfaacb85c8cb39ce50de094f0f0df");
}

TEST(SigV4Vectors, V4S3UploadPartUnsignedPayload) {
  const Signed s = sign({.service = "s3",
                         .method = "PUT",
                         .path = "/k",
                         .query = "uploadId=u%2F%2B%3D1&partNumber=2",
                         .headers = {{"Host", "bkt.s3.us-east-1.amazonaws.com"}},
                         .hash = std::string(kUnsignedPayload)});
  EXPECT_EQ(last_line(s.to_sign),
            "3652ee4790e4a9e7c9934eb8706c01931d734f79deeecc69256a90e16732db4d");
  EXPECT_EQ(signature(s), "2931e85c48d67ad68ea0c70aace805940f204db0e77b7d8e31d47208807de621");
}

TEST(SigV4Vectors, V5S3CreateMultipartUploadQueryWithoutValue) {
  const Signed s = sign({.service = "s3",
                         .path = "/k",
                         .query = "uploads",
                         .headers = {{"Host", "bkt.s3.us-east-1.amazonaws.com"}},
                         .hash = sha256_hex({})});
  EXPECT_EQ(last_line(s.to_sign),
            "1d96319262d2b7e5d99b62d314f9b044d9c7d4fe49e56e1adf8e4ae037999d5a");
  EXPECT_EQ(signature(s), "6f2455e33e1f0be033d27a6b198d90668efb11d20a7d51c024dc49c82a47e51f");
}

TEST(SigV4Vectors, V6PathOutsideS3IsEncodedTwice) {
  const Signed s = sign(
      {.service = "es",
       .method = "PUT",
       .path = "/idx/_doc/a%3A1%2F2",
       .query = "op_type=create",
       .headers = {{"Host", "d.us-east-1.es.amazonaws.com"}, {"Content-Type", "application/json"}},
       .hash = sha256_hex(as_bytes("{}"))});
  EXPECT_EQ(last_line(s.to_sign),
            "e5b31f9b0835ed533e6eb900c7ea7dfa1c8616472a62b86c58798ad2171ce809");
  EXPECT_EQ(signature(s), "fa0ff4ab89f0b9251f7f85bc10283c5a652ac158f6602df215bf73ba44f5045c");
}

std::string canonical_line(const Request& request, int line) {
  const std::string text = sign(request).canonical;
  std::size_t begin = 0;
  for (int i = 0; i < line; ++i) begin = text.find('\n', begin) + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}
std::string path_of(const char* service, const char* path) {
  return canonical_line({.service = service, .path = path, .hash = "h"}, 1);
}
std::string query_of(const char* query) { return canonical_line({.query = query, .hash = "h"}, 2); }

TEST(SigV4Path, ServicesOtherThanS3AreNormalised) {
  EXPECT_EQ(path_of("kinesis", ""), "/");
  EXPECT_EQ(path_of("kinesis", "/"), "/");
  EXPECT_EQ(path_of("kinesis", "/a/./b/../c"), "/a/c");
  EXPECT_EQ(path_of("kinesis", "//a//b/"), "/a/b/");
  EXPECT_EQ(path_of("kinesis", "/.."), "/");
  EXPECT_EQ(path_of("kinesis", "/a%20b"), "/a%2520b");
}

TEST(SigV4Path, S3KeysStayAsTheyAre) {
  EXPECT_EQ(path_of("s3", "/a//b/./c/../d/"), "/a//b/./c/../d/");
  EXPECT_EQ(path_of("s3", "/a%20b%2fc"), "/a%20b/c");
  EXPECT_EQ(path_of("s3", "/a=b+c:d@e"), "/a%3Db%2Bc%3Ad%40e");
  EXPECT_EQ(path_of("s3", "/%7Etilde"), "/~tilde");
}

TEST(SigV4Query, SortedAsPairsAndStrictlyEncoded) {
  EXPECT_EQ(query_of("a-b=1&a=2"), "a=2&a-b=1");
  EXPECT_EQ(query_of("b=&a="), "a=&b=");
  EXPECT_EQ(query_of("k=a/b:c,d*e"), "k=a%2Fb%3Ac%2Cd%2Ae");
  EXPECT_EQ(query_of("k=%c3%a9"), "k=%C3%A9");
  EXPECT_EQ(query_of("a=2&a=1&a"), "a=&a=1&a=2");
}

TEST(SigV4Headers, WhatProxiesChangeIsNotSigned) {
  const Signed s = sign({.headers = {{"Host", "h"},
                                     {"User-Agent", "weir/1"},
                                     {"Expect", "100-continue"},
                                     {"Connection", "close"},
                                     {"Transfer-Encoding", "chunked"},
                                     {"X-Amzn-Trace-Id", "t"},
                                     {"Proxy-Authorization", "Basic x"},
                                     {"Authorization", "old"}},
                         .hash = "h"});
  EXPECT_NE(s.authorization.find("SignedHeaders=host;x-amz-date,"), std::string::npos);
}

TEST(SigV4Headers, RepeatedOnesAreJoinedInOrder) {
  const Signed s =
      sign({.headers = {{"Host", "h"}, {"X-Amz-A", " 1 "}, {"x-amz-a", "2\t 3"}}, .hash = "h"});
  EXPECT_NE(s.canonical.find("x-amz-a:1,2 3\n"), std::string::npos);
}

TEST(SigV4Key, FollowsTheKeysAndTheDay) {
  SigV4Signer signer("us-east-1", "kinesis");
  const std::vector<HttpHeader> headers = {{"Host", "h"}};
  SigningInput input{"POST", "/", "", &headers, "h"};
  const auto fresh = [&](const Credentials& keys, std::int64_t when) {
    SigV4Signer other("us-east-1", "kinesis");
    return other.sign(input, keys, when).back().value;
  };
  Credentials second = example_keys();
  second.secret_access_key = "another";
  constexpr std::int64_t kDayMs = 86'400'000;
  for (const auto& [keys, when] :
       {std::pair(example_keys(), kWhenMs), std::pair(second, kWhenMs),
        std::pair(second, kWhenMs + kDayMs), std::pair(example_keys(), kWhenMs)}) {
    EXPECT_EQ(signer.sign(input, keys, when).back().value, fresh(keys, when));
  }
}

}  // namespace
}  // namespace weir::destination
