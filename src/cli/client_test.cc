// The client, pub and sub against a server that does what the test tells it to.

#include "cli/client.h"

#include "cli/interrupt.h"
#include "cli/message_source.h"
#include "cli/pub.h"
#include "cli/sub.h"
#include "protocol/codec.h"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace weir::cli {
namespace {

using protocol::Operation;
using protocol::Status;
using ::testing::HasSubstr;

/// One connection at a time on a thread of its own: reads the handshake and then frames, and
/// sends whatever `answer` puts into its buffer. With no `answer`, it only accepts.
class FakeServer {
 public:
  using Answer = std::function<void(const protocol::Frame& frame, ByteBuffer& out)>;
  explicit FakeServer(std::string handshake, Answer answer = {})
      : handshake_(std::move(handshake)), answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, generic, size), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    EXPECT_EQ(::getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    ::shutdown(conversation_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", port_, "secret"}; }

  /// The handshake of a server that lets everybody in.
  static std::string welcome() {
    protocol::ConnectResponse response;
    response.request_id = "connect";
    response.protocol_version = "1.1.0";
    return handshake_with(response);
  }
  static std::string handshake_with(const protocol::ConnectResponse& response) {
    ByteBuffer out;
    out.append(protocol::kConnectVersion);
    protocol::encode_connect_response(response, out);
    return std::string(as_text(out.bytes()));
  }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      conversation_ = fd;
      if (!stopping_) converse(fd);
      conversation_ = -1;
      ::close(fd);
    }
  }
  void converse(int fd) {
    ByteBuffer in;
    bool greeted = false;
    for (;;) {
      std::byte bytes[4096];
      const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got <= 0) return;
      in.append(Bytes(bytes, static_cast<std::size_t>(got)));
      for (;;) {
        const protocol::FrameView view =
            protocol::split_frame(greeted ? in.bytes() : in.bytes().subspan(1));
        if (view.kind != protocol::FrameView::Kind::kFrame) break;
        ByteBuffer out;
        if (!greeted) {
          out.append(as_bytes(handshake_));
        } else if (answer_) {
          answer_(view.frame, out);
        }
        if (::send(fd, out.data(), out.size(), MSG_NOSIGNAL) < 0) return;
        in.consume(view.frame.bytes + (greeted ? 0 : 1));
        greeted = true;
        if (out.empty()) return;  // an answer that was told to be none: hang up
      }
    }
  }

  std::string handshake_;
  Answer answer_;
  int listener_ = -1;
  std::atomic<int> conversation_{-1};
  std::atomic<bool> stopping_{false};
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// Streams in memory, for pub and sub; refuses what the test says.
class FakeStreams {
 public:
  void operator()(const protocol::Frame& frame, ByteBuffer& out) {
    protocol::DecodeScratch scratch;
    auto request = protocol::decode_request(frame.operation, frame.payload, scratch);
    ASSERT_TRUE(request.has_value()) << request.error().reason;
    if (const auto* append = std::get_if<protocol::AppendRequest>(&*request)) {
      const auto number = static_cast<std::int64_t>(messages.size());
      if (append->name != "pumps") return refuse(frame, append->request_id, out);
      if (as_text(append->payload) == "too much") {
        return protocol::encode_status_response(protocol::response_of(frame.operation),
                                                append->request_id, Status::kInvalidRequest,
                                                protocol::kTextStreamFull, out);
      }
      messages.emplace_back(as_text(append->payload));
      return protocol::encode_append_response(append->request_id, number, out);
    }
    if (const auto* describe = std::get_if<protocol::DescribeRequest>(&*request)) {
      if (describe->name != "pumps") return refuse(frame, describe->request_id, out);
      model::StreamInfo info;
      info.definition.name = "pumps";
      info.storage_status = {oldest, static_cast<std::int64_t>(messages.size()) - 1, 0};
      return protocol::encode_describe_response(describe->request_id, info, out);
    }
    if (const auto* read = std::get_if<protocol::ReadRequest>(&*request)) return answer(*read, out);
    FAIL() << "a request that this server does not know";
  }

  std::vector<std::string> messages;
  std::int64_t oldest = 0;

