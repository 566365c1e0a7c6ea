#include "cli/client.h"

#include "base/log.h"
#include "cli/interrupt.h"
#include "protocol/codec.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weir::cli {
namespace {

using protocol::Status;

constexpr std::size_t kReadBytes = 256 * 1024;

/// Milliseconds left, rounded up, for poll.
int left_ms(Instant deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().now());
  if (left.count() <= 0) return 0;
  return static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000));
}

struct AddressList {
  addrinfo* first = nullptr;
  AddressList() = default;
  AddressList(const AddressList&) = delete;
  AddressList& operator=(const AddressList&) = delete;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

Result<void> resolve(const Endpoint& endpoint, AddressList& out) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  const std::string port = std::to_string(endpoint.port);
  const int failed = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &out.first);
  if (failed == 0) return {};
  return fail(Errc::kInvalidArgument, fmt::format("find the address of {}: {}; check --host",
                                                  endpoint.host, ::gai_strerror(failed)));
}

/// Waits until a connect that was begun has ended; 0 or the errno of what went wrong.
int await_connected(int fd, const Interrupt* interrupt, Instant deadline) {
  std::array<pollfd, 2> ready = {
      {{fd, POLLOUT, 0}, {interrupt != nullptr ? interrupt->fd() : -1, POLLIN, 0}}};
  for (;;) {
    const int count = ::poll(ready.data(), ready.size(), left_ms(deadline));
    if (count < 0 && errno != EINTR) return errno;
    if (ready[1].revents != 0) return ECANCELED;
    if (count == 0) return ETIMEDOUT;
    if (count > 0) break;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

/// A connected, non-blocking socket, or -1 and errno in `error`.
int connect_to(const addrinfo& address, const Interrupt* interrupt, Instant deadline, int& error) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    error = errno;
    return -1;
  }
  error = 0;
  if (::connect(fd, address.ai_addr, address.ai_addrlen) < 0) {
    error = errno == EINPROGRESS ? await_connected(fd, interrupt, deadline) : errno;
  }
  if (error != 0) {
    ::close(fd);
    return -1;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

std::string advice_for(int os_errno) {
  switch (os_errno) {
    case ECONNREFUSED:
      return "; is weir running? Start it with: weir serve. Another port: --port";
    case ETIMEDOUT:
      return "; check --host and --port";
    default:
      return "";
  }
}

Errc code_of(Status status) {
  switch (status) {
    case Status::kResourceNotFound:
      return Errc::kNotFound;
    case Status::kInvalidRequest:
      return Errc::kInvalidArgument;
    case Status::kUpdateNotAllowed:
      return Errc::kConflict;
    default:
      return Errc::kUnavailable;
  }
}

std::string refusal_text(const protocol::ConnectResponse& response) {
  if (response.status == Status::kUnauthorized) {
    return "the server does not accept the token (Unauthorized); give one in "
           "AWS_CONTAINER_AUTHORIZATION_TOKEN or with --token-file, or let every local program in "
           "with server.authenticate_client: false";
  }
  return fmt::format("the server refuses: {} ({})", log::escaped(response.error_message),
                     protocol::status_name(response.status));
}

constexpr std::string_view kNotOurProtocol =
    "what answers there does not speak the stream manager protocol; check --port (the admin port "
    "is another one)";

}  // namespace

Result<std::unique_ptr<Client>> Client::connect(const Endpoint& endpoint,
                                                const Interrupt* interrupt, Duration timeout) {
  const Instant deadline = SystemClock().now() + timeout;
  AddressList addresses;
  WEIR_RETURN_IF_ERROR(resolve(endpoint, addresses));
  const std::string where = fmt::format("{}:{}", endpoint.host, endpoint.port);
  int error = ECONNREFUSED;
  for (const addrinfo* at = addresses.first; at != nullptr; at = at->ai_next) {
    const int fd = connect_to(*at, interrupt, deadline, error);
    if (fd < 0) continue;
    std::unique_ptr<Client> client(new Client(fd, where, interrupt));
    if (auto done = client->shake_hands(endpoint.token, deadline); !done) {
      return fail(with_context("connect to " + where, std::move(done).error()));
    }
    return client;
  }
  if (error == ECANCELED) return fail(Errc::kCancelled, "interrupted");
  Error failure = os_error("connect to " + where, error);
  failure.code = Errc::kUnavailable;
  failure.what += advice_for(error);
  return fail(std::move(failure));
}

Client::~Client() { ::close(fd_); }

Result<void> Client::shake_hands(const std::string& token, Instant deadline) {
  protocol::ConnectRequest request;
  request.request_id = "connect";
  request.protocol_version = protocol::version_text(protocol::Version::k1_1_0);
  request.other_supported_protocol_versions.emplace_back(
      protocol::version_text(protocol::Version::k1_0_0));
  request.sdk_version = WEIR_VERSION;
  request.auth_token = token;
  out_.append(protocol::kConnectVersion);
  protocol::encode_connect(request, out_);
  return await_handshake(deadline);
}

Result<void> Client::await_handshake(Instant deadline) {
  for (;;) {
    WEIR_RETURN_IF_ERROR(exchange());
    if (!in_.empty() && in_.data()[0] != protocol::kConnectVersion) {
      return fail(Errc::kUnsupported, std::string(kNotOurProtocol));
    }
    const Bytes rest = in_.empty() ? Bytes{} : in_.bytes().subspan(1);
    const protocol::FrameView view = protocol::split_frame(rest);
    if (view.kind == protocol::FrameView::Kind::kFrame) {
      if (view.frame.operation != protocol::Operation::kConnectResponse) {
        return fail(Errc::kUnsupported, std::string(kNotOurProtocol));
      }
      WEIR_TRY(const auto response, protocol::decode_connect_response(view.frame.payload));
      if (response.status != Status::kSuccess) {
        return fail(Errc::kUnavailable, refusal_text(response));
      }
      taken_ = 1 + view.frame.bytes;
      return {};
    }
    if (view.kind == protocol::FrameView::Kind::kBadLength || end_of_input_) {
      return fail(Errc::kUnsupported, std::string(kNotOurProtocol));
    }
    WEIR_RETURN_IF_ERROR(wait_ready(deadline, -1, "an answer to the handshake"));
  }
}

/// Waits until the socket can be read, or written if there is something to write.
Result<void> Client::wait_ready(Instant deadline, int also, std::string_view for_what) {
  const auto events = static_cast<short>(POLLIN | (wants_write() ? POLLOUT : 0));
  const int interrupt_fd = interrupt_ != nullptr ? interrupt_->fd() : -1;
  std::array<pollfd, 3> ready = {{{fd_, events, 0}, {interrupt_fd, POLLIN, 0}, {also, 0, 0}}};
  const int count = ::poll(ready.data(), ready.size(), left_ms(deadline));
  if (count < 0 && errno != EINTR) return fail(os_error("wait for " + where_, errno));
  if (count > 0 && ready[1].revents != 0) return fail(Errc::kCancelled, "interrupted");
  if (count > 0 && ready[2].revents != 0) return fail(Errc::kCancelled, "the reader is gone");
  if (count == 0 && SystemClock().now() >= deadline) {
    return fail(
        Errc::kUnavailable,
        fmt::format("no answer from {} in time, while waiting for {}; if this is weir (another "
                    "port: --port), 'weir status' asks a part of it that cannot be stuck "
                    "in the same way, and its log says more",
                    where_, for_what));
  }
  return {};
}

Result<void> Client::write_some() {
  while (wants_write()) {
    const ssize_t written =
        ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0) {
      if (errno == EAGAIN || errno == EINTR) return {};
      // What the server said before it closed is worth more than the broken pipe.
      if (errno == EPIPE || errno == ECONNRESET) return {};
      return fail(os_error("send to " + where_, errno));
    }
    sent_ += static_cast<std::size_t>(written);
  }
  out_.clear();
  sent_ = 0;
  return {};
}

