// An HTTP endpoint that answers at once: what an export could reach if the cloud took no time.
//
// usage: kinesis_sink [COUNT [quick]]   prints "port N" and serves loopback until it is killed
//
// COUNT: how many records each stream is going to send. quick: bodies are searched for their
// records instead of read byte by byte, which is a tenth of the work.
//
// POST and PUT are both taken for PutRecords of Kinesis, or PutRecordBatch of Firehose, in JSON:
// the records are counted, and the answer, as long as the service's, has a good result for each of
// them. GET answers what came so far,
// {"records": N, "bytes": N, "first": seconds, "last": seconds, "calls": N}, by stream name the
// records, and what "others" had when the first stream had COUNT: the least of them, of streams
// that had any, and how many streams had some. GET /bodies answers the first bodies themselves,
// each behind its length in eight bytes, for a loop that sends the same.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
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
#include <vector>

namespace {

constexpr std::size_t kBodiesKept = 16;
constexpr std::size_t kRecordIdCharacters = 224;  // what Firehose's ids have

[[noreturn]] void die(const char* doing) {
  std::perror(doing);
  std::exit(1);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string with_head(std::string_view body) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n";
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text.append(body);
}

// A request as it arrives. The memory stays, so that what is measured is not this program.
struct Connection {
  std::vector<char> bytes = std::vector<char>(std::size_t{1} << 20);
  std::size_t have = 0;
  std::size_t head = 0;   // with the empty line; 0: not whole yet
  std::size_t whole = 0;  // head and body
};

class Sink {
 public:
  Sink(std::size_t each, bool quick)
      : each_(each),
        quick_(quick),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(socket(AF_INET, SOCK_STREAM, 0)) {
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
    Connection& in = connections_[fd];
    if (in.have == in.bytes.size()) in.bytes.resize(in.bytes.size() * 2);
    const ssize_t n = recv(fd, in.bytes.data() + in.have, in.bytes.size() - in.have, 0);
    if (n <= 0) {
      close(fd);
      connections_.erase(fd);
      return;
    }
    in.have += static_cast<std::size_t>(n);
    while (is_whole(in)) {
      const std::string_view request(in.bytes.data(), in.whole);
      answer(fd, request.substr(0, in.head), request.substr(in.head));
      in.have -= in.whole;
      std::memmove(in.bytes.data(), in.bytes.data() + in.whole, in.have);
      in.head = in.whole = 0;
    }
  }

  static bool is_whole(Connection& in) {
    if (in.head == 0) {
      const std::string_view text(in.bytes.data(), in.have);
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string_view::npos) return false;
      constexpr std::string_view kLength = "\r\nContent-Length: ";
      const std::size_t at = text.substr(0, end).find(kLength);
      in.head = end + 4;
      in.whole = in.head;
      if (at != std::string_view::npos) {
        in.whole += std::strtoul(text.data() + at + kLength.size(), nullptr, 10);
      }
    }
    return in.have >= in.whole;
  }

  void answer(int fd, std::string_view head, std::string_view body) {
    if (head.starts_with("GET /bodies ")) return say(fd, with_head(bodies()));
    if (head.starts_with("GET ")) return say(fd, with_head(figures()));
    say(fd, take(body));
  }

  static void say(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  // A record is an object in the one that is the body, and nothing else in it has a brace.
  const std::string& take(std::string_view body) {
    const std::size_t braces = quick_ ? braces_found(body) : braces_read(body);
    const std::size_t count = braces == 0 ? 0 : braces - 1;
    if (calls_++ == 0) first_ = now();
    last_ = now();
    records_ += count;
    bytes_ += body.size();
    add(name_in(body), count);
    if (kept_.size() < kBodiesKept) kept_.emplace_back(body);
    const bool firehose = body.starts_with("{\"DeliveryStreamName\"");
    std::string& text = (firehose ? firehose_answers_ : answers_)[count];
    if (text.empty()) text = with_head(firehose ? firehose_results(count) : results(count));
    return text;
  }

  static std::size_t braces_read(std::string_view body) {
    std::size_t braces = 0;
    for (const char c : body) braces += c == '{' ? 1 : 0;
    return braces;
  }

  static std::size_t braces_found(std::string_view body) {
    std::size_t braces = 0;
    for (auto at = body.find('{'); at != std::string_view::npos; at = body.find('{', at + 1))
      ++braces;
    return braces;
  }

  void add(std::string_view stream, std::size_t count) {
    const auto known = by_stream_.find(stream);
    if (known == by_stream_.end()) {
      by_stream_.emplace(stream, count);
      return;
    }
    known->second += count;
    if (known->second >= each_ && streams_then_ == 0) remember_the_slowest();
  }

  void remember_the_slowest() {
    const auto slowest =
        std::min_element(by_stream_.begin(), by_stream_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    least_then_ = slowest->second;
    streams_then_ = by_stream_.size();
  }

  static std::string results(std::size_t count) {
    std::string text = R"({"FailedRecordCount":0,"Records":[)";
    for (std::size_t i = 0; i < count; ++i) {
      text += R"({"SequenceNumber":"49543463076548007577105092703039560359975228518395019266",)"
              R"("ShardId":"shardId-000000000000"},)";
    }
    if (count > 0) text.pop_back();
    return text + "]}";
  }

  static std::string firehose_results(std::size_t count) {
    std::string text = R"({"Encrypted":false,"FailedPutCount":0,"RequestResponses":[)";
    for (std::size_t i = 0; i < count; ++i) {
      text += "{\"RecordId\":\"" + std::string(kRecordIdCharacters, 'r') + "\"},";
    }
    if (count > 0) text.pop_back();
    return text + "]}";
  }

  static std::string_view name_in(std::string_view body) {
    constexpr std::string_view kName = "\"StreamName\":\"";
    const std::size_t at = body.substr(0, 256).find(kName);
    if (at == std::string_view::npos) return "";
    const std::size_t begin = at + kName.size();
    return body.substr(begin, body.find('"', begin) - begin);
  }

  std::string bodies() const {
    std::string text;
    for (const std::string& body : kept_) {
      const std::uint64_t size = body.size();
      text.append(reinterpret_cast<const char*>(&size), sizeof size).append(body);
    }
    return text;
  }

  std::string figures() const {
    std::string text =
        "{\"records\":" + std::to_string(records_) + ",\"bytes\":" + std::to_string(bytes_) +
        ",\"calls\":" + std::to_string(calls_) + ",\"first\":" + std::to_string(first_) +
        ",\"last\":" + std::to_string(last_) + ",\"streams\":{";
    for (const auto& [name, count] : by_stream_) {
      text.append("\"").append(name).append("\":" + std::to_string(count) + ",");
    }
    if (!by_stream_.empty()) text.pop_back();
    return text + "},\"others\":{\"least\":" + std::to_string(least_then_) +
           ",\"streams\":" + std::to_string(streams_then_) + "}}";
  }

  std::size_t each_;
  bool quick_;
  int epoll_;
  int listener_;
  std::unordered_map<int, Connection> connections_;
  std::map<std::string, std::size_t, std::less<>> by_stream_;
  std::unordered_map<std::size_t, std::string> answers_;  // by the number of records
  std::unordered_map<std::size_t, std::string> firehose_answers_;
  std::vector<std::string> kept_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
  std::size_t calls_ = 0;
  double first_ = 0;
  double last_ = 0;
  std::size_t least_then_ = 0;
  std::size_t streams_then_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t each = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : ~std::size_t{0};
  static Sink sink(each, argc > 2 && std::strcmp(argv[2], "quick") == 0);
  sink.run();
}
