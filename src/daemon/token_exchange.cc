#include "daemon/token_exchange.h"

#include "base/mutex.h"
#include "daemon/refused_tokens.h"

#include <algorithm>
#include <atomic>
#include <curl/curl.h>
#include <deque>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <thread>
#include <utility>

namespace weir::daemon {
namespace {

constexpr std::size_t kWaitingMax = 256;
constexpr long kConnectTimeoutMs = 3'000;
constexpr long kTimeoutMs = 10'000;
constexpr long kHttpOk = 200;

using server::TokenVerdict;

struct Answer {
  TokenVerdict verdict = TokenVerdict::kUnchecked;
  std::string why;
};

// The body holds credentials: never kept, never logged.
std::size_t discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

int cancelled(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

bool fits_a_header(const std::string& token) {
  constexpr std::size_t kTokenBytesMax = 16 * 1024;
  return !token.empty() && token.size() <= kTokenBytesMax &&
         std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

class TokenExchange final : public server::Verifier {
 public:
  TokenExchange(std::string url, Clock& clock, Executor& core)
      : url_(std::move(url)), clock_(clock), core_(core) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    thread_ = std::thread([this] { run(); });
  }

  ~TokenExchange() override {
    stop_ = true;
    {
      const MutexLock lock(mutex_);
      changed_.notify_all();
    }
    thread_.join();
    curl_global_cleanup();
  }
  TokenExchange(const TokenExchange&) = delete;
  TokenExchange& operator=(const TokenExchange&) = delete;

  void verify(std::string token, Done done) override {
    if (!fits_a_header(token)) {
      done(TokenVerdict::kBad,
           token.empty() ? "no token" : "the token has a form that no platform uses");
      return;
    }
    if (refused_.contains(RefusedTokens::hash_of(token), clock_.now())) {
      done(TokenVerdict::kBad, "the token is not known");
      return;
    }
    const MutexLock lock(mutex_);
    if (waiting_.size() < kWaitingMax) {
      waiting_.push_back({std::move(token), std::move(done)});
      changed_.notify_one();
      return;
    }
    core_.post([done = std::move(done)] {
      done(TokenVerdict::kUnchecked, "too many clients wait to be verified");
    });
  }

 private:
  struct Question {
    std::string token;
    Done done;
  };

  void run() {
    while (true) {
      Question question;
      {
        const MutexLock lock(mutex_);
        while (!stop_ && waiting_.empty()) changed_.wait(mutex_);
        if (stop_) return;
        question = std::move(waiting_.front());
        waiting_.pop_front();
      }
      Answer answer = ask(question.token);
      const std::size_t key = RefusedTokens::hash_of(question.token);
      OPENSSL_cleanse(question.token.data(), question.token.size());
      core_.post([this, key, answer = std::move(answer), done = std::move(question.done)] {
        if (answer.verdict == TokenVerdict::kBad) refused_.add(key, clock_.now());
        done(answer.verdict, answer.why);
      });
    }
  }

  Answer ask(const std::string& token) {
    CURL* curl = curl_easy_init();
    if (curl == nullptr)
      return {TokenVerdict::kUnchecked, "no memory to ask the token exchange endpoint"};
    std::string header = "Authorization: " + token;
    curl_slist* headers = curl_slist_append(nullptr, header.c_str());
    curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // a proxy would see the token
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, kTimeoutMs);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, cancelled);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop_);
    const CURLcode outcome = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    OPENSSL_cleanse(header.data(), header.size());
    return judge(outcome, status);
  }

  static Answer judge(CURLcode outcome, long status) {
    constexpr long kClientError = 400;
    constexpr long kServerError = 500;
    if (outcome != CURLE_OK) {
      return {TokenVerdict::kUnchecked,
              fmt::format("the token exchange endpoint cannot be asked: {}",
                          curl_easy_strerror(outcome))};
    }
    if (status == kHttpOk) return {TokenVerdict::kGood, {}};
    if (status >= kClientError && status < kServerError) {
      return {TokenVerdict::kBad, "the token is not known"};
    }
    return {TokenVerdict::kUnchecked,
            fmt::format("the token exchange endpoint answered {}", status)};
  }

  const std::string url_;
  Clock& clock_;
  Executor& core_;
  RefusedTokens refused_;  // core thread only
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  CondVar changed_;
  std::deque<Question> waiting_ WEIR_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

std::unique_ptr<server::Verifier> make_token_exchange(std::string url, Clock& clock,
                                                      Executor& core) {
  return std::make_unique<TokenExchange>(std::move(url), clock, core);
}

}  // namespace weir::daemon