Result<void> Client::read_some() {
  if (taken_ == in_.size()) {
    in_.clear();
    taken_ = 0;
  } else if (taken_ > kReadBytes) {
    in_.consume(taken_);
    taken_ = 0;
  }
  // One read a call: whoever calls takes the answers out in between, so that `in_` stays small.
  const std::size_t begin = in_.size();
  std::byte* const to = in_.extend(kReadBytes);
  const ssize_t got = ::recv(fd_, to, kReadBytes, MSG_DONTWAIT);
  const int error = errno;
  in_.truncate(begin + static_cast<std::size_t>(got < 0 ? 0 : got));
  if (got == 0) end_of_input_ = true;
  if (got < 0 && error != EAGAIN && error != EINTR) {
    if (error != ECONNRESET) return fail(os_error("receive from " + where_, error));
    end_of_input_ = true;
  }
  return {};
}

Result<void> Client::exchange() {
  WEIR_RETURN_IF_ERROR(write_some());
  return read_some();
}

std::uint64_t Client::send(protocol::Request request) {
  const std::uint64_t ticket = ++last_ticket_;
  std::array<char, 24> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), ticket).ptr;
  const std::string_view id(text.data(), static_cast<std::size_t>(end - text.data()));
  std::visit([&](auto& typed) { typed.request_id = id; }, request);
  if (sent_ > kReadBytes) {
    out_.consume(sent_);
    sent_ = 0;
  }
  protocol::encode_request(request, out_);
  return ticket;
}

