// An HTTP endpoint that answers at once: what an export could reach if the cloud took no time.
//
// usage: kinesis_sink          prints "port N" and serves loopback until it is killed
//
// A POST is taken for PutRecords: the answer has a result for each record in it, all good. A PUT is
// answered with nothing. GET answers what came so far, as JSON:
// {"records": N, "bytes": N, "first": seconds, "last": seconds} and, by stream name, the records.

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>

namespace {

[[noreturn]] void die(const char* doing) {
  std::perror(doing);
  std::exit(1);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Sink {
 public:
  Sink() : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (listen(listener_, 256) != 0) die("listen");
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    watch(listener_);
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 64> events{};
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        fd == listener_ ? greet() : serve(fd);
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

  void serve(int fd) {
    std::string& in = connections_[fd];
    const ssize_t n = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (n <= 0) {
      close(fd);
      connections_.erase(fd);
      return;
    }
    in.append(buffer_.data(), static_cast<std::size_t>(n));
    for (;;) {
      const std::size_t head = in.find("\r\n\r\n");
      if (head == std::string::npos) return;
      const std::string_view lines(in.data(), head);
      const std::size_t body = content_length(lines);
      if (in.size() < head + 4 + body) return;
      answer(fd, lines, std::string_view(in).substr(head + 4, body));
      in.erase(0, head + 4 + body);
    }
  }

  static std::size_t content_length(std::string_view lines) {
    const std::size_t at = lines.find("Content-Length: ");
    return at == std::string_view::npos ? 0 : std::strtoul(lines.data() + at + 16, nullptr, 10);
  }

  void answer(int fd, std::string_view lines, std::string_view body) {
    std::string text;
    if (lines.starts_with("POST")) text = take(body);
    if (lines.starts_with("GET")) text = figures();
    std::string out = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n";
    out += "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
    for (std::size_t sent = 0; sent < out.size();) {
      const ssize_t n = send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  }

  std::string take(std::string_view body) {
    constexpr std::string_view kEach = "\"PartitionKey\"";
    std::size_t count = 0;
    const char* const end = body.data() + body.size();
    for (const char* at = body.data();
         (at = static_cast<const char*>(memmem(at, static_cast<std::size_t>(end - at), kEach.data(),
                                               kEach.size()))) != nullptr;
         at += kEach.size()) {
      ++count;
    }
    if (records_ == 0) first_ = now();
    last_ = now();
    records_ += count;
    bytes_ += body.size();
    by_stream_[name_in(body)] += count;
    std::string text = R"({"FailedRecordCount":0,"Records":[)";
    for (std::size_t i = 0; i < count; ++i) {
      text += R"({"SequenceNumber":"4954346307654800757710509270303956035","ShardId":"shard-0"},)";
    }
    if (count > 0) text.pop_back();
    return text + "]}";
  }

  static std::string name_in(std::string_view body) {
    constexpr std::string_view kName = "\"StreamName\":\"";
    const std::size_t at = body.find(kName);
    if (at == std::string_view::npos) return "";
    const std::size_t begin = at + kName.size();
    return std::string(body.substr(begin, body.find('"', begin) - begin));
  }

  std::string figures() const {
    std::string text = "{\"records\":" + std::to_string(records_) +
                       ",\"bytes\":" + std::to_string(bytes_) +
                       ",\"first\":" + std::to_string(first_) +
                       ",\"last\":" + std::to_string(last_) + ",\"streams\":{";
    for (const auto& [name, count] : by_stream_) {
      text += "\"" + name + "\":" + std::to_string(count) + ",";
    }
    if (!by_stream_.empty()) text.pop_back();
    return text + "}}";
  }

  int epoll_;
  int listener_;
  std::array<char, 1 << 18> buffer_{};
  std::unordered_map<int, std::string> connections_;
  std::map<std::string, std::size_t> by_stream_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
  double first_ = 0;
  double last_ = 0;
};

}  // namespace

int main() {
  static Sink sink;
  sink.run();
}
