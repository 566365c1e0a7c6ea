// Every exchange that official SDKs were seen to make, byte for byte, in both directions.

#include "protocol/codec.h"
#include "protocol/testing.h"

#include <gtest/gtest.h>

namespace weir::protocol {
namespace {

using testing::frame_of;
using testing::Vector;
using testing::vectors;

constexpr std::string_view kId = "11111111-2222-4333-8444-555555555555";

model::StreamDefinition some_stream() {
  model::StreamDefinition definition;
  definition.name = "SomeStream";
  definition.max_size = 268'435'456;
  definition.stream_segment_size = 16'777'216;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  return definition;
}

model::ExportConfig k1() {
  model::ExportConfig config;
  config.type = model::ExportType::kKinesis;
  config.identifier = "k1";
  config.target = "kds";
  return config;
}

const std::string& hex_of(const std::string& name, bool request) {
  for (const Vector& vector : vectors()) {
    if (vector.name == name) return request ? vector.request : vector.response;
  }
  static const std::string none;
  ADD_FAILURE() << "no vector named " << name;
  return none;
}

std::string encoded(const Request& request) {
  ByteBuffer out;
  encode_request(request, out);
  return testing::to_hex(out.bytes());
}

template <class T>
T decoded(const std::string& name, DecodeScratch& scratch, std::string& bytes) {
  bytes = testing::from_hex(hex_of(name, true));
  const Frame frame = frame_of(bytes);
  auto request = decode_request(frame.operation, frame.payload, scratch);
  EXPECT_TRUE(request.has_value()) << name << ": " << request.error().reason;
  if (!request || !std::holds_alternative<T>(*request)) {
    ADD_FAILURE() << name << " is another request";
    return T{};
  }
  return std::get<T>(*request);
}

Response answer(const std::string& name) {
  const std::string bytes = testing::from_hex(hex_of(name, false));
  const Frame frame = frame_of(bytes);
  auto response = decode_response(frame.operation, frame.payload);
  EXPECT_TRUE(response.has_value()) << name;
  return response ? *response : Response{};
}

TEST(Vectors, requests_are_understood_and_encode_to_the_same_bytes) {
  int seen = 0;
  for (const Vector& vector : vectors()) {
    if (vector.request.empty() || vector.name.starts_with("connect")) continue;
    SCOPED_TRACE(vector.name);
    const std::string bytes = testing::from_hex(vector.request);
    const Frame frame = frame_of(bytes);
    DecodeScratch scratch;
    auto request = decode_request(frame.operation, frame.payload, scratch);
    ASSERT_TRUE(request.has_value()) << request.error().reason;
    EXPECT_EQ(encoded(*request), vector.request);
    ++seen;
  }
  EXPECT_GE(seen, 11);
}

TEST(Vectors, connect_is_understood_and_encodes_to_the_same_bytes) {
  const std::string bytes = testing::from_hex(hex_of("connect", true));
  ASSERT_EQ(bytes[0], 1);
  const Frame frame = frame_of(std::string_view(bytes).substr(1));
  ASSERT_EQ(frame.operation, Operation::kConnect);
  auto request = decode_connect(frame.payload);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->request_id, kId);
  EXPECT_EQ(request->protocol_version, "1.1.0");
  EXPECT_EQ(request->other_supported_protocol_versions, std::vector<std::string>{"1.0.0"});
  EXPECT_EQ(request->sdk_version, "1.1.1");
  EXPECT_EQ(request->auth_token, "ABCDEFGHIJKLMNOP");
  ByteBuffer out;
  encode_connect(*request, out);
  EXPECT_EQ("01" + testing::to_hex(out.bytes()), hex_of("connect", true));
}

TEST(Vectors, connect_answers) {
  ConnectResponse accepted;
  accepted.request_id = kId;
  accepted.protocol_version = "1.1.0";
  accepted.supported_protocol_versions = {"1.0.0", "1.1.0"};
  accepted.server_version = "1.1.0";
  accepted.client_identifier = "client-1";
  ByteBuffer out;
  encode_connect_response(accepted, out);
  EXPECT_EQ("01" + testing::to_hex(out.bytes()), hex_of("connect", false));

  ConnectResponse refused = accepted;
  refused.status = Status::kUnauthorized;
  refused.error_message = "Unauthorized";
  refused.protocol_version.clear();
  refused.client_identifier.clear();
  out.clear();
  encode_connect_response(refused, out);
  EXPECT_EQ("01" + testing::to_hex(out.bytes()), hex_of("connect_unauthorized", false));

  const std::string bytes = testing::from_hex(hex_of("connect_unauthorized", false));
  auto seen = decode_connect_response(frame_of(std::string_view(bytes).substr(1)).payload);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->status, Status::kUnauthorized);
  EXPECT_EQ(seen->error_message, "Unauthorized");
  EXPECT_EQ(seen->supported_protocol_versions, refused.supported_protocol_versions);
}

TEST(Vectors, requests_mean_what_the_document_says) {
  DecodeScratch scratch;
  std::string bytes;
  auto create = decoded<CreateRequest>("create", scratch, bytes);
  auto expected = some_stream();
  expected.exports = {k1()};
  EXPECT_EQ(create.request_id, kId);
  EXPECT_EQ(create.definition, expected);

  const auto append = decoded<AppendRequest>("append", scratch, bytes);
  EXPECT_EQ(append.name, "SomeStream");
  EXPECT_EQ(as_text(append.payload), "hello");

  const auto read = decoded<ReadRequest>("read", scratch, bytes);
  EXPECT_EQ(read.stream_name, "SomeStream");
  EXPECT_EQ(read.desired_start, 0);
  EXPECT_EQ(read.count_min, 1);
  EXPECT_EQ(read.count_max, 10);
  EXPECT_EQ(read.timeout_ms, 1000);

  const auto plain = decoded<ReadRequest>("read_not_enough", scratch, bytes);
  EXPECT_EQ(plain.count_min, 1);
  EXPECT_EQ(plain.count_max, 1);
  EXPECT_EQ(plain.timeout_ms, 0);

  const auto update = decoded<UpdateRequest>("update_not_allowed", scratch, bytes);
  EXPECT_EQ(update.definition.persistence, model::Persistence::kMemory);
}