Result<std::optional<Client::Answer>> Client::next() {
  const protocol::FrameView view = protocol::split_frame(in_.bytes().subspan(taken_));
  if (view.kind == protocol::FrameView::Kind::kBadLength) {
    return fail(Errc::kCorrupt, where_ + " sent a frame of impossible length");
  }
  if (view.kind == protocol::FrameView::Kind::kNeedMore) {
    if (!end_of_input_) return std::optional<Answer>();
    return fail(Errc::kUnavailable,
                where_ + " closed the connection; its log says why, if it is weir");
  }
  WEIR_TRY(auto response, protocol::decode_response(view.frame.operation, view.frame.payload));
  taken_ += view.frame.bytes;
  Answer answer;
  const std::string& id = response.request_id;
  const auto parsed = std::from_chars(id.data(), id.data() + id.size(), answer.ticket);
  if (parsed.ec != std::errc() || answer.ticket == 0 || answer.ticket > last_ticket_) {
    return fail(Errc::kCorrupt, where_ + " answered a request that was never made");
  }
  answer.response = std::move(response);
  return std::optional<Answer>(std::move(answer));
}

Result<Client::Answer> Client::wait(Duration timeout, int also) {
  const Instant deadline = SystemClock().now() + timeout;
  for (;;) {
    WEIR_TRY(auto answer, next());
    if (answer) return std::move(*answer);
    WEIR_RETURN_IF_ERROR(wait_ready(deadline, also, "an answer"));
    WEIR_RETURN_IF_ERROR(exchange());
  }
}

Result<protocol::Response> Client::call(protocol::Request request, Duration timeout) {
  const std::uint64_t ticket = send(std::move(request));
  WEIR_RETURN_IF_ERROR(exchange());
  WEIR_TRY(auto answer, wait(timeout));
  if (answer.ticket != ticket) {
    return fail(Errc::kCorrupt, where_ + " answered another request than the one it was asked");
  }
  return std::move(answer.response);
}

Result<protocol::Response> Client::request(std::string_view doing, protocol::Request request) {
  auto response = call(std::move(request));
  if (!response) return fail(with_context(doing, std::move(response).error()));
  if (response->status == Status::kSuccess) return response;
  return fail(code_of(response->status),
              fmt::format("{}: {} ({})", doing, log::escaped(response->error_message, 4096),
                          protocol::status_name(response->status)));
}

}  // namespace weir::cli
