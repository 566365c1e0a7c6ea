// The ceiling: the smallest epoll loop that reads a frame, writes the record to a file and answers.
// It checks nothing, keeps one stream, and forgets everything when it ends; what a real server does
// beyond this is what the ratios in docs/benchmarks.md measure.
//
// usage: ceiling FILE [--flush]     prints "port N"

#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::uint32_t big32(const char* at) {
  std::uint32_t v = 0;
  std::memcpy(&v, at, 4);
  return __builtin_bswap32(v);
}

void put_big32(char* at, std::uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(at, &v, 4);
}

// Head of one CBOR item: its argument; moves `at` behind the head.
std::uint64_t cbor_argument(const char*& at) {
  const auto info = static_cast<unsigned char>(*at++) & 0x1fU;
  if (info < 24) return info;
  std::uint64_t v = 0;
  for (unsigned i = 0; i < (1U << (info - 24)); ++i) {
    v = (v << 8U) | static_cast<unsigned char>(*at++);
  }
  return v;
}

std::string_view cbor_text(const char*& at) {
  const std::uint64_t n = cbor_argument(at);
  const std::string_view text(at, n);
  at += n;
  return text;
}

void put_head(std::string& out, unsigned major, std::uint64_t v) {
  const auto lead = static_cast<unsigned char>(major << 5U);
  if (v < 24) {
    out += static_cast<char>(lead | v);
    return;
  }
  const unsigned log = v < 256 ? 0 : v < 65536 ? 1 : v < (1ULL << 32U) ? 2 : 3;
  out += static_cast<char>(lead | (24 + log));
  for (int shift = (8 << log) - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(v >> static_cast<unsigned>(shift));
  }
}

void put_text(std::string& out, std::string_view text) {
  put_head(out, 3, text.size());
  out += text;
}

struct Connection {
  std::string in;
  std::string out;
  bool greeted = false;
};

class Ceiling {
 public:
  Ceiling(const char* path, bool flush)
      : flush_(flush),
        file_(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (file_ < 0) die(path);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (listen(listener_, 1024) != 0) die("listen");
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    watch(listener_);
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), events.size(), -1);
      bool wrote = false;
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_) {
          greet();
        } else {
          wrote |= serve(fd);
        }
      }
      if (!flush_ || !wrote) continue;
      if (fdatasync(file_) != 0) die("fdatasync");
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd != listener_ && connections_.count(fd) != 0) answer(fd, connections_[fd]);
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void greet() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_[fd];
    watch(fd);
  }

  static void answer(int fd, Connection& connection) {
    const std::string& out = connection.out;
    for (std::size_t sent = 0; sent < out.size();) {
      const ssize_t n = send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    connection.out.clear();
  }

  bool serve(int fd) {
    Connection& connection = connections_[fd];
    const ssize_t n = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (n <= 0) {
      close(fd);
      connections_.erase(fd);
      return false;
    }
    const char* at = buffer_.data();
    std::size_t left = static_cast<std::size_t>(n);
    if (!connection.in.empty()) {
      connection.in.append(at, left);
      at = connection.in.data();
      left = connection.in.size();
    }
    if (!connection.greeted) {
      connection.greeted = true;
      connection.out += '\x01';
      ++at;
      --left;
    }
    while (left >= 5 && left >= 4 + big32(at)) {
      const std::size_t frame = 4 + big32(at);
      handle(at[4], at + 5, connection.out);
      at += frame;
      left -= frame;
    }
    std::string rest(at, left);
    connection.in.swap(rest);
    const bool wrote = !records_.empty();
    if (wrote) {
      if (write(file_, records_.data(), records_.size()) != static_cast<ssize_t>(records_.size())) {
        die("write");
      }
      records_.clear();
    }
    if (!flush_ || !wrote) answer(fd, connection);
    return wrote;
  }

  void handle(char operation, const char* at, std::string& out) {
    cbor_argument(at);  // the map
    cbor_text(at);      // "requestId"
    const std::string_view id = cbor_text(at);
    const std::size_t frame = out.size();
    out.resize(frame + 5);
    if (operation == 4) {
      append(at, id, out);
      out[frame + 4] = 9;
    } else if (operation == 5) {
      read(at, id, out);
      out[frame + 4] = 10;
    } else {
      put_head(out, 5, 3);
      put_text(out, "requestId");
      put_text(out, id);
      put_text(out, "status");
      put_head(out, 0, 0);
      put_text(out, "errorMessage");
      put_text(out, "");
      out[frame + 4] = static_cast<char>(operation + 5);
    }
    put_big32(out.data() + frame, static_cast<std::uint32_t>(out.size() - frame - 4));
  }

  void append(const char* at, std::string_view id, std::string& out) {
    cbor_text(at);  // "name"
    cbor_text(at);
    cbor_text(at);  // "payload"
    const std::string_view payload = cbor_text(at);
    std::array<char, 4> size{};
    put_big32(size.data(), static_cast<std::uint32_t>(payload.size()));
    records_.append(size.data(), 4);
    records_ += payload;
    offsets_.push_back(file_bytes_);
    file_bytes_ += 4 + payload.size();
    put_head(out, 5, 4);
    put_text(out, "requestId");
    put_text(out, id);
    put_text(out, "status");
    put_head(out, 0, 0);
    put_text(out, "errorMessage");
    put_text(out, "");
    put_text(out, "sequenceNumber");
    put_head(out, 0, offsets_.size() - 1);
  }

  void read(const char* at, std::string_view id, std::string& out) {
    cbor_text(at);  // "streamName"
    const std::string_view name = cbor_text(at);
    cbor_text(at);  // "readMessagesOptions"
    cbor_argument(at);
    cbor_text(at);  // "desiredStartSequenceNumber"
    const std::uint64_t from = cbor_argument(at);
    cbor_text(at);  // "minMessageCount"
    const std::uint64_t count = cbor_argument(at);
    const std::uint64_t end = from + count < offsets_.size() ? offsets_[from + count] : file_bytes_;
    stored_.resize(end - offsets_[from]);
    if (pread(file_, stored_.data(), stored_.size(), static_cast<off_t>(offsets_[from])) !=
        static_cast<ssize_t>(stored_.size())) {
      die("pread");
    }
    put_head(out, 5, 4);
    put_text(out, "requestId");
    put_text(out, id);
    put_text(out, "messages");
    put_head(out, 4, count);
    const char* record = stored_.data();
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint32_t size = big32(record);
      put_head(out, 5, 4);
      put_text(out, "streamName");
      put_text(out, name);
      put_text(out, "sequenceNumber");
      put_head(out, 0, from + i);
      put_text(out, "ingestTime");
      put_head(out, 0, 1'700'000'000'000);
      put_text(out, "payload");
      put_head(out, 2, size);
      out.append(record + 4, size);
      record += 4 + size;
    }
    put_text(out, "status");
    put_head(out, 0, 0);
    put_text(out, "errorMessage");
    put_text(out, "");
  }

  bool flush_;
  int file_;
  int epoll_;
  int listener_ = -1;
  std::array<char, 256 * 1024> buffer_{};
  std::map<int, Connection> connections_;
  std::string records_;
  std::string stored_;
  std::vector<std::uint64_t> offsets_;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: ceiling FILE [--flush]\n", stderr);
    return 2;
  }
  const bool flush = argc > 2 && std::string_view(argv[2]) == "--flush";
  std::make_unique<Ceiling>(argv[1], flush)->run();
}
