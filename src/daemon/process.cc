#include "daemon/process.h"

#include "base/log.h"
#include "base/mutex.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

constexpr rlim_t kDescriptorsWanted = 65'536;
// Some supervisors signal a process and then its group: that is one wish, told twice.
constexpr auto kSameWish = std::chrono::milliseconds(100);

std::string first_line(const char* path) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  char text[256];
  const ssize_t n = ::read(descriptor, text, sizeof text);
  ::close(descriptor);
  if (n <= 0) return {};
  const std::string content(text, static_cast<std::size_t>(n));
  return content.substr(0, content.find('\n'));
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kDescriptorsWanted);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void forbid_core_files() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGHUP);
  // Not a stop signal: wakes the signal thread when the process ends on its own.
  ::sigaddset(&set, SIGUSR1);
  return set;
}

}  // namespace

void prepare_process(const Config& config) {
  ::umask(077);
  // Each arena of the allocator keeps its own reserve; memory matters more here than the last
  // bit of speed of threads that mostly wait.
  // NOLINTBEGIN(concurrency-mt-unsafe): there is only one thread yet.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024);
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  // NOLINTEND(concurrency-mt-unsafe)
  raise_descriptor_limit();
  // A peer that went away, or a file size limit, is an error code of the call, not a reason to die.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  const bool secrets = !config.aws.secret_access_key.empty() || !config.tokens_file.empty() ||
                       !config.token_exchange_url.empty() || !config.greengrass.auth_token.empty();
  if (secrets) forbid_core_files();
  if (::geteuid() == 0) {
    log::warn("weir runs as root, which it does not need; run it as a user of its own.");
  }
}

std::string boot_id(const char* file) {
  if (std::string id = first_line(file); !id.empty()) return id;
  // weir never changes its environment.
  const char* told = ::getenv("BOOT_ID");  // NOLINT(concurrency-mt-unsafe)
  std::string id = told == nullptr ? "" : told;
  constexpr std::size_t kDigits = 32;
  if (id.size() == kDigits) {
    // As the kernel writes it, so that both ways to learn it give the same.
    for (const std::size_t dash : {8U, 13U, 18U, 23U}) id.insert(dash, 1, '-');
  }
  return id;
}

std::int64_t resident_bytes() {
  // size and resident set, in pages
  const std::string text = first_line("/proc/self/statm");
  const auto blank = text.find(' ');
  if (blank == std::string::npos) return 0;
  return std::strtoll(text.c_str() + blank, nullptr, 10) * ::sysconf(_SC_PAGESIZE);
}

std::int64_t open_descriptors() {
  DIR* opened = ::opendir("/proc/self/fd");
  if (opened == nullptr) return 0;
  std::int64_t count = 0;
  // One thread reads one DIR, which is all that readdir asks for.
  while (const dirent* entry = ::readdir(opened)) {  // NOLINT(concurrency-mt-unsafe)
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(opened);
  return count - 1;  // without the one just used
}

namespace {

// One mapping of /proc/self/smaps, as far as it matters here.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool clean_file = false;  // of a file, not writable
  bool code = false;        // may be executed
  bool touched = false;     // some page is the process's own copy
};

bool parse_mapping(const char* line, Mapping& mapping) {
  char permissions[5] = {};
  unsigned long begin = 0;
  unsigned long end = 0;
  unsigned long inode = 0;
  if (std::sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &begin, &end, permissions, &inode) != 4) {
    return false;
  }
  mapping = {begin, end,
             inode != 0 && permissions[0] == 'r' && permissions[1] == '-' && permissions[3] == 'p',
             permissions[2] == 'x', false};
  return true;
}

void release(const Mapping& mapping) {
  if (!mapping.clean_file || mapping.touched) return;
  // An address that the kernel gave as a number.
  void* begin = reinterpret_cast<void*>(mapping.begin);  // NOLINT(performance-no-int-to-ptr)
  ::madvise(begin, mapping.end - mapping.begin, MADV_DONTNEED);
}

