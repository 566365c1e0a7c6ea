#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "mqtt/client.h"

#include <memory>
#include <string>

namespace weir::mqtt {

/// Certificates, key and rules of TLS connections to one broker; TLS 1.2 or later, the broker's
/// certificate always checked, with its name. Threads: one at a time.
class TlsContext {
 public:
  /// Reads the files. Errors: kInvalidArgument, with the file and what is wrong with it.
  static Result<std::shared_ptr<TlsContext>> make(const Options& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsStream;
  TlsContext();
  struct State;
  std::unique_ptr<State> state_;
};

/// What an attempt to go on led to.
enum class Progress : std::uint8_t { kDone, kWantsRead, kWantsWrite, kClosed };

/// One TLS connection over a socket that does not block. Writing to a connection that is closed
/// raises SIGPIPE, so the thread must have that signal blocked. Threads: one.
class TlsStream {
 public:
  /// The socket stays the caller's and must outlive the stream.
  static Result<std::unique_ptr<TlsStream>> make(std::shared_ptr<TlsContext> context,
                                                 const Options& options, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// Errors say which certificate is the trouble, and why.
  Result<Progress> handshake();
  /// `count` says how many bytes if kDone. Until a read says kWantsRead there may be more inside,
  /// of which the socket does not tell.
  Result<Progress> read(MutableBytes into, std::size_t& count);
  Result<Progress> write(Bytes bytes, std::size_t& count);
  /// Tells the other side that nothing more comes. Does not wait.
  void say_end();

 private:
  TlsStream();
  struct State;
  std::unique_ptr<State> state_;

  Result<Progress> judge(int returned, int os_errno, std::string_view doing);
};

}  // namespace weir::mqtt
