#pragma once

#include "destination/s3/answers.h"
#include "destination/s3/digest.h"
#include "destination/s3/input_file.h"
#include "destination/testing/scripted_transport.h"
#include "exporter/destination.h"
#include "exporter/local_streams.h"

#include <deque>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

/// Stand-ins for S3, the other streams and the note of an export. For tests only.
namespace weir::destination::s3::fake {

using testing::answer;
using testing::SeenRequest;

inline HttpResponse refusal(int status, const std::string& code, const std::string& more = {}) {
  return answer(status,
                "<?xml version=\"1.0\"?>\n<Error><Code>" + code +
                    "</Code><Message>because</Message>" + more + "</Error>",
                {{"content-type", "application/xml"}});
}

inline Digest digest_of(const std::string& text) {
  const std::string path = ::testing::TempDir() + "weir-md5-" + std::to_string(getpid());
  std::ofstream(path) << text;
  const auto file = open_input(path, {});
  const auto digest = digest_part(**file, 0, static_cast<std::int64_t>(text.size()), false, {});
  std::filesystem::remove(path);
  return *digest;
}
inline std::string md5_of(const std::string& text) { return hex(digest_of(text).md5); }

// S3 as far as uploads need it, over a scripted transport, with path style.
struct FakeS3 {
  struct Upload {
    std::string path;
    std::map<int, std::string> parts;
  };
  std::map<std::string, std::string> objects;  // by path
  std::map<std::string, std::string> etags;
  std::map<std::string, Upload> uploads;  // by id
  int begun = 0;
  // Encrypts with a key of KMS: ETags tell nothing of the content, checksums do.
  bool encrypts = false;
  // What the next request of an operation gets instead; the operation is done anyway if `lost`.
  struct Fault {
    std::string operation;
    HttpResponse instead;
    bool done_anyway = false;
  };
  std::deque<Fault> faults;
  std::vector<std::string> operations;