// An emulator (qemu-user) may show a listing of itself, in which this code is only data, and loses
// pages that are dropped by it.
bool describes_this_process(std::FILE* maps) {
  const auto here = reinterpret_cast<std::uintptr_t>(&release);
  char line[512];
  Mapping mapping;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    if (!parse_mapping(line, mapping)) continue;
    if (mapping.begin <= here && here < mapping.end) return mapping.code;
  }
  return false;
}

}  // namespace

// Dropping pages of a private mapping loses what the process wrote to them (relocations, say), so
// only mappings without a single own page are dropped.
void release_startup_memory() {
  ::malloc_trim(0);
  std::FILE* maps = std::fopen("/proc/self/smaps", "re");
  if (maps == nullptr) return;
  if (!describes_this_process(maps)) {
    std::fclose(maps);
    return;
  }
  std::rewind(maps);
  char line[512];
  Mapping current;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    Mapping next;
    unsigned long kib = 0;
    if (parse_mapping(line, next)) {
      release(current);
      current = next;
    } else if (std::sscanf(line, "Anonymous: %lu", &kib) == 1 ||
               std::sscanf(line, "Private_Dirty: %lu", &kib) == 1) {
      current.touched = current.touched || kib > 0;
    }
  }
  release(current);
  std::fclose(maps);
}

struct StopSignals::State {
  Mutex mutex;
  CondVar changed;
  bool expected WEIR_GUARDED_BY(mutex) = false;
  int received WEIR_GUARDED_BY(mutex) = 0;
  std::function<void()> at_hangup WEIR_GUARDED_BY(mutex);
  bool hung_up WEIR_GUARDED_BY(mutex) = false;  // before anybody wanted to hear of it
  std::atomic<bool> finished{false};
  std::thread thread;

  void run();
  void hang_up();
  void wait_for_second(const sigset_t& set) const;
};

void StopSignals::State::run() {
  const sigset_t set = stop_signals();
  while (!finished) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0 || signal == SIGUSR1) continue;
    if (signal == SIGHUP) {
      hang_up();
      continue;
    }
    {
      const MutexLock lock(mutex);
      if (!expected) {
        log::info("Stopped while starting.", {{"signal", signal}});
        ::_exit(0);
      }
      received = signal;
      changed.notify_all();
    }
    wait_for_second(set);
    return;
  }
}

void StopSignals::State::hang_up() {
  std::function<void()> act;
  {
    const MutexLock lock(mutex);
    act = at_hangup;
    hung_up = !act;
  }
  if (act) act();
}

void StopSignals::State::wait_for_second(const sigset_t& set) const {
  const auto begun = std::chrono::steady_clock::now();
  while (!finished) {
    const auto left = begun + kStopMax - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) {
      log::error("The ordered stop did not end in time; ending now. Nothing acknowledged is lost.");
      ::_exit(1);
    }
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec wait{whole.count(),
                        static_cast<long>((Duration(left) - Duration(whole)).count())};
    const int signal = ::sigtimedwait(&set, nullptr, &wait);
    if (std::chrono::steady_clock::now() - begun < kSameWish) continue;
    if (signal == SIGTERM || signal == SIGINT) {
      log::warn("Second signal; ending at once. Nothing acknowledged is lost.",
                {{"signal", signal}});
      ::_exit(128 + signal);
    }
  }
}

StopSignals::StopSignals() : state_(std::make_unique<State>()) {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

StopSignals::~StopSignals() {
  state_->finished = true;
  ::pthread_kill(state_->thread.native_handle(), SIGUSR1);
  state_->thread.join();
}

void StopSignals::expect() {
  const MutexLock lock(state_->mutex);
  state_->expected = true;
}

void StopSignals::at_hangup(std::function<void()> act) {
  std::function<void()> now;
  {
    const MutexLock lock(state_->mutex);
    if (act && std::exchange(state_->hung_up, false)) now = act;
    state_->at_hangup = std::move(act);
  }
  if (now) now();
}

int StopSignals::wait() {
  const MutexLock lock(state_->mutex);
  while (state_->received == 0) state_->changed.wait(state_->mutex);
  return state_->received;
}

}  // namespace weir::daemon
