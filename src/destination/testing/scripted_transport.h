#pragma once

#include "destination/http_transport.h"

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weir::destination::testing {

/// A request as the other side saw it.
struct SeenRequest {
  std::string method;
  std::string url;
  std::vector<HttpHeader> headers;
  std::string body;

  [[nodiscard]] std::string header(std::string_view name) const {
    for (const HttpHeader& header : headers) {
      if (header.name == name) return header.value;
    }
    return {};
  }
};

/// What the script of a `ScriptedTransport` and the test share.
struct Script {
  std::vector<SeenRequest> seen;
  std::deque<HttpResponse> answers;  ///< one per request; then `answer` is asked
  std::function<HttpResponse(const SeenRequest&)> answer;
};

/// Answers from a script instead of the network.
class ScriptedTransport final : public HttpTransport {
 public:
  explicit ScriptedTransport(std::shared_ptr<Script> script) : script_(std::move(script)) {}

  HttpResponse send(const HttpRequest& request, std::stop_token) override {
    std::string body(as_text(request.body));
    if (request.source != nullptr) {
      body.resize(static_cast<std::size_t>(request.source->size()));
      const auto read = request.source->read(
          0, std::as_writable_bytes(std::span<char>(body.data(), body.size())));
      if (!read) {
        HttpResponse response;
        response.error = read.error().what;
        return response;
      }
    }
    script_->seen.push_back({request.method, request.url, request.headers, std::move(body)});
    if (!script_->answers.empty()) {
      HttpResponse response = std::move(script_->answers.front());
      script_->answers.pop_front();
      return response;
    }
    if (script_->answer) return script_->answer(script_->seen.back());
    HttpResponse response;
    response.connection_failed = true;
    response.error = "the script is over";
    return response;
  }

 private:
  std::shared_ptr<Script> script_;
};

inline HttpResponse answer(int status, std::string body = {},
                           std::vector<HttpHeader> headers = {}) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers = std::move(headers);
  return response;
}

inline HttpResponse no_answer(std::string why) {
  HttpResponse response;
  response.connection_failed = true;
  response.error = std::move(why);
  return response;
}

/// Half an answer: the status was read, the rest never came.
inline HttpResponse cut_answer(int status, std::string body) {
  HttpResponse response = answer(status, std::move(body));
  response.error = "transfer closed with outstanding read data remaining";
  return response;
}

}  // namespace weir::destination::testing
