#include "destination/http/destination.h"

#include "base/log.h"
#include "destination/compression.h"
#include "destination/http/request.h"
#include "destination/metrics.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weir::destination::http {
namespace {

using exporter::FailureClass;
using exporter::Message;
using exporter::Outcome;
using exporter::RecordOutcome;
using exporter::Verdict;

constexpr std::int64_t kMessagesMax = 500;
constexpr std::int64_t kBatchBytesMax = 4 << 20;
constexpr std::size_t kTokenBytesMax = 16'384;

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_own_header(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name == "content-length" || name == "transfer-encoding" || name == "host" ||
         name == "connection" || name == "idempotency-key" || name == "expect" ||
         name.starts_with("x-weir-");
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<void> validate(const HttpOptions& options) {
  for (const auto& [name, value] : options.headers) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_character)) {
      return fail(Errc::kInvalidArgument, "'" + log::escaped(name, 80) + "' is not a header name");
    }
    if (is_own_header(name)) {
      return fail(Errc::kInvalidArgument, "the header " + name + " is set by weir itself");
    }
    const bool clean = std::all_of(value.begin(), value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
    });
    if (!clean) {
      return fail(Errc::kInvalidArgument,
                  "the value of the header " + name + " contains control characters");
    }
  }
  return {};
}

// One `deliver`: the ranges still to be posted, and what is known of each message.
class HttpDestination::Delivery {
 public:
  Delivery(HttpDestination& owner, const exporter::Batch& batch, std::string token,
           std::stop_token stop)
      : owner_(owner),
        batch_(batch),
        token_(std::move(token)),
        stop_(std::move(stop)),
        records_(batch.size()) {}
  ~Delivery() { OPENSSL_cleanse(token_.data(), token_.size()); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  Outcome run() {
    if (owner_.setup_.format == model::ExportFormat::kJsonBatched) {
      ranges_.push_back({0, batch_.size()});
    } else {
      for (std::size_t i = batch_.size(); i > 0; --i) ranges_.push_back({i - 1, i});
    }
    while (!ranges_.empty() && !halted_ && !leaves_rest()) post_next();
    return outcome();
  }

 private:
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  // What was not asked about yet has its turn later, once something is known of others.
  [[nodiscard]] bool leaves_rest() {
    left_rest_ = owner_.clock_.now() - begun_ >= exporter::kDeliveryTime &&
                 has(Verdict::kDelivered, Verdict::kRejected);
    return left_rest_;
  }

  void post_next() {
    const Range range = ranges_.back();
    ranges_.pop_back();
    if (stop_.stop_requested()) {
      halt({{FailureClass::kTransient, "interrupted because weir or the export is stopping",
             std::nullopt},
            false});
      return;
    }
    const auto messages =
        std::span<const Message>(batch_.messages()).subspan(range.begin, range.end - range.begin);
    Answer answer = owner_.post(batch_.stream_name(), messages, token_, stop_);
    if (answer.judgement.failure == FailureClass::kNone) {
      for (std::size_t i = range.begin; i < range.end; ++i) {
        records_[i].verdict = Verdict::kDelivered;
      }
    } else if (answer.judgement.failure != FailureClass::kPoison) {
      halt(std::move(answer));
    } else if (range.end - range.begin == 1) {
      records_[range.begin] = {Verdict::kRejected, FailureClass::kPoison, answer.judgement.error};
      owner_.metrics_.counter(kRejectedMessagesTotal, {"http", "refused"}).add();
    } else {
      const std::size_t middle = range.begin + (range.end - range.begin) / 2;
      ranges_.push_back({middle, range.end});
      ranges_.push_back({range.begin, middle});
    }
  }

  void halt(Answer answer) {
    halted_ = true;
    last_ = std::move(answer);
  }

  Outcome outcome() {
    if (!halted_ && !has(Verdict::kRejected, Verdict::kRetry)) return Outcome::delivered();
    Outcome outcome = Outcome::retry(last_.judgement.failure, last_.judgement.error);
    outcome.retry_after = last_.judgement.retry_after;
    outcome.connection_failed = last_.connection_failed;
    if (!has(Verdict::kDelivered, Verdict::kRejected)) return outcome;
    if (!halted_) {
      const auto refused =
          std::find_if(records_.begin(), records_.end(),
                       [](const RecordOutcome& r) { return r.verdict == Verdict::kRejected; });
      outcome =
          refused == records_.end() ? Outcome::delivered() : Outcome::rejected(refused->reason);
    }
    for (RecordOutcome& record : records_) {
      if (record.verdict != Verdict::kRetry) continue;
      if (left_rest_) {
        record.verdict = Verdict::kUntried;
        continue;
      }
      record.failure = outcome.failure;
      record.reason = outcome.error;
    }
    outcome.records = std::move(records_);
    return outcome;
  }

  [[nodiscard]] bool has(Verdict one, Verdict other) const {
    return std::any_of(records_.begin(), records_.end(), [one, other](const RecordOutcome& r) {
      return r.verdict == one || r.verdict == other;
    });
  }

  HttpDestination& owner_;
  const exporter::Batch& batch_;
  const Instant begun_ = owner_.clock_.now();
  std::string token_;
  const std::stop_token stop_;
  std::vector<RecordOutcome> records_;
  std::vector<Range> ranges_;  // the next one last
  bool halted_ = false;
  bool left_rest_ = false;
  Answer last_;
};

HttpDestination::HttpDestination(Setup setup, Clock& clock, metrics::Registry& metrics)
    : setup_(std::move(setup)), clock_(clock), metrics_(metrics) {}

exporter::Destination::Limits HttpDestination::limits() const {
  return {kMessagesMax, kBatchBytesMax, 0};
}

Outcome HttpDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  auto token = bearer_token();
  if (!token) return Outcome::retry(FailureClass::kOperator, log::escaped(token.error().what));
  return Delivery(*this, batch, std::move(*token), std::move(stop)).run();
}

