#include "daemon/token_file.h"

#include "base/check.h"
#include "base/log.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::daemon {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kTokensMax = 10'000;

Result<std::string> read_private(const std::string& path, int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return fail(os_error("cannot look at it", errno));
  if (!S_ISREG(info.st_mode)) return fail(Errc::kInvalidArgument, "is not a regular file");
  if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("can be read by others or written by its group; chmod 600 '{}'",
                            log::escaped(path)));
  }
  if (static_cast<std::size_t>(info.st_size) > kFileBytesMax) {
    return fail(Errc::kInvalidArgument, fmt::format("is larger than {} bytes", kFileBytesMax));
  }
  std::string content(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t n = ::read(descriptor, content.data() + filled, content.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(os_error("cannot read", errno));
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  content.resize(filled);
  return content;
}

}  // namespace

TokenList::Digest TokenList::digest_of(std::string_view token) {
  Digest digest{};
  const int done =
      EVP_Digest(token.data(), token.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  WEIR_CHECK(done == 1, "SHA-256 works");
  return digest;
}

Result<TokenList> TokenList::load(const std::string& path) {
  const auto context = [&] { return fmt::format("server.tokens_file '{}'", log::escaped(path)); };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return fail(with_context(context(), os_error("cannot open", errno)));
  auto content = read_private(path, descriptor);
  ::close(descriptor);
  if (!content) return fail(with_context(context(), content.error()));
  TokenList list;
  std::string& text = *content;
  std::string_view rest = text;
  while (!rest.empty() && list.digests_.size() <= kTokensMax) {
    const auto end = rest.find('\n');
    const auto token = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    if (!token.empty()) list.digests_.push_back(digest_of(token));
  }
  OPENSSL_cleanse(text.data(), text.size());
  if (list.digests_.empty()) {
    return fail(Errc::kInvalidArgument, context() + " has no token; write one per line");
  }
  if (list.digests_.size() > kTokensMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} has more than {} tokens", context(), kTokensMax));
  }
  return list;
}

bool TokenList::contains(std::string_view token) const {
  const Digest wanted = digest_of(token);
  bool found = false;
  for (const auto& digest : digests_) {
    const bool same = CRYPTO_memcmp(digest.data(), wanted.data(), digest.size()) == 0;
    found = found | same;
  }
  return found;
}

}  // namespace weir::daemon