 private:
  static void refuse(const protocol::Frame& frame, std::string_view id, ByteBuffer& out) {
    protocol::encode_status_response(protocol::response_of(frame.operation), id,
                                     Status::kResourceNotFound, protocol::kTextNoSuchStream, out);
  }
  void answer(const protocol::ReadRequest& read, ByteBuffer& out) const {
    const std::int64_t start = std::max(read.desired_start, oldest);
    const std::int64_t count =
        std::min(read.count_max, static_cast<std::int64_t>(messages.size()) - start);
    if (count < read.count_min) {
      return protocol::encode_status_response(Operation::kReadMessagesResponse, read.request_id,
                                              Status::kNotEnoughMessages,
                                              protocol::kTextNotEnoughMessages, out);
    }
    protocol::ReadResponseEncoder encoder(read.request_id, "pumps", count, out);
    for (std::int64_t i = start; i < start + count; ++i) {
      // A message every ten milliseconds.
      encoder.add(i, 1'700'000'000'000 + i * 10, as_bytes(messages[static_cast<std::size_t>(i)]));
    }
    encoder.finish();
  }
};

/// A pipe whose reading end holds `text` and then ends.
class Pipe {
 public:
  explicit Pipe(std::string_view text = {}) {
    EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0);
    if (text.empty()) return;
    EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close_write();
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  [[nodiscard]] int read_end() const { return ends_[0]; }
  [[nodiscard]] int write_end() const { return ends_[1]; }
  void close_read() { close(ends_[0]); }
  void close_write() { close(ends_[1]); }
  /// Everything written so far; closes the writing end.
  std::string text() {
    close_write();
    std::string all;
    char buffer[4096];
    for (ssize_t got = 1; got > 0;) {
      got = ::read(ends_[0], buffer, sizeof buffer);
      if (got > 0) all.append(buffer, static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  int ends_[2] = {-1, -1};
};

std::string connect_error(const Endpoint& endpoint, Duration timeout = Client::kConnectTimeout) {
  const auto client = Client::connect(endpoint, nullptr, timeout);
  return client ? "connected" : client.error().what;
}

TEST(Connect, says_what_failed_where_and_what_to_do) {
  std::int64_t free_port = 0;
  {
    const FakeServer gone("");
    free_port = gone.endpoint().port;
  }
  EXPECT_THAT(connect_error({"127.0.0.1", free_port, ""}),
              HasSubstr("connect to 127.0.0.1:" + std::to_string(free_port) +
                        ": Connection refused; is weir running?"));
  EXPECT_THAT(connect_error({"no such host.invalid", 1, ""}), HasSubstr("check --host"));

  const FakeServer other("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_THAT(connect_error(other.endpoint()), HasSubstr("does not speak the stream manager"));
  const FakeServer closing("");
  EXPECT_THAT(connect_error(closing.endpoint()), HasSubstr("does not speak the stream manager"));
  const FakeServer silent("\x01");
  EXPECT_THAT(connect_error(silent.endpoint(), std::chrono::milliseconds(50)),
              HasSubstr("no answer from"));

  protocol::ConnectResponse refusal;
  refusal.status = Status::kUnauthorized;
  const FakeServer strict(FakeServer::handshake_with(refusal));
  const std::string refused = connect_error(strict.endpoint());
  EXPECT_THAT(refused, HasSubstr("--token-file"));
  EXPECT_EQ(refused.find("secret"), std::string::npos);
}

TEST(Call, turns_a_refusal_into_an_error_that_keeps_the_servers_text) {
  const FakeServer server(FakeServer::welcome(), FakeStreams());
  auto client = Client::connect(server.endpoint());
  ASSERT_TRUE(client.has_value()) << client.error().what;
  const auto missing = (*client)->request("describe stream x", protocol::DescribeRequest{{}, "x"});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_EQ(missing.error().what,
            "describe stream x: the requested message stream does not exist (ResourceNotFound)");
  EXPECT_TRUE((*client)->request("describe", protocol::DescribeRequest{{}, "pumps"}).has_value());
}

TEST(Call, a_server_that_hangs_up_or_talks_nonsense_is_an_error) {
  const FakeServer hangs_up(FakeServer::welcome());
  auto client = Client::connect(hangs_up.endpoint());
  ASSERT_TRUE(client.has_value());
  auto response = (*client)->call(protocol::ListRequest{});
  ASSERT_FALSE(response.has_value());
  EXPECT_THAT(response.error().what, HasSubstr("closed the connection"));

  const auto say = [](std::string_view hex_free_bytes) {
    return [bytes = std::string(hex_free_bytes)](const protocol::Frame&, ByteBuffer& out) {
      out.append(as_bytes(bytes));
    };
  };
  const std::string_view nonsense[] = {
      {"\0\0\0\0\0", 5},          // impossible length
      {"\0\0\0\x02\x0c\xff", 6},  // not CBOR
      {"\0\0\0\x15\x0c\xa2\x69requestId\x63"
       "999\x66status",
       24},  // cut map
  };
  for (const std::string_view bytes : nonsense) {
    const FakeServer server(FakeServer::welcome(), say(bytes));
    client = Client::connect(server.endpoint());
    ASSERT_TRUE(client.has_value());
    response = (*client)->call(protocol::ListRequest{}, std::chrono::milliseconds(500));
    EXPECT_FALSE(response.has_value());
  }
}

class PubTest : public ::testing::Test {
 protected:
  /// Publishes what `source` has to the fake server.
  Result<void> publish(Publisher::Options options, MessageSource source) {
    const FakeServer server(FakeServer::welcome(),
                            [this](const auto& frame, ByteBuffer& out) { streams_(frame, out); });
    const auto client = Client::connect(server.endpoint(), &interrupt_);
    if (!client) return fail(client.error());
    Output out(printed_.write_end());
    Publisher publisher(std::move(options), **client, source, interrupt_, out);
    const auto done = publisher.run();
    out.flush();
    counts_ = publisher.counts();
    return done;
  }

  FakeStreams streams_;
  Interrupt interrupt_;
  Pipe printed_;
  Publisher::Counts counts_;
};

TEST_F(PubTest, each_line_is_a_message_and_empty_ones_are_left_out) {
  const Pipe input("one\n\ntwo\nthree");
  auto source = MessageSource::input(input.read_end(), "\n");
  ASSERT_TRUE(publish({"pumps", 0, 1000, true}, std::move(source)).has_value());
  EXPECT_EQ(streams_.messages, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(counts_.stored, 3);
  EXPECT_EQ(printed_.text(), "0\n1\n2\n");
}

TEST_F(PubTest, more_messages_than_fit_into_the_window_all_arrive_in_order) {
  std::string lines;
  std::vector<std::string> expected;
  for (int i = 0; i < 5000; ++i) {
    expected.push_back(std::to_string(i));
    lines += expected.back() + "\n";
  }
  const Pipe input(lines);
  for (const std::int64_t window : {1, 7, 1000, 100'000}) {
    streams_.messages.clear();
    const Pipe again(lines);
    auto source = MessageSource::input(again.read_end(), "\n");
    ASSERT_TRUE(publish({"pumps", 0, window, false}, std::move(source)).has_value());
    EXPECT_EQ(streams_.messages, expected);
  }
}

TEST_F(PubTest, what_is_refused_is_counted_and_the_rest_goes_on) {
  const Pipe input("a\ntoo much\nb\ntoo much\n");
  auto source = MessageSource::input(input.read_end(), "\n");
  ASSERT_TRUE(publish({"pumps", 0, 1000, false}, std::move(source)).has_value());
  EXPECT_EQ(counts_.stored, 2);
  EXPECT_EQ(counts_.refused, 2);
  EXPECT_EQ(counts_.first_refused, 2);
  EXPECT_THAT(counts_.first_refusal, HasSubstr("the message stream is full"));
}

TEST_F(PubTest, a_missing_stream_ends_it_with_advice) {
  const Pipe input("a\nb\n");
  const auto done =
      publish({"missing", 0, 1000, false}, MessageSource::input(input.read_end(), "\n"));
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, Errc::kNotFound);
  EXPECT_THAT(done.error().what, HasSubstr("--create"));
}

TEST_F(PubTest, other_delimiters_and_whole_inputs) {
  const Pipe zeros(std::string_view("a\0b\nc\0", 6));
  ASSERT_TRUE(publish({"pumps", 0, 1000, false},
                      MessageSource::input(zeros.read_end(), std::string("\0", 1)))
                  .has_value());
  const Pipe words("a--b-c");
  ASSERT_TRUE(
      publish({"pumps", 0, 1000, false}, MessageSource::input(words.read_end(), "--")).has_value());
  const Pipe whole("line\nline\n");
  ASSERT_TRUE(
      publish({"pumps", 0, 1000, false}, MessageSource::input(whole.read_end(), "")).has_value());
  EXPECT_EQ(streams_.messages, (std::vector<std::string>{"a", "b\nc", "a", "b-c", "line\nline\n"}));
  const auto missing =
      publish({"pumps", 0, 1000, false}, MessageSource::files({"/nonexistent/file"}));
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().what, HasSubstr("open /nonexistent/file"));
}

TEST_F(PubTest, an_interrupt_ends_it_cleanly_while_it_waits_for_input) {
  const Pipe input;  // nobody writes, nobody closes
  std::thread killer([] { ::kill(::getpid(), SIGINT); });
  const auto done =
      publish({"pumps", 0, 1000, false}, MessageSource::input(input.read_end(), "\n"));
  killer.join();
  EXPECT_TRUE(done.has_value() || done.error().code == Errc::kCancelled) << done.error().what;
}

class SubTest : public ::testing::Test {
 protected:
  SubTest() {
    for (int i = 0; i < 2500; ++i) streams_.messages.push_back(std::to_string(i));
  }
  std::vector<int> read(const char* from, std::optional<std::int64_t> count = std::nullopt) {
    const FakeServer server(FakeServer::welcome(),
                            [this](const auto& frame, ByteBuffer& out) { streams_(frame, out); });
    const auto client = Client::connect(server.endpoint());
    EXPECT_TRUE(client.has_value());
    Pipe printed;
    Output out(printed.write_end());
    Subscriber subscriber({"pumps", *parse_start_position(from), count, false}, **client,
                          *MessageFormat::from_template("%p", "\n"), out);
    const auto done = subscriber.run();
    EXPECT_TRUE(done.has_value()) << done.error().what;
    out.flush();
    std::vector<int> numbers;
    const std::string text = printed.text();
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      numbers.push_back(std::stoi(text.substr(at)));
    }
    return numbers;
  }
  static std::vector<int> range(int first, int end) {
    std::vector<int> numbers;
    for (int i = first; i < end; ++i) numbers.push_back(i);
    return numbers;
  }
  FakeStreams streams_;
};

TEST_F(SubTest, begins_where_it_was_told_to_and_ends_at_the_end) {
  EXPECT_EQ(read("start"), range(0, 2500));
  EXPECT_EQ(read("end"), range(0, 0));
  EXPECT_EQ(read("-3"), range(2497, 2500));
  EXPECT_EQ(read("-9999"), range(0, 2500));
  EXPECT_EQ(read("2499"), range(2499, 2500));
  EXPECT_EQ(read("2500"), range(0, 0));
  EXPECT_EQ(read("100", 3), range(100, 103));
  EXPECT_EQ(read("0", 1500), range(0, 1500));
}

TEST_F(SubTest, finds_a_time) {
  EXPECT_EQ(read("2023-11-14T22:13:20Z"), range(0, 2500));
  EXPECT_EQ(read("2023-11-14T22:13:20.015Z", 2), range(2, 4));
  EXPECT_EQ(read("2023-11-14T22:13:44.990Z"), range(2499, 2500));
  EXPECT_EQ(read("2023-11-14T22:13:44.991Z"), range(0, 0));
  EXPECT_EQ(read("2000-01-01", 1), range(0, 1));
}

TEST_F(SubTest, begins_at_the_oldest_message_that_is_left) {
  streams_.oldest = 2000;
  EXPECT_EQ(read("start"), range(2000, 2500));
  EXPECT_EQ(read("5", 1), range(2000, 2001));
  EXPECT_EQ(read("-600"), range(2000, 2500));
  EXPECT_EQ(read("2000-01-01", 1), range(2000, 2001));
}

TEST_F(SubTest, stops_quietly_when_nobody_reads_any_more) {
  const Interrupt ignore_sigpipe;
  const FakeServer server(FakeServer::welcome(),
                          [this](const auto& frame, ByteBuffer& out) { streams_(frame, out); });
  const auto client = Client::connect(server.endpoint());
  ASSERT_TRUE(client.has_value());
  Pipe printed;
  printed.close_read();
  Output out(printed.write_end());
  Subscriber subscriber({"pumps", {}, std::nullopt, true}, **client,
                        *MessageFormat::from_template("%p", "\n"), out);
  const auto done = subscriber.run();
  EXPECT_TRUE(done.has_value() || done.error().code == Errc::kCancelled);
}

}  // namespace
}  // namespace weir::cli
