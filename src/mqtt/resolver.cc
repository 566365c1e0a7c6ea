#include "mqtt/resolver.h"

#include "base/mutex.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::mqtt {
namespace {

using Answer = Result<std::vector<Address>>;

Error lookup_error(const std::string& host, int code, int os_errno) {
  if (code == EAI_SYSTEM) return os_error(fmt::format("look up the name '{}'", host), os_errno);
  std::string_view advice = "check the address";
  if (code == EAI_AGAIN) advice = "the name service does not answer; is the network up?";
  return {Errc::kUnavailable,
          fmt::format("look up the name '{}': {}: {}", host, gai_strerror(code), advice)};
}

/// Blocks, unless `flags` has AI_NUMERICHOST.
Answer look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) return fail(lookup_error(host, code, errno));
  std::vector<Address> addresses;
  for (const addrinfo* one = found; one != nullptr && addresses.size() < kAddressesMax;
       one = one->ai_next) {
    if (one->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.bytes = one->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  if (addresses.empty()) return fail(lookup_error(host, EAI_NONAME, 0));
  return addresses;
}

}  // namespace

struct Resolver::Shared {
  Shared() : event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Shared() {
    if (event >= 0) close(event);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  const int event;
  Mutex mutex;
  bool busy WEIR_GUARDED_BY(mutex) = false;
  std::string host
      WEIR_GUARDED_BY(mutex);  ///< what is wanted; the thread may still ask for another
  std::uint16_t port WEIR_GUARDED_BY(mutex) = 0;
  std::optional<Answer> answer WEIR_GUARDED_BY(mutex);

  void run() WEIR_EXCLUDES(mutex) {
    for (;;) {
      std::string asked;
      std::uint16_t asked_port = 0;
      {
        const MutexLock lock(mutex);
        asked = host;
        asked_port = port;
      }
      Answer found = look_up(asked, asked_port, 0);
      const MutexLock lock(mutex);
      if (asked != host || asked_port != port) continue;
      answer = std::move(found);
      busy = false;
      const std::uint64_t one = 1;
      (void)!write(event, &one, sizeof one);
      return;
    }
  }
};

Resolver::Resolver() : shared_(std::make_shared<Shared>()) {}
Resolver::~Resolver() = default;

int Resolver::descriptor() const { return shared_->event; }

void Resolver::start(const std::string& host, std::uint16_t port) {
  at_once_.reset();
  if (auto digits = look_up(host, port, AI_NUMERICHOST)) {
    at_once_ = std::move(digits);
    return;
  }
  {
    const MutexLock lock(shared_->mutex);
    shared_->answer.reset();
    shared_->host = host;
    shared_->port = port;
    if (std::exchange(shared_->busy, true)) return;
  }
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([shared = shared_] { shared->run(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::optional<Answer> Resolver::take() {
  if (at_once_) return std::exchange(at_once_, std::nullopt);
  std::uint64_t count = 0;
  (void)!read(shared_->event, &count, sizeof count);
  const MutexLock lock(shared_->mutex);
  return std::exchange(shared_->answer, std::nullopt);
}

}  // namespace weir::mqtt