  static std::string query_value(const std::string& query, const std::string& name) {
    const auto at = query.find(name + "=");
    if (at == std::string::npos) return {};
    return query.substr(at + name.size() + 1, query.find('&', at) - at - name.size() - 1);
  }
  static std::string operation_of(const SeenRequest& request, const std::string& query) {
    if (request.method == "HEAD") return "Head";
    if (request.method == "GET") return "List";
    if (request.method == "DELETE") return "Abort";
    if (request.method == "PUT") return query.empty() ? "Put" : "Part";
    return query == "uploads" ? "Create" : "Complete";
  }
  HttpResponse operator()(const SeenRequest& request) {
    const std::string rest = request.url.substr(request.url.find('/', 8));
    const auto question = rest.find('?');
    const std::string path = rest.substr(0, question);
    const std::string query = question == std::string::npos ? "" : rest.substr(question + 1);
    const std::string operation = operation_of(request, query);
    operations.push_back(operation);
    if (!faults.empty() && faults.front().operation == operation) {
      const Fault fault = faults.front();
      faults.pop_front();
      if (fault.done_anyway) static_cast<void>(serve(operation, path, query, request));
      return fault.instead;
    }
    return serve(operation, path, query, request);
  }
  HttpResponse serve(const std::string& operation, const std::string& path,
                     const std::string& query, const SeenRequest& request) {
    const std::string id = query_value(query, "uploadId");
    if (operation == "Put") {
      objects[path] = request.body;
      etags[path] = "\"" + md5_of(request.body) + "\"";
      return answer(200, "", {{"etag", etags[path]}});
    }
    if (operation == "Create") {
      uploads["u" + std::to_string(++begun)] = {path, {}};
      return answer(200,
                    "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/"
                    "2006-03-01/\"><UploadId>u" +
                        std::to_string(begun) + "</UploadId></InitiateMultipartUploadResult>");
    }
    if (operation == "Head") {
      if (!objects.contains(path)) return answer(404);
      HttpResponse head =
          answer(200, "",
                 {{"content-length", std::to_string(objects[path].size())}, {"etag", etags[path]}});
      if (request.header("x-amz-checksum-mode") == "ENABLED") {
        head.headers.push_back(
            {"x-amz-checksum-crc32", crc32_text(digest_of(objects[path]).crc32)});
      }
      return head;
    }
    const auto upload = uploads.find(id);
    if (upload == uploads.end()) return refusal(404, "NoSuchUpload");
    auto& parts = upload->second.parts;
    if (operation == "Abort") {
      uploads.erase(upload);
      return answer(204);
    }
    if (operation == "Part") {
      parts[std::stoi(query_value(query, "partNumber"))] = request.body;
      return answer(200, "", {{"etag", "\"" + etag_of(request.body) + "\""}});
    }
    if (operation == "List") {
      std::string body = "<ListPartsResult>";
      for (const auto& [number, content] : parts) {
        body += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>&quot;" +
                etag_of(content) + "&quot;</ETag><Size>" + std::to_string(content.size()) +
                "</Size>";
        if (encrypts) {
          body += "<ChecksumCRC32>" + crc32_text(digest_of(content).crc32) + "</ChecksumCRC32>";
        }
        body += "</Part>";
      }
      return answer(200, body + "<IsTruncated>false</IsTruncated></ListPartsResult>");
    }
    std::string whole;
    for (const auto& [number, content] : parts) whole += content;
    objects[path] = whole;
    etags[path] = "\"" + (encrypts ? "opaque-3" : multipart_md5(parts)) + "\"";
    uploads.erase(upload);
    return answer(200,
                  "\n  <CompleteMultipartUploadResult><ETag>x</ETag>"
                  "</CompleteMultipartUploadResult>");
  }
  [[nodiscard]] std::string etag_of(const std::string& content) const {
    const std::string md5 = md5_of(content);
    return encrypts ? std::string(md5.rbegin(), md5.rend()) : md5;
  }
  static std::string multipart_md5(const std::map<int, std::string>& parts) {
    std::vector<Digest> digests;
    for (const auto& [number, content] : parts) {
      const std::string text = md5_of(content);
      Digest digest;
      for (std::size_t i = 0; i < digest.md5.size(); ++i) {
        digest.md5[i] = static_cast<std::byte>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
      }
      digests.push_back(digest);
    }
    return multipart_etag(digests);
  }
};

class FakeStreams final : public exporter::LocalStreams {
 public:
  Result<SequenceNumber> append(const std::string& stream, Bytes payload,
                                const std::stop_token& stop) override {
    if (stop.stop_requested()) return fail(Errc::kCancelled, "stopped");
    if (refuse) return fail(*refuse);
    told[stream].emplace_back(as_text(payload));
    if (cancel_after-- == 0) return fail(Errc::kCancelled, "stopped, but it was appended");
    return SequenceNumber(std::ssize(told[stream]) - 1);
  }
  Result<SequenceNumber> end(const std::string& stream) override {
    if (refuse && refuse->code == Errc::kNotFound) return fail(*refuse);
    return SequenceNumber(std::ssize(told[stream]));
  }
  Result<void> read(const std::string& stream, SequenceNumber from,
                    const std::function<bool(Bytes)>& visit) override {
    for (auto i = static_cast<std::size_t>(from.value()); i < told[stream].size(); ++i) {
      if (!visit(as_bytes(told[stream][i]))) break;
    }
    return {};
  }
  std::optional<std::int64_t> time_to_live_ms(const std::string&) override { return ttl_ms; }

  std::map<std::string, std::vector<std::string>> told;
  std::optional<Error> refuse;
  int cancel_after = -1;
  std::optional<std::int64_t> ttl_ms;
};

class FakeNotes final : public exporter::Notes {
 public:
  std::string load() override { return text; }
  Result<void> save(const std::string& note) override {
    text = note;
    ++saves;
    return {};
  }
  std::string text;
  int saves = 0;
};

}  // namespace weir::destination::s3::fake
