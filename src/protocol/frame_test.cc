#include "base/rng.h"
#include "protocol/codec.h"
#include "protocol/testing.h"

#include <gtest/gtest.h>

namespace weir::protocol {
namespace {

using testing::from_hex;
using Kind = FrameView::Kind;

FrameView split_hex(std::string_view hex) { return split_frame(as_bytes(from_hex(hex))); }

TEST(Frame, waits_for_the_head_and_then_for_the_whole_frame) {
  EXPECT_EQ(split_hex("").bytes_needed, kFrameHeadBytes);
  EXPECT_EQ(split_hex("000000").bytes_needed, kFrameHeadBytes);
  EXPECT_EQ(split_hex("00000003").kind, Kind::kNeedMore);
  const FrameView head = split_hex("0000000304");
  EXPECT_EQ(head.kind, Kind::kNeedMore);
  EXPECT_EQ(head.bytes_needed, 7U);
  EXPECT_EQ(head.frame.operation, Operation::kAppendMessage);
  EXPECT_EQ(split_hex("0000000304a1").kind, Kind::kNeedMore);
}

TEST(Frame, ends_where_its_length_says) {
  const std::string bytes = from_hex("0000000304a1b2 00000002");
  const FrameView view = split_frame(as_bytes(bytes));
  ASSERT_EQ(view.kind, Kind::kFrame);
  EXPECT_EQ(view.frame.bytes, 7U);
  EXPECT_EQ(testing::to_hex(view.frame.payload), "a1b2");
}

TEST(Frame, lengths_outside_the_limits_are_refused_before_anything_else_arrives) {
  for (const char* hex : {"00000000", "00000001", "40000001", "7fffffff", "80000000", "ffffffff"}) {
    EXPECT_EQ(split_hex(hex).kind, Kind::kBadLength) << hex;
  }
  EXPECT_EQ(split_hex("00000002").kind, Kind::kNeedMore);
  const FrameView largest = split_hex("4000000004");
  EXPECT_EQ(largest.kind, Kind::kNeedMore);
  EXPECT_EQ(largest.bytes_needed, (1U << 30U) + 4);
}

TEST(Frame, operations_that_nobody_knows_keep_their_code) {
  const std::string bytes = from_hex("00000002 2a a0");
  const FrameView view = split_frame(as_bytes(bytes));
  EXPECT_EQ(view.frame.operation, Operation::kUnknown);
  EXPECT_EQ(view.frame.operation_code, 42);
}

TEST(Operations, each_request_has_its_response) {
  const std::pair<int, int> pairs[] = {{1, 6},  {2, 7},   {3, 8},   {4, 9},
                                       {5, 10}, {11, 12}, {13, 14}, {15, 16}};
  for (int code = 0; code < 20; ++code) {
    int expected = 17;
    for (const auto& [request, response] : pairs) {
      if (request == code) expected = response;
    }
    EXPECT_EQ(static_cast<int>(response_of(static_cast<Operation>(code))), expected) << code;
  }
}

TEST(Negotiation, takes_what_both_sides_speak) {
  struct Case {
    std::optional<std::string> wanted;
    std::vector<std::string> others;
    std::optional<Version> version;
    Status status;
  };
  constexpr auto kNone = std::nullopt;
  const Case cases[] = {
      {"1.1.0", {"1.0.0"}, Version::k1_1_0, Status::kSuccess},
      {"1.1.0", {}, Version::k1_1_0, Status::kSuccess},
      {"1.0.0", {}, Version::k1_0_0, Status::kSuccess},
      {"1.0.0", {"1.1.0"}, Version::k1_0_0, Status::kSuccess},
      {"2.0.0", {"1.0.0"}, Version::k1_0_0, Status::kSuccess},
      {"2.0.0", {"1.0.0", "1.1.0"}, Version::k1_1_0, Status::kSuccess},
      {"2.0.0", {"1.1.0", "1.0.0", "junk"}, Version::k1_1_0, Status::kSuccess},
      {"1.2.0", {}, Version::k1_1_0, Status::kSuccess},
      {"1.2.0", {"1.0.0"}, Version::k1_0_0, Status::kSuccess},
      {"1.999999999999999999999.0", {}, Version::k1_1_0, Status::kSuccess},
      {"2.0.0", {}, kNone, Status::kUnsupportedProtocolVersion},
      {"0.9.0", {}, kNone, Status::kUnsupportedProtocolVersion},
      {"1.0.1", {}, kNone, Status::kUnsupportedProtocolVersion},
      {"4294967297.1.0", {}, kNone, Status::kUnsupportedProtocolVersion},
      {kNone, {"1.1.0"}, kNone, Status::kInvalidProtocolVersion},
      {"", {"1.1.0"}, kNone, Status::kInvalidProtocolVersion},
      {"1.1", {}, kNone, Status::kInvalidProtocolVersion},
      {"1.1.0 ", {}, kNone, Status::kInvalidProtocolVersion},
      {"1.1.0.0", {}, kNone, Status::kInvalidProtocolVersion},
      {"1..0", {}, kNone, Status::kInvalidProtocolVersion},
      {"-1.1.0", {}, kNone, Status::kInvalidProtocolVersion},
      {"one", {}, kNone, Status::kInvalidProtocolVersion},
  };
  for (const Case& c : cases) {
    ConnectRequest request;
    request.protocol_version = c.wanted;
    request.other_supported_protocol_versions = c.others;
    const Negotiated result = negotiate(request);
    EXPECT_EQ(result.version, c.version) << c.wanted.value_or("none");
    EXPECT_EQ(result.status, c.status) << c.wanted.value_or("none");
  }
}

TEST(Negotiation, a_client_of_1_0_0_never_sees_a_status_that_is_newer) {
  for (int code = 0; code <= 18; ++code) {
    const auto status = static_cast<Status>(code);
    EXPECT_EQ(status_for(Version::k1_1_0, status), status);
    EXPECT_LE(static_cast<int>(status_for(Version::k1_0_0, status)), 14) << code;
    if (code <= 14) {
      EXPECT_EQ(status_for(Version::k1_0_0, status), status);
    }
  }
  EXPECT_EQ(status_for(Version::k1_0_0, Status::kOutOfMemory), Status::kUnknownFailure);
  EXPECT_EQ(status_for(Version::k1_0_0, Status::kUpdateFailed), Status::kUnknownFailure);
  EXPECT_EQ(status_for(Version::k1_0_0, Status::kUpdateNotAllowed), Status::kInvalidRequest);
  EXPECT_EQ(status_for(Version::k1_0_0, Status::kUnknownOperation), Status::kInvalidRequest);
}

// ---- answers --------------------------------------------------------------------------------

StoredMessage message(std::int64_t number, std::size_t payload_bytes) {
  return {"pumps", number, 1'700'000'000'000 + number,
          ByteVector(payload_bytes, static_cast<std::byte>(number))};
}

TEST(ReadAnswer, tells_what_was_added_whatever_was_expected) {
  for (const std::int64_t expected : {0, 1, 23, 24, 255, 256, 65'535, 65'536}) {
    for (const std::int64_t added : {0, 1, 23, 24, 255, 256, 300}) {
      ByteBuffer out;
      out.append(as_bytes("an earlier answer"));
      ReadResponseEncoder encoder("id", "pumps", expected, out);
      for (std::int64_t i = 0; i < added; ++i) {
        const StoredMessage m = message(i, static_cast<std::size_t>(i % 30 + 1));
        encoder.add(m.sequence_number, m.ingest_time_ms, m.payload);
      }
      EXPECT_EQ(encoder.count(), added);
      encoder.finish();
      ASSERT_EQ(as_text(out.bytes()).substr(0, 17), "an earlier answer");
      const Frame frame = testing::frame_of(as_text(out.bytes()).substr(17));
      auto response = decode_response(frame.operation, frame.payload);
      ASSERT_TRUE(response.has_value()) << response.error().what;
      ASSERT_EQ(response->messages.size(), static_cast<std::size_t>(added));
      for (std::int64_t i = 0; i < added; ++i) {
        EXPECT_EQ(response->messages[static_cast<std::size_t>(i)],
                  message(i, static_cast<std::size_t>(i % 30 + 1)));
      }
    }
  }
}

TEST(ReadAnswer, knows_its_size_and_can_be_taken_back) {
  ByteBuffer out;
  out.append(as_bytes("before"));
  ReadResponseEncoder encoder("id", "pumps", 3, out);
  for (const std::size_t payload_bytes : {1U, 23U, 24U, 255U, 256U, 65'536U}) {
    const std::size_t before = encoder.frame_bytes();
    const StoredMessage m = message(1LL << 40, payload_bytes);
    encoder.add(m.sequence_number, m.ingest_time_ms, m.payload);
    EXPECT_GT(encoder.frame_bytes(), before + payload_bytes);
    EXPECT_LE(encoder.frame_bytes(), before + encoder.message_bytes_max(payload_bytes));
  }
  encoder.abandon();
  EXPECT_EQ(as_text(out.bytes()), "before");
}

TEST(AppendAnswer, holds_any_id_and_number) {
  for (const std::size_t id_bytes : {1U, 23U, 24U, 36U, 255U, 256U, 1024U}) {
    for (const std::int64_t number : {0LL, 23LL, 24LL, 255LL, 65'536LL, (1LL << 53) - 1}) {
      const std::string id(id_bytes, 'i');
      ByteBuffer out;
      encode_append_response(id, number, out);
      const Frame frame = testing::frame_of(as_text(out.bytes()));
      EXPECT_EQ(frame.operation, Operation::kAppendMessageResponse);
      auto response = decode_response(frame.operation, frame.payload);
      ASSERT_TRUE(response.has_value());
      EXPECT_EQ(response->request_id, id);
      EXPECT_EQ(response->sequence_number, number);
      EXPECT_EQ(response->status, Status::kSuccess);
    }
  }
}

TEST(DescribeAnswer, has_all_five_lists_and_the_statuses_in_order) {
  model::StreamInfo info;
  info.definition.name = "empty";
  info.definition = model::with_defaults(info.definition);
  ByteBuffer out;
  encode_describe_response("id", info, out);
  const std::string hex = testing::to_hex(out.bytes());
  for (const char* key : {"http", "iotAnalytics", "kinesis", "IotSitewise", "s3TaskExecutor"}) {
    ByteBuffer entry;
    entry.append(static_cast<std::byte>(0x60 + std::string_view(key).size()));
    entry.append(as_bytes(key));
    entry.append(std::byte{0x80});
    EXPECT_NE(hex.find(testing::to_hex(entry.bytes())), std::string::npos) << key;
  }
  EXPECT_EQ(hex.find(testing::to_hex(as_bytes("timeToLiveMillis"))), std::string::npos);
}

}  // namespace
}  // namespace weir::protocol
