#include "base/bytes.h"
#include "base/check.h"
#include "connector/envelope.h"
#include "connector/reader.h"
#include "destination/http_transport.h"
#include "destination/s3/answers.h"
#include "destination/s3/task.h"
#include "destination/url.h"
#include "mqtt/client.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

// What applications ask for in a message, and what S3 says: task documents, URLs, keys, messages of
// the Firehose connector, answers in XML. The first byte chooses which. The JSON library is the
// oracle for documents that we take.
namespace {

using namespace weir;

void check_path(const std::string& path) {
  WEIR_CHECK(path.size() <= destination::s3::kPathBytesMax, "a path beyond its bound");
  WEIR_CHECK(path.starts_with('/'), "a path that is not absolute");
  WEIR_CHECK(path.find('\0') == std::string::npos, "a path with a NUL");
  WEIR_CHECK((path + "/").find("/../") == std::string::npos, "a path that climbs");
}

void task(Bytes document) {
  const auto read = destination::s3::read_task(document);
  if (!read.echo.empty()) {
    const auto echo = nlohmann::json::parse(read.echo, nullptr, false);
    WEIR_CHECK(echo.is_object(), "an echo that applications cannot read");
  }
  if (!read.task) {
    WEIR_CHECK(!read.task.error().what.empty(), "a refusal that says nothing");
    return;
  }
  const auto again = nlohmann::json::parse(as_text(document), nullptr, false);
  WEIR_CHECK(again.is_object(), "a document that is no JSON was taken");
  WEIR_CHECK(again.at("bucket") == read.task->bucket, "another bucket than asked for");
  WEIR_CHECK(destination::s3::is_bucket_name(read.task->bucket), "no name of a bucket");
  WEIR_CHECK(read.task->metadata.size() <= destination::s3::kMetadataBytesMax, "too much metadata");
  check_path(read.task->path);
  if (const auto key = destination::s3::resolve_key(read.task->key, 1'700'000'000'000)) {
    WEIR_CHECK(!key->key.empty() && key->key.size() <= destination::s3::kKeyBytesMax, "no key");
  }
}

void url(std::string_view text) {
  if (const auto path = destination::s3::path_of_url(text)) check_path(*path);
  const auto parsed = destination::parse_url(text);
  if (!parsed) return;
  const auto again = destination::parse_url(parsed->text());
  WEIR_CHECK(again && again->text() == parsed->text(),
             "an address that is not the same when read again");
  WEIR_CHECK(!parsed->host.empty() && parsed->port != 0, "an address of nothing");
}

void key(std::string_view text, std::int64_t wall_ms) {
  const auto resolved = destination::s3::resolve_key(text, wall_ms);
  if (!resolved) return;
  WEIR_CHECK(!resolved->key.empty() && resolved->key.size() <= destination::s3::kKeyBytesMax,
             "no key");
  WEIR_CHECK(resolved->had_placeholder || resolved->key == text, "a key that changed by itself");
}

// A message on one of the two topics of a connector: up to the first line end the topic's rest.
void record(std::string_view text) {
  connector::Options options;
  options.default_target = {"aws", "eu-west-1", "123456789012", "plant"};
  connector::Reader reader(options);
  const std::size_t line = std::min(text.find('\n'), text.size());
  const std::string topic =
      line == 0 ? options.message_topic
                : std::string(options.binary_prefix()) + std::string(text.substr(0, line));
  connector::Group group;
  const char* const refused = reader.read(
      {topic, as_bytes(text.substr(std::min(line + 1, text.size()))), false, false, {}}, group);
  WEIR_CHECK(group.items.size() <= 1, "one message became many");
  for (const auto& item : group.items) {
    WEIR_CHECK((item.refusal >= 0) == (refused != nullptr), "refused and taken at once");
    if (item.refusal >= 0) continue;
    const auto stored = connector::read_envelope(group.envelope(item));
    WEIR_CHECK(stored.has_value(), "stored in an envelope that cannot be opened");
    WEIR_CHECK(stored->id.size() <= connector::kIdBytesMax, "an id beyond its bound");
    WEIR_CHECK(stored->data.size() <= connector::kDataBytesMax, "data beyond its bound");
    WEIR_CHECK(item.target < group.targets.size(), "a record for nowhere");
  }
}

void answer(std::string_view body, int status) {
  destination::HttpResponse response;
  response.status = status;
  response.body = body;
  static_cast<void>(destination::s3::region_named(response));
  static_cast<void>(destination::s3::read_s3_error(response).text(status));
  static_cast<void>(destination::s3::read_complete(response));
  if (const auto id = destination::s3::read_upload_id(body)) {
    WEIR_CHECK(!id->empty(), "an upload without an id");
  }
  if (const auto page = destination::s3::read_parts(body)) {
    for (const auto& part : page->parts) {
      WEIR_CHECK(part.number >= 1 && part.bytes >= 0, "a part that cannot be");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      task(as_bytes(text));
      break;
    case 1:
      url(text);
      break;
    case 2:
      // Centuries back and ahead.
      key(text, (static_cast<std::int64_t>(data[0]) - 100) * 50'000'000'000);
      break;
    case 3:
      record(text);
      break;
    default:
      answer(text, data[0] % 2 == 0 ? 200 : 409);
  }
  return 0;
}