HttpDestination::Answer HttpDestination::post(const std::string& stream_name,
                                              std::span<const Message> messages,
                                              const std::string& token, std::stop_token stop) {
  HttpRequest request;
  request.url = setup_.target.text();
  ByteBuffer body;
  if (setup_.format == model::ExportFormat::kJsonBatched) {
    body = json_batch_body(stream_name, messages);
    request.body = body.bytes();
    request.headers = batch_headers(stream_name, messages);
  } else {
    request.body = messages.front().payload;
    request.headers = raw_headers(stream_name, messages.front());
  }
  if (setup_.options.compression != Compression::kNone) {
    // Without memory for a compressor the body goes as it is.
    if (auto packed = compressed(request.body, setup_.options.compression)) {
      body = std::move(*packed);
      request.body = body.bytes();
      request.headers.push_back(
          {"Content-Encoding", std::string(compression_name(setup_.options.compression))});
    }
  }
  for (const auto& [name, value] : setup_.options.headers) {
    // The operator's Content-Type or User-Agent replaces ours.
    std::erase_if(request.headers, [&wanted = name](const HttpHeader& header) {
      return std::equal(header.name.begin(), header.name.end(), wanted.begin(), wanted.end(),
                        [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    });
    request.headers.push_back({name, value});
  }
  if (!token.empty()) request.headers.push_back({"Authorization", "Bearer " + token});

  const HttpResponse response = setup_.transport->send(request, std::move(stop));
  Answer answer{judge(response, clock_.wall_ms()), response.connection_failed};
  const char* result = answer.judgement.failure == FailureClass::kNone
                           ? "ok"
                           : exporter::failure_class_name(answer.judgement.failure);
  metrics_.counter(kRequestsTotal, {"http", result}).add();
  metrics_.counter(kSentBytesTotal, {"http"}).add(request.body.size());
  return answer;
}

// Read for every delivery: whoever rotates tokens replaces the file.
Result<std::string> HttpDestination::bearer_token() const {
  const std::string& path = setup_.options.bearer_token_file;
  if (path.empty()) return std::string();
  const std::string doing = "read the bearer token file " + path;
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (file.get() < 0 || fstat(file.get(), &info) != 0) return fail(os_error(doing, errno));
  if (!S_ISREG(info.st_mode)) return fail(Errc::kInvalidArgument, doing + ": it is not a file");
  if ((info.st_mode & S_IROTH) != 0) {
    return fail(Errc::kInvalidArgument,
                doing +
                    ": every user of this machine can read it; take that right away with "
                    "chmod o-r");
  }
  std::string token(kTokenBytesMax + 1, '\0');
  const ssize_t bytes = read(file.get(), token.data(), token.size());
  if (bytes < 0) return fail(os_error(doing, errno));
  token.resize(static_cast<std::size_t>(bytes));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  const bool clean = std::all_of(token.begin(), token.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
  if (token.empty() || token.size() > kTokenBytesMax || !clean) {
    return fail(Errc::kInvalidArgument, doing + ": it must hold one token of printable ASCII");
  }
  return token;
}

}  // namespace weir::destination::http
