// What clients send, right and wrong, written by another CBOR encoder (nlohmann::json).

#include "base/rng.h"
#include "protocol/codec.h"
#include "protocol/testing.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace weir::protocol {
namespace {

using nlohmann::json;
using testing::from_hex;
using ::testing::HasSubstr;

std::string cbor_of(const json& document) {
  const auto bytes = json::to_cbor(document);
  return {bytes.begin(), bytes.end()};
}

/// What became of a request: "ok", "malformed", or the text of the violations.
std::string outcome_of_bytes(Operation operation, std::string_view payload) {
  DecodeScratch scratch;
  const auto request = decode_request(operation, as_bytes(payload), scratch);
  if (request) return "ok";
  if (request.error().kind == DecodeFailure::Kind::kMalformed) return "malformed";
  EXPECT_EQ(request.error().request_id, "r1");
  return request.error().reason;
}
std::string outcome(Operation operation, const json& document) {
  return outcome_of_bytes(operation, cbor_of(document));
}

json definition_with(const char* list, json config) {
  return {{"requestId", "r1"},
          {"definition",
           {{"name", "pumps"},
            {"strategyOnFull", 1},
            {"exportDefinition", {{list, json::array({std::move(config)})}}}}}};
}

// ---- every field, in every wrong form ---------------------------------------------------------

enum class Type : std::uint8_t { kText, kInteger, kBoolean, kBytes, kMap, kList };
struct Field {
  const char* pointer;  ///< JSON pointer into the request
  const char* path;     ///< as violations name it
  Type type;
  bool required;
  std::int64_t min = 0;
  std::int64_t max = 0;
};
struct Message {
  Operation operation;
  json document;  ///< valid, every field present
  std::vector<Field> fields;
};

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMillisMax = 9'223'372'036'854;

Message create_message() {
  return {Operation::kCreateMessageStream,
          {{"requestId", "r1"},
           {"definition",
            {{"name", "pumps"},
             {"maxSize", 4096},
             {"streamSegmentSize", 2048},
             {"timeToLiveMillis", 60'000},
             {"strategyOnFull", 1},
             {"persistence", 0},
             {"flushOnWrite", true},
             {"exportDefinition", json::object()}}}},
          {{"/definition", "definition", Type::kMap, true},
           {"/definition/name", "definition.name", Type::kText, true},
           {"/definition/maxSize", "definition.maxSize", Type::kInteger, false, 1024, kMax},
           {"/definition/streamSegmentSize", "definition.streamSegmentSize", Type::kInteger, false,
            1024, 2'147'483'647},
           {"/definition/timeToLiveMillis", "definition.timeToLiveMillis", Type::kInteger, false,
            60'000, kMillisMax},
           {"/definition/strategyOnFull", "definition.strategyOnFull", Type::kInteger, true, 0, 1},
           {"/definition/persistence", "definition.persistence", Type::kInteger, false, 0, 1},
           {"/definition/flushOnWrite", "definition.flushOnWrite", Type::kBoolean, false},
           {"/definition/exportDefinition", "definition.exportDefinition", Type::kMap, false}}};
}

struct ExportForm {
  const char* list;
  const char* target;
  std::int64_t batch_size_max;
};
constexpr ExportForm kForms[] = {{"http", "uri", 500},
                                 {"iotAnalytics", "iotChannel", 100},
                                 {"kinesis", "kinesisStreamName", 500},
                                 {"IotSitewise", nullptr, 10},
                                 {"s3TaskExecutor", nullptr, 0}};

/// Pointers and paths of fields live as long as the tests.
const char* keep(std::string text) {
  static std::vector<std::unique_ptr<std::string>> kept;
  kept.push_back(std::make_unique<std::string>(std::move(text)));
  return kept.back()->c_str();
}

void add_special_fields(const ExportForm& form, json& config, const auto& add) {
  if (form.list == std::string_view("http")) {
    config["exportFormat"] = 1;
    add("exportFormat", Type::kInteger, false, 0, 1);
  } else if (form.list == std::string_view("iotAnalytics")) {
    config["iotMsgIdPrefix"] = "p";
    add("iotMsgIdPrefix", Type::kText, false, 0, 0);
  } else if (form.batch_size_max == 0) {
    config["sizeThresholdForMultipartUploadBytes"] = 5'242'880;
    add("sizeThresholdForMultipartUploadBytes", Type::kInteger, false, 5'242'880, kMax);
    config["statusConfig"] = {{"statusLevel", 2}, {"statusStreamName", "status"}};
    add("statusConfig", Type::kMap, false, 0, 0);
    add("statusConfig/statusLevel", Type::kInteger, false, 0, 4);
    add("statusConfig/statusStreamName", Type::kText, false, 0, 0);
  }
}

Message export_message(const ExportForm& form) {
  json config = {{"identifier", "e1"}, {"priority", 3}, {"disabled", false}};
  Message message{Operation::kUpdateMessageStream, {}, {}};
  const std::string list_pointer = std::string("/definition/exportDefinition/") + form.list;
  const std::string list_path = std::string("definition.exportDefinition.") + form.list;
  message.fields.push_back({keep(list_pointer), keep(list_path), Type::kList, false});
  const auto add = [&](std::string key, Type type, bool required, std::int64_t min,
                       std::int64_t max) {
    const char* pointer = keep(list_pointer + "/0/" + key);
    std::replace(key.begin(), key.end(), '/', '.');
    message.fields.push_back({pointer, keep(list_path + "[0]." + key), type, required, min, max});
  };
  add("identifier", Type::kText, true, 0, 0);
  add("priority", Type::kInteger, false, 1, 10);
  add("disabled", Type::kBoolean, false, 0, 0);
  if (form.target != nullptr) {
    config[form.target] = form.list == std::string_view("http") ? "http://t" : "t";
    add(form.target, Type::kText, true, 0, 0);
  }
  if (form.batch_size_max > 0) {
    config.update({{"batchSize", 1}, {"batchIntervalMillis", 60'000}, {"startSequenceNumber", 7}});
    add("batchSize", Type::kInteger, false, 1, form.batch_size_max);
    add("batchIntervalMillis", Type::kInteger, false, 60'000, kMillisMax);
    add("startSequenceNumber", Type::kInteger, false, 0, kMax);
  }
  add_special_fields(form, config, add);
  message.document = definition_with(form.list, config);
  return message;
}

std::vector<Message> all_messages() {
  std::vector<Message> all = {
      create_message(),
      {Operation::kAppendMessage,
       {{"requestId", "r1"}, {"name", "pumps"}, {"payload", json::binary({1, 2})}},
       {{"/name", "name", Type::kText, true}, {"/payload", "payload", Type::kBytes, true}}},
      {Operation::kReadMessages,
       {{"requestId", "r1"},
        {"streamName", "pumps"},
        {"readMessagesOptions",
         {{"desiredStartSequenceNumber", 3},
          {"minMessageCount", 1},
          {"maxMessageCount", 2'147'483'647},
          {"readTimeoutMillis", 9}}}},
       {{"/streamName", "streamName", Type::kText, true},
        {"/readMessagesOptions", "readMessagesOptions", Type::kMap, false},
        {"/readMessagesOptions/desiredStartSequenceNumber",
         "readMessagesOptions.desiredStartSequenceNumber", Type::kInteger, false, 0, kMax},
        {"/readMessagesOptions/minMessageCount", "readMessagesOptions.minMessageCount",
         Type::kInteger, false, 1, 2'147'483'647},
        {"/readMessagesOptions/maxMessageCount", "readMessagesOptions.maxMessageCount",
         Type::kInteger, false, 1, 2'147'483'647},
        {"/readMessagesOptions/readTimeoutMillis", "readMessagesOptions.readTimeoutMillis",
         Type::kInteger, false, 0, kMillisMax}}},
      {Operation::kDeleteMessageStream,
       {{"requestId", "r1"}, {"name", "pumps"}},
       {{"/name", "name", Type::kText, true}}},
      {Operation::kDescribeMessageStream,
       {{"requestId", "r1"}, {"name", "pumps"}},
       {{"/name", "name", Type::kText, true}}},
      {Operation::kListStreams, {{"requestId", "r1"}}, {}},
  };
  for (const ExportForm& form : kForms) all.push_back(export_message(form));
  return all;
}

std::vector<json> wrong_types(Type type) {
  std::vector<json> all = {
      "text", 2, -1.5, true, json::binary({1}), json::object(), json::array({json::array()})};
  const auto fits = [&](const json& value) {
    switch (type) {
      case Type::kText:
        return value.is_string();
      case Type::kInteger:
        return value.is_number_integer();
      case Type::kBoolean:
        return value.is_boolean();
      case Type::kBytes:
        return value.is_binary();
      case Type::kMap:
        return value.is_object();
      case Type::kList:
        return value.is_array();
    }
    return false;
  };
  all.erase(std::remove_if(all.begin(), all.end(), fits), all.end());
  return all;
}

class EveryField : public ::testing::Test {
 protected:
  void for_each(const auto& visit) {
    for (const Message& message : all_messages()) {
      ASSERT_EQ(outcome(message.operation, message.document), "ok") << message.document;
      for (const Field& field : message.fields) {
        SCOPED_TRACE(field.path);
        visit(message, field);
      }
    }
  }
  static std::string with(const Message& message, const Field& field, const json& value) {
    json document = message.document;
    document[json::json_pointer(field.pointer)] = value;
    return outcome(message.operation, document);
  }
};

TEST_F(EveryField, absent_and_null_are_alike) {
  for_each([](const Message& message, const Field& field) {
    json document = message.document;
    const json::json_pointer pointer(field.pointer);
    document[pointer.parent_pointer()].erase(pointer.back());
    const std::string expected = field.required ? std::string(field.path) + ": is required" : "ok";
    EXPECT_THAT(outcome(message.operation, document), HasSubstr(expected));
    EXPECT_THAT(with(message, field, nullptr), HasSubstr(expected));
  });
}

TEST_F(EveryField, of_another_type_is_named) {
  for_each([](const Message& message, const Field& field) {
    for (const json& value : wrong_types(field.type)) {
      EXPECT_THAT(with(message, field, value), HasSubstr(std::string(field.path) + ": must be "))
          << value;
    }
  });
}

TEST_F(EveryField, numbers_stay_within_their_limits_whatever_their_form) {
  for_each([](const Message& message, const Field& field) {
    if (field.type != Type::kInteger) return;
    const std::string violation = std::string(field.path) + ": must";
    for (const json& good : {json(field.min), json(field.max), json(static_cast<double>(field.min)),
                             json(static_cast<float>(field.min))}) {
      if (field.path == std::string_view("readMessagesOptions.minMessageCount") ||
          good != field.min ||
          field.path != std::string_view("readMessagesOptions.maxMessageCount")) {
        EXPECT_EQ(with(message, field, good), "ok") << good;
      }
    }
    EXPECT_THAT(with(message, field, field.min - 1), HasSubstr(violation));
    EXPECT_THAT(with(message, field, std::numeric_limits<std::int64_t>::min()),
                HasSubstr(violation));
    if (field.max < kMax) {
      EXPECT_THAT(with(message, field, field.max + 1), HasSubstr(violation));
    }
    EXPECT_THAT(with(message, field, std::uint64_t{1} << 63U), HasSubstr(violation));
    for (const double bad : {static_cast<double>(field.min) + 0.5, std::nan(""), 1e300, -1e300,
                             std::numeric_limits<double>::infinity(), 18446744073709551616.0}) {
      EXPECT_THAT(with(message, field, bad), HasSubstr(violation)) << bad;
    }
  });
}

TEST_F(EveryField, text_must_be_utf8_and_names_must_be_names) {
  for_each([](const Message& message, const Field& field) {
    if (field.type != Type::kText) return;
    EXPECT_THAT(with(message, field, "\xc3"), HasSubstr(std::string(field.path) + ": must be"));
    const std::string_view path = field.path;
    const bool is_name = path.ends_with("ame") && !path.ends_with("kinesisStreamName");
    if (!is_name && !path.ends_with("identifier")) return;
    for (const char* good : {".", "..", " ", "a b", "A", "x,y.z-_0"}) {
      EXPECT_EQ(with(message, field, good), "ok") << good;
    }
    EXPECT_EQ(with(message, field, std::string(255, 'n')), "ok");
    for (const std::string& bad : {std::string(), std::string(256, 'n'), std::string("a/b"),
                                   std::string("temp\xc3\xa9rature"), std::string("a\nb"),
                                   std::string("a\0b", 3), std::string("a:b")}) {
      EXPECT_THAT(with(message, field, bad), HasSubstr(std::string(path) + ": must")) << bad;
    }
  });
}

// ---- quirks of the official clients (protocol.md §11) -----------------------------------------

TEST(Quirks, java_sends_indefinite_maps_and_node_one_space_as_id) {
  DecodeScratch scratch;
  const std::string java = from_hex(
      "bf69726571756573744964782431313131313131312d323232322d343333332d383434342d353535353535353535"
      "35"
      "3535646e616d656a536f6d6553747265616d677061796c6f61644568656c6c6fff");
  const std::string node = from_hex(
      "a3697265717565737449646120646e616d656a536f6d6553747265616d677061796c6f61644568656c6c6f");
  for (const std::string& bytes : {java, node}) {
    const auto append = decode_append(as_bytes(bytes), scratch);
    ASSERT_TRUE(append.has_value());
    EXPECT_EQ(append->name, "SomeStream");
    EXPECT_EQ(as_text(append->payload), "hello");
    EXPECT_EQ(append->request_id, bytes == node ? " " : "11111111-2222-4333-8444-555555555555");
  }
}

TEST(Quirks, java_connects_with_an_empty_token) {
  const std::string bytes = from_hex(
      "bf69726571756573744964782431313131313131312d323232322d343333332d383434342d353535353535353535"
      "35"
      "35356f70726f746f636f6c56657273696f6e65312e312e30781e6f74686572537570706f7274656450726f746f63"
      "6f"
      "6c56657273696f6e738165312e302e306a73646b56657273696f6e65312e312e306961757468546f6b656e60ff");
  const auto connect = decode_connect(as_bytes(bytes));
  ASSERT_TRUE(connect.has_value());
  EXPECT_EQ(connect->auth_token, "");
  EXPECT_EQ(connect->protocol_version, "1.1.0");
}

TEST(Quirks, java_splits_long_text_into_chunks) {
  const std::string uri = "http://127.0.0.1/" + std::string(10'000, 'u');
  std::string chunked = "\x7f";
  for (std::size_t at = 0; at < uri.size(); at += 3996) {
    ByteBuffer chunk;
    const std::string part = uri.substr(at, 3996);
    // Always two bytes of length, shortest form or not.
    chunk.append(std::byte{0x79});
    chunk.append(static_cast<std::byte>(part.size() >> 8U));
    chunk.append(static_cast<std::byte>(part.size() & 0xffU));
    chunk.append(as_bytes(part));
    chunked += as_text(chunk.bytes());
  }
  chunked += "\xff";
  std::string bytes = cbor_of(definition_with("http", {{"identifier", "h"}, {"uri", "@"}}));
  bytes.replace(bytes.find("\x61@"), 2, chunked);
  DecodeScratch scratch;
  const auto request = decode_request(Operation::kCreateMessageStream, as_bytes(bytes), scratch);
  ASSERT_TRUE(request.has_value()) << request.error().reason;
  EXPECT_EQ(std::get<CreateRequest>(*request).definition.exports.at(0).target, uri);
}

TEST(Quirks, node_sends_large_numbers_as_floats) {
  const auto max_size = [](const char* hex) {
    std::string bytes = from_hex(
        "a2697265717565737449646272316a646566696e6974696f6e"
        "a3646e616d6561736e73747261746567794f6e46756c6c00676d617853697a65");
    return bytes + from_hex(hex);
  };
  DecodeScratch scratch;
  const std::string largest = max_size("fa5f000000");
  const auto request = decode_request(Operation::kCreateMessageStream, as_bytes(largest), scratch);
  ASSERT_TRUE(request.has_value()) << request.error().reason;
  EXPECT_EQ(std::get<CreateRequest>(*request).definition.max_size, kMax);
  EXPECT_EQ(outcome_of_bytes(Operation::kCreateMessageStream, max_size("fa45000800")),
            "definition.maxSize: must be a whole number");
  EXPECT_EQ(outcome_of_bytes(Operation::kCreateMessageStream, max_size("f97e00")),
            "definition.maxSize: must be a whole number");
}

TEST(Quirks, empty_lists_and_maps_are_the_same_as_none) {
  json document = definition_with("http", {});
  document["definition"]["exportDefinition"] = {{"http", json::array()}, {"kinesis", nullptr}};
  DecodeScratch scratch;
  const std::string bytes = cbor_of(document);
  const auto request = decode_request(Operation::kCreateMessageStream, as_bytes(bytes), scratch);
  ASSERT_TRUE(request.has_value());
  EXPECT_TRUE(std::get<CreateRequest>(*request).definition.exports.empty());
}

TEST(Quirks, a_read_without_maximum_takes_the_minimum) {
  json document = {{"requestId", "r1"},
                   {"streamName", "s"},
                   {"readMessagesOptions", {{"minMessageCount", 100}}}};
  DecodeScratch scratch;
  std::string bytes = cbor_of(document);
  const auto request = decode_request(Operation::kReadMessages, as_bytes(bytes), scratch);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(std::get<ReadRequest>(*request).count_min, 100);
  EXPECT_EQ(std::get<ReadRequest>(*request).count_max, 100);
  document["readMessagesOptions"]["maxMessageCount"] = 99;
  EXPECT_EQ(outcome(Operation::kReadMessages, document),
            "readMessagesOptions.maxMessageCount: must not be less than minMessageCount");
}

// ---- bad requests -----------------------------------------------------------------------------

TEST(BadRequest, without_a_usable_id_it_cannot_be_answered) {
  const json bad_ids[] = {nullptr, 7, "", json::binary({1}), std::string(1025, 'x'), "\xff"};
  for (json document : {json{{"name", "s"}, {"payload", json::binary({1})}}}) {
    EXPECT_EQ(outcome(Operation::kAppendMessage, document), "malformed");
    for (const json& id : bad_ids) {
      document["requestId"] = id;
      EXPECT_EQ(outcome(Operation::kAppendMessage, document), "malformed") << id;
      EXPECT_EQ(outcome(Operation::kListStreams, document), "malformed") << id;
    }
  }
  for (const json& document : {json::array(), json("text"), json(7), json(nullptr)}) {
    EXPECT_EQ(outcome(Operation::kListStreams, document), "malformed") << document;
  }
  const std::string sound = cbor_of({{"requestId", "r1"}});
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, sound), "ok");
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, sound + '\0'), "malformed");
  EXPECT_EQ(
      outcome_of_bytes(Operation::kListStreams, cbor_of({{"requestId", std::string(1024, 'r')}})),
      "ok");
}

TEST(BadRequest, a_key_given_twice_is_refused_and_an_unknown_key_ignored) {
  const auto list_request = [](const char* more) {
    return from_hex(
        "bf6972657175657374496462723"
        "1" +
        std::string(more) + "ff");
  };
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, list_request("")), "ok");
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, list_request("6178a1616100")), "ok");
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, list_request("0001")), "ok")
      << "a number as key";
  EXPECT_EQ(outcome_of_bytes(Operation::kListStreams, list_request("69726571756573744964627231")),
            "requestId: is given twice");
  EXPECT_THAT(outcome_of_bytes(Operation::kListStreams, list_request("61780061 7801")),
              HasSubstr("unknown key twice"));
  EXPECT_THAT(outcome_of_bytes(Operation::kListStreams, list_request("61ff00")),
              HasSubstr("a key that is not valid UTF-8"));
  json document = definition_with("IotSitewise", {{"identifier", "a"}});
  document["definition"]["exportDefinition"]["iotSitewise"] = json::array();
  EXPECT_THAT(outcome(Operation::kCreateMessageStream, document), HasSubstr("is given twice"));
}

TEST(BadRequest, everything_wrong_is_named_in_one_answer_of_bounded_size) {
  json document = {
      {"requestId", "r1"},
      {"definition",
       {{"name", "a/b"},
        {"maxSize", 1},
        {"strategyOnFull", 2},
        {"exportDefinition",
         {{"kinesis",
           json::array(
               {{{"identifier", "k"}, {"kinesisStreamName", "x"}, {"batchSize", 501}}})}}}}}};
  EXPECT_EQ(outcome(Operation::kCreateMessageStream, document),
            "definition.strategyOnFull: must be 0 (RejectNewData) or 1 (OverwriteOldestData); "
            "definition.name: must consist of the letters A-Z and a-z, digits, space and _ , . -; "
            "definition.maxSize: must be at least 1024; "
            "definition.exportDefinition.kinesis[0].batchSize: must be from 1 to 500");
  document["definition"]["exportDefinition"]["http"] =
      json(std::vector<json>(5000, {{"priority", 11}}));
  const std::string many = outcome(Operation::kCreateMessageStream, document);
  EXPECT_LT(many.size(), 4096U);
  EXPECT_THAT(many, ::testing::EndsWith("; and more"));
}

TEST(BadRequest, a_uri_that_no_export_could_use_is_refused_with_the_reason) {
  const auto reason_for = [](const char* uri) {
    DecodeScratch scratch;
    const std::string bytes = cbor_of(definition_with("http", {{"identifier", "h"}, {"uri", uri}}));
    const auto request = decode_request(Operation::kUpdateMessageStream, as_bytes(bytes), scratch);
    return request ? std::string() : request.error().reason;
  };
  for (const char* uri : {"http://a", "https://a/", "http://a:1/x?y=z@w", "http://[::1]:65535/",
                          "http://[::1]", "http://127.0.0.1:8080/in"}) {
    EXPECT_EQ(reason_for(uri), "") << uri;
  }
  const std::pair<const char*, const char*> wrong[] = {
      {"ftp://a/", "begin with http://"},
      {"a", "begin with http://"},
      {"file:///etc/passwd", "begin with"},
      {"http://", "name a host"},
      {"http:///x", "name a host"},
      {"http://:80/", "name a host"},
      {"http://u:p@a/", "user information"},
      {"http://a:0/", "port"},
      {"http://a:65536/", "port"},
      {"http://a:/", "port"},
      {"http://a:x/", "port"},
      {"http://a/#f", "fragment"},
      {"http://a/ b", "spaces"},
      {"http://a/\n", "control"},
  };
  for (const auto& [uri, part] : wrong) {
    EXPECT_THAT(reason_for(uri), ::testing::AllOf(::testing::HasSubstr("http[0].uri: must"),
                                                  ::testing::HasSubstr(part)))
        << uri;
  }
}

TEST(BadRequest, exports_are_limited_and_their_identifiers_unique_across_types) {
  const auto with_exports = [](int http, int kinesis) {
    json document = definition_with("http", {});
    json& exports = document["definition"]["exportDefinition"];
    exports = {{"http", json::array()}, {"kinesis", json::array()}};
    for (int i = 0; i < http; ++i) {
      exports["http"].push_back({{"identifier", "h" + std::to_string(i)}, {"uri", "http://u"}});
    }
    for (int i = 0; i < kinesis; ++i) {
      exports["kinesis"].push_back(
          {{"identifier", "k" + std::to_string(i)}, {"kinesisStreamName", "u"}});
    }
    return document;
  };
  EXPECT_EQ(outcome(Operation::kCreateMessageStream, with_exports(32, 32)), "ok");
  EXPECT_THAT(outcome(Operation::kCreateMessageStream, with_exports(32, 33)),
              HasSubstr("definition.exportDefinition: must have at most 64 exports"));
  json document = with_exports(2, 2);
  document["definition"]["exportDefinition"]["kinesis"][1]["identifier"] = "h1";
  EXPECT_EQ(outcome(Operation::kCreateMessageStream, document),
            "definition.exportDefinition.kinesis[1].identifier: is the same as "
            "definition.exportDefinition.http[1].identifier");
}

TEST(BadRequest, limits_of_text_count_characters) {
  const auto prefixed = [](std::string prefix) {
    return definition_with(
        "iotAnalytics",
        {{"identifier", "a"}, {"iotChannel", "c"}, {"iotMsgIdPrefix", std::move(prefix)}});
  };
  std::string euros;
  for (int i = 0; i < 32; ++i) euros += "\xe2\x82\xac";
  EXPECT_EQ(outcome(Operation::kCreateMessageStream, prefixed("")), "ok");
  EXPECT_EQ(outcome(Operation::kCreateMessageStream, prefixed(euros)), "ok");
  EXPECT_THAT(outcome(Operation::kCreateMessageStream, prefixed(euros + "x")),
              HasSubstr("iotMsgIdPrefix: must have at most 32 characters"));
}

TEST(BadRequest, a_status_stream_is_another_stream) {
  EXPECT_THAT(outcome(Operation::kCreateMessageStream,
                      definition_with("s3TaskExecutor",
                                      {{"identifier", "s"},
                                       {"statusConfig", {{"statusStreamName", "pumps"}}}})),
              HasSubstr("statusStreamName: must not be the stream itself"));
}

TEST(Definition, exports_come_grouped_by_type_under_any_spelling) {
  json document = definition_with("s3TaskExecutor", {{"identifier", "s"}});
  json& exports = document["definition"]["exportDefinition"];
  exports["iotSiteWise"] = json::array({{{"identifier", "w"}}});
  exports["kinesis"] = json::array({{{"identifier", "k0"}, {"kinesisStreamName", "x"}},
                                    {{"identifier", "k1"}, {"kinesisStreamName", "x"}}});
  exports["http"] = json::array({{{"identifier", "h"}, {"uri", "http://u"}, {"batchSize", 9}}});
  exports["s3TaskExecutor"][0]["batchSize"] = "not a field of this type";
  DecodeScratch scratch;
  const std::string bytes = cbor_of(document);
  const auto request = decode_request(Operation::kUpdateMessageStream, as_bytes(bytes), scratch);
  ASSERT_TRUE(request.has_value()) << request.error().reason;
  std::vector<std::string> identifiers;
  for (const auto& config : std::get<UpdateRequest>(*request).definition.exports) {
    identifiers.push_back(config.identifier);
  }
  EXPECT_EQ(identifiers, (std::vector<std::string>{"h", "k0", "k1", "w", "s"}));
}

TEST(Definition, options_of_another_type_are_refused_when_they_come_from_configuration) {
  model::StreamDefinition definition;
  definition.name = "s";
  model::ExportConfig config;
  config.type = model::ExportType::kFile;
  config.identifier = "f";
  config.target = "out";
  config.batch_interval_ms = 1000;
  definition.exports = {config};
  EXPECT_EQ(validate(definition, "streams[0]"), "");
  definition.exports[0].export_format = model::ExportFormat::kJsonBatched;
  EXPECT_EQ(validate(definition, "streams[0]"),
            "streams[0].exportDefinition.file[0].exportFormat: is not an option of file");
  definition.exports[0].export_format.reset();
  definition.exports[0].target.clear();
  EXPECT_THAT(validate(definition, ""), HasSubstr("must not be empty"));
  EXPECT_EQ(validate_name("ok", "name"), "");
  EXPECT_THAT(validate_name("a/b", "name"), HasSubstr("name: must consist of"));
}

// ---- the id of what cannot be read whole ------------------------------------------------------

TEST(RequestId, is_found_at_the_start_of_a_frame_that_is_too_large) {
  const std::string whole =
      cbor_of({{"requestId", "r1"}, {"zpayload", json::binary(std::vector<std::uint8_t>(5000))}});
  EXPECT_EQ(find_request_id(as_bytes(whole.substr(0, 64))), "r1");
  const std::string later =
      cbor_of({{"name", "s"}, {"a", json::array({1, json::array({2})})}, {"requestId", "r2"}});
  EXPECT_EQ(find_request_id(as_bytes(later)), "r2");
  EXPECT_EQ(find_request_id(as_bytes(whole.substr(0, 8))), std::nullopt);
  EXPECT_EQ(find_request_id({}), std::nullopt);
  EXPECT_EQ(find_request_id(as_bytes(cbor_of({{"requestId", ""}}))), std::nullopt);
  EXPECT_EQ(find_request_id(as_bytes(from_hex("bbffffffffffffffff69726571756573744964627231"))),
            "r1")
      << "the declared count does not matter here";
  DecodeScratch scratch;
  EXPECT_EQ(*decode_request_id(as_bytes(later), scratch), "r2");
  EXPECT_FALSE(decode_request_id(as_bytes(later + "x"), scratch).has_value());
}

// ---- the fast path ----------------------------------------------------------------------------

/// Both paths must say the same of any bytes. True if they accepted them.
bool paths_agree(Bytes payload) {
  DecodeScratch fast_scratch;
  DecodeScratch general_scratch;
  const auto fast = decode_append(payload, fast_scratch);
  const auto general = decode_append_any(payload, general_scratch);
  EXPECT_EQ(fast.has_value(), general.has_value());
  if (fast.has_value() != general.has_value()) return false;
  if (!fast) {
    EXPECT_EQ(fast.error().kind, general.error().kind);
    EXPECT_EQ(fast.error().request_id, general.error().request_id);
    EXPECT_EQ(fast.error().reason, general.error().reason);
    return false;
  }
  EXPECT_EQ(fast->request_id, general->request_id);
  EXPECT_EQ(fast->name, general->name);
  EXPECT_EQ(testing::to_hex(fast->payload), testing::to_hex(general->payload));
  return true;
}

std::string append_with(const std::string& id, const std::string& name,
                        const std::string& payload) {
  ByteBuffer out;
  encode_request(AppendRequest{id, name, as_bytes(payload)}, out);
  return std::string(as_text(out.bytes())).substr(kFrameHeadBytes);
}

TEST(FastAppend, agrees_with_the_general_path_on_every_length) {
  for (const std::size_t id : {0U, 1U, 23U, 24U, 255U, 256U, 1024U, 1025U}) {
    for (const std::size_t name : {0U, 1U, 23U, 24U, 255U, 256U}) {
      for (const std::size_t payload : {0U, 1U, 23U, 24U, 255U, 256U, 65'535U, 65'536U}) {
        const std::string bytes =
            append_with(std::string(id, 'i'), std::string(name, 'n'), std::string(payload, '\xaa'));
        const bool valid = id > 0 && id <= 1024 && name > 0 && name <= 255 && payload > 0;
        EXPECT_EQ(paths_agree(as_bytes(bytes)), valid) << id << " " << name << " " << payload;
      }
    }
  }
}

TEST(FastAppend, agrees_with_the_general_path_on_every_changed_byte) {
  const std::string bytes = append_with("id-1", "pumps", "payload");
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      paths_agree(as_bytes(changed));
    }
    paths_agree(as_bytes(bytes.substr(0, at)));
  }
  paths_agree(as_bytes(bytes + '\0'));
}

TEST(FastAppend, agrees_with_the_general_path_on_random_changes) {
  constexpr std::uint64_t kSeed = 4711;
  Rng rng(kSeed);
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + " change " + std::to_string(i));
    std::string bytes = append_with("id", "n", std::string(1 + rng.below(30), 'p'));
    if (rng.chance(0.5)) {
      bytes[0] = '\xbf';
      bytes += '\xff';
    }
    for (std::uint64_t n = rng.below(3); n > 0; --n) {
      const std::size_t at = rng.below(bytes.size());
      if (rng.chance(0.3)) {
        bytes.insert(at, 1, static_cast<char>(rng.below(256)));
      } else {
        bytes[at] ^= static_cast<char>(1U << rng.below(8));
      }
    }
    const ByteVector exact(as_bytes(bytes).begin(), as_bytes(bytes).end());
    accepted += paths_agree(exact) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(accepted, 10'000);
}

}  // namespace
}  // namespace weir::protocol