TEST(Vectors, plain_answers_encode_to_the_same_bytes_and_are_understood) {
  struct Case {
    const char* name;
    Operation operation;
    Status status;
    std::string_view text;
  };
  const Case cases[] = {
      {"create", Operation::kCreateMessageStreamResponse, Status::kSuccess, ""},
      {"create_exists", Operation::kCreateMessageStreamResponse, Status::kInvalidRequest,
       kTextStreamExists},
      {"read_not_enough", Operation::kReadMessagesResponse, Status::kNotEnoughMessages,
       kTextNotEnoughMessages},
      {"update", Operation::kUpdateMessageStreamResponse, Status::kSuccess, ""},
      {"update_not_allowed", Operation::kUpdateMessageStreamResponse, Status::kUpdateNotAllowed,
       kTextPersistence},
      {"delete", Operation::kDeleteMessageStreamResponse, Status::kSuccess, ""},
      {"delete_missing", Operation::kDeleteMessageStreamResponse, Status::kResourceNotFound,
       kTextNoSuchStream},
      {"unknown_op", Operation::kUnknownOperationError, Status::kUnknownOperation,
       "operation 42 is not recognized by this server"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ByteBuffer out;
    encode_status_response(c.operation, kId, c.status, c.text, out);
    EXPECT_EQ(testing::to_hex(out.bytes()), hex_of(c.name, false));
    const Response seen = answer(c.name);
    EXPECT_EQ(seen.operation, c.operation);
    EXPECT_EQ(seen.request_id, kId);
    EXPECT_EQ(seen.status, c.status);
    EXPECT_EQ(seen.error_message, c.text);
  }
}

TEST(Vectors, append_list_and_describe_answers) {
  ByteBuffer out;
  encode_append_response(kId, 0, out);
  EXPECT_EQ(testing::to_hex(out.bytes()), hex_of("append", false));
  EXPECT_EQ(answer("append").sequence_number, 0);

  const std::vector<std::string> names = {"SomeStream", "Other Stream"};
  out.clear();
  encode_list_response(kId, names, out);
  EXPECT_EQ(testing::to_hex(out.bytes()), hex_of("list", false));
  EXPECT_EQ(answer("list").streams, names);

  model::StreamInfo info;
  info.definition = model::with_defaults(some_stream());
  info.definition.exports = {k1()};
  info.storage_status = {0, 1, 7};
  info.export_statuses = {{"k1", 0, 1'700'000'000'500, "", 5, 1}};
  out.clear();
  encode_describe_response(kId, info, out);
  EXPECT_EQ(testing::to_hex(out.bytes()), hex_of("describe", false));
  EXPECT_EQ(answer("describe").info, info);
}

TEST(Vectors, read_answer) {
  const ByteVector second = {std::byte{0}, std::byte{0xff}};
  ByteBuffer out;
  ReadResponseEncoder encoder(kId, "SomeStream", 2, out);
  encoder.add(0, 1'700'000'000'000, as_bytes("hello"));
  encoder.add(1, 1'700'000'000'001, second);
  EXPECT_EQ(encoder.frame_bytes(), hex_of("read", false).size() / 2);
  encoder.finish();
  EXPECT_EQ(testing::to_hex(out.bytes()), hex_of("read", false));

  const Response seen = answer("read");
  ASSERT_EQ(seen.messages.size(), 2U);
  EXPECT_EQ(seen.messages[1], (StoredMessage{"SomeStream", 1, 1'700'000'000'001, second}));
}

TEST(Vectors, truncation_at_every_byte_never_reads_past_the_end_and_never_succeeds) {
  for (const Vector& vector : vectors()) {
    for (const std::string* hex : {&vector.request, &vector.response}) {
      std::string bytes = testing::from_hex(*hex);
      if (vector.name.starts_with("connect") && !bytes.empty()) bytes.erase(0, 1);
      for (std::size_t length = 0; length < bytes.size(); ++length) {
        // A copy of just that size, so that the address sanitizer sees a read beyond it.
        const ByteVector cut(as_bytes(bytes).begin(),
                             as_bytes(bytes).begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_EQ(split_frame(cut).kind, FrameView::Kind::kNeedMore);
        if (length <= kFrameHeadBytes) continue;
        const auto operation = static_cast<Operation>(cut[4]);
        const Bytes payload = Bytes(cut).subspan(kFrameHeadBytes);
        DecodeScratch scratch;
        EXPECT_FALSE(decode_connect(payload).has_value());
        EXPECT_FALSE(decode_append(payload, scratch).has_value());
        EXPECT_FALSE(decode_request(operation, payload, scratch).has_value());
        EXPECT_FALSE(decode_response(operation, payload).has_value());
        EXPECT_FALSE(decode_connect_response(payload).has_value());
        const auto id = find_request_id(payload);
        EXPECT_EQ(id.value_or(std::string(kId)), kId);
        EXPECT_TRUE(id.has_value() || length < 60) << vector.name << " cut to " << length;
      }
    }
  }
}

}  // namespace
}  // namespace weir::protocol
