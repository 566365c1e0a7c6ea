#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::cli {

/// What the command says when an admin port cannot be asked. `curl_code` of libcurl; `connected`:
/// something took the connection.
Error transfer_error(const std::string& url, int curl_code, bool connected);

/// "http://127.0.0.1:8089/status", IPv6 in brackets.
std::string admin_url(const std::string& host, std::int64_t port, const std::string& path);

/// One GET that does not block whoever waits for other things too. Threads: one.
class HttpTransfer {
 public:
  struct Request {
    std::string url;
    std::string token;             ///< as the bearer; "": none
    Duration timeout{};            ///< for all of it; 0: it may last
    Duration first_byte_within{};  ///< 0: no limit
  };
  static Result<std::unique_ptr<HttpTransfer>> begin(const Request& request);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  /// Moves on; waits until something arrives, one of `also` can be read, or `timeout` has passed.
  /// Errors: nothing answers, or the answer ended too early, or it is larger than 64 MiB.
  Result<void> wait(Duration timeout, const std::vector<int>& also);
  [[nodiscard]] bool ended() const;
  /// 0 as long as it is not known.
  [[nodiscard]] long status() const;
  /// What arrived since the last call.
  std::string take();

 private:
  struct State;
  explicit HttpTransfer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir::cli
