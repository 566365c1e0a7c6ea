#include "destination/s3/answers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <pugixml.hpp>

namespace weir::destination::s3 {
namespace {

using exporter::FailureClass;

// Those of S3 have about 130. It becomes part of addresses.
constexpr std::size_t kUploadIdBytesMax = 1024;

struct Row {
  std::string_view code;
  FailureClass failure;
};

// destinations.md §8.6; what stands in no row is looked for among the codes of all services.
constexpr std::array kRows = {
    Row{"InternalError", FailureClass::kTransient},
    Row{"ServiceUnavailable", FailureClass::kTransient},
    Row{"RequestTimeout", FailureClass::kTransient},
    Row{"BadDigest", FailureClass::kTransient},
    Row{"XAmzContentSHA256Mismatch", FailureClass::kTransient},
    Row{"InvalidDigest", FailureClass::kTransient},
    Row{"OperationAborted", FailureClass::kTransient},
    Row{"ConditionalRequestConflict", FailureClass::kTransient},
    Row{"TemporaryRedirect", FailureClass::kTransient},

    Row{"SlowDown", FailureClass::kThrottle},
    Row{"TooManyRequests", FailureClass::kThrottle},

    Row{"ExpiredToken", FailureClass::kCredentials},
    Row{"TokenRefreshRequired", FailureClass::kCredentials},
    Row{"InvalidToken", FailureClass::kCredentials},
    Row{"InvalidAccessKeyId", FailureClass::kCredentials},

    Row{"RequestTimeTooSkewed", FailureClass::kClock},
    Row{"SignatureDoesNotMatch", FailureClass::kClock},

    Row{"AccessDenied", FailureClass::kOperator},
    Row{"AllAccessDisabled", FailureClass::kOperator},
    Row{"AccountProblem", FailureClass::kOperator},
    Row{"NoSuchBucket", FailureClass::kOperator},
    Row{"PermanentRedirect", FailureClass::kOperator},
    Row{"AuthorizationHeaderMalformed", FailureClass::kOperator},
    Row{"InvalidObjectState", FailureClass::kOperator},
    Row{"InvalidStorageClass", FailureClass::kOperator},

    Row{"KeyTooLongError", FailureClass::kPoison},
    Row{"EntityTooLarge", FailureClass::kPoison},
    Row{"MetadataTooLarge", FailureClass::kPoison},
    Row{"InvalidArgument", FailureClass::kPoison},

    Row{"NotImplemented", FailureClass::kBug},
    Row{"NoSuchUpload", FailureClass::kBug},
    Row{"InvalidPart", FailureClass::kBug},
    Row{"InvalidPartOrder", FailureClass::kBug},
    Row{"EntityTooSmall", FailureClass::kBug},
};

FailureClass class_of(std::string_view code, std::string_view message, int status) {
  const auto* row =
      std::find_if(kRows.begin(), kRows.end(), [code](const Row& r) { return r.code == code; });
  if (row != kRows.end()) return row->failure;
  if (code.starts_with("KMS.")) return FailureClass::kOperator;
  if (const auto known = classify_aws_code(code, message); known != FailureClass::kNone) {
    return known;
  }
  return classify_status(status);
}

// An answer without a code is no refusal by S3: a proxy, a captive portal, or an answer to HEAD.
FailureClass class_without_code(int status) {
  const FailureClass failure = classify_status(status);
  return failure == FailureClass::kPoison || failure == FailureClass::kBug ? FailureClass::kOperator
                                                                           : failure;
}

bool parse(std::string_view body, pugi::xml_document& document) {
  // Neither document types nor entities beyond the five of XML are expanded.
  return document.load_buffer(body.data(), body.size(), pugi::parse_default, pugi::encoding_utf8)
             .status == pugi::status_ok;
}

std::string text_of(const pugi::xml_node& node, const char* name) {
  return node.child(name).text().get();
}

std::optional<std::int64_t> number_of(const pugi::xml_node& node, const char* name) {
  const std::string text = text_of(node, name);
  std::int64_t value = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc{} || end != last || value < 0) return std::nullopt;
  return value;
}

void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        to += "&amp;";
        break;
      case '<':
        to += "&lt;";
        break;
      case '>':
        to += "&gt;";
        break;
      case '"':
        to += "&quot;";
        break;
      default:
        to += c;
    }
  }
}

AwsError error_in(const pugi::xml_node& node, int status) {
  AwsError error;
  error.code = text_of(node, "Code");
  error.message = text_of(node, "Message");
  error.failure =
      error.code.empty() ? class_without_code(status) : class_of(error.code, error.message, status);
  return error;
}

}  // namespace

AwsError read_s3_error(const HttpResponse& response) {
  pugi::xml_document document;
  if (!parse(response.body, document)) {
    AwsError error;
    error.failure = class_without_code(response.status);
    return error;
  }
  return error_in(document.child("Error"), response.status);
}

bool ends_task(FailureClass failure, std::string_view code) {
  if (code.empty() || blames_secret(code, {})) return false;
  return failure == FailureClass::kPoison || failure == FailureClass::kBug ||
         failure == FailureClass::kOperator;
}

std::string region_named(const HttpResponse& response) {
  std::string region(response.header("x-amz-bucket-region"));
  if (region.empty()) {
    pugi::xml_document document;
    if (parse(response.body, document)) region = text_of(document.child("Error"), "Region");
  }
  // It becomes part of a host name.
  const bool valid =
      !region.empty() && region.size() <= 63 &&
      region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  return valid ? region : std::string();
}

Result<std::string> read_upload_id(std::string_view body) {
  pugi::xml_document document;
  if (parse(body, document)) {
    auto id = text_of(document.child("InitiateMultipartUploadResult"), "UploadId");
    if (!id.empty() && id.size() <= kUploadIdBytesMax) return id;
  }
  return fail(Errc::kCorrupt, "the answer names no upload");
}

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

Result<PartsPage> read_parts(std::string_view body) {
  pugi::xml_document document;
  const auto unreadable = [] { return fail(Errc::kCorrupt, "the answer is no list of parts"); };
  if (!parse(body, document)) return unreadable();
  const auto list = document.child("ListPartsResult");
  if (list.empty()) return unreadable();
  PartsPage page;
  for (const auto& node : list.children("Part")) {
    const auto number = number_of(node, "PartNumber");
    const auto bytes = number_of(node, "Size");
    if (!number || *number < 1 || !bytes || *bytes < 0) return unreadable();
    page.parts.push_back({*number, text_of(node, "ETag"), *bytes, text_of(node, "ChecksumCRC32")});
  }
  if (text_of(list, "IsTruncated") == "true") {
    page.next_marker = number_of(list, "NextPartNumberMarker");
    if (!page.next_marker) return unreadable();
  }
  return page;
}

Result<std::optional<AwsError>> read_complete(const HttpResponse& response) {
  pugi::xml_document document;
  if (parse(response.body, document)) {
    if (!document.child("CompleteMultipartUploadResult").empty()) {
      return std::optional<AwsError>();
    }
    if (const auto node = document.child("Error"); !node.empty()) {
      return std::optional<AwsError>(error_in(node, 500));
    }
  }
  return fail(Errc::kCorrupt, "the answer does not say whether the upload is complete");
}

std::string complete_body(const std::vector<CompletedPart>& parts) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const CompletedPart& part : parts) {
    body += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>";
    append_escaped(body, part.etag);
    body += "</ETag></Part>";
  }
  return body + "</CompleteMultipartUpload>";
}

}  // namespace weir::destination::s3
