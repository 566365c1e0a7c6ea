#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "destination/http_transport.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::destination::s3 {

/// Which files clients may have uploaded (reliability.md §4.5).
struct InputRules {
  /// Only files below one of these, reached without symbolic links; empty: any file that weir can
  /// read, as in the original.
  std::vector<std::string> directories;
  /// Never, nor anything below them: weir's store, configuration and secrets. The kernel's own
  /// trees (/proc, /sys, /dev, /run/credentials) are always among them.
  std::vector<std::string> denied;
};

/// What tells one state of a file from another. Devices get other numbers when a machine starts, so
/// theirs is not part of it.
struct FileIdentity {
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t modified_ns = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// A regular file, open for reading; what it was when it was opened decides about its size.
class InputFile {
 public:
  InputFile(int fd, const FileIdentity& identity) : fd_(fd), identity_(identity) {}
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// As it was when it was opened.
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  /// As it is by now. Errors: kIo.
  [[nodiscard]] Result<FileIdentity> current() const;
  [[nodiscard]] std::int64_t bytes() const { return identity_.bytes; }

  /// Fills `to` from `offset` on. Errors: kIo, kConflict (the file has become shorter). Blocks.
  Result<void> read(std::int64_t offset, MutableBytes to) const;

 private:
  int fd_;
  FileIdentity identity_;
};

/// Opens `path` (absolute, without "..") if the rules allow it. Nothing that changes on the way,
/// and neither links nor magic links lead elsewhere: each directory is opened in the one before it,
/// never through a link, and compared with what is denied by device and inode.
///
/// Errors: kInvalidArgument (not allowed, not a regular file), kNotFound, kIo; all in words for the
/// status. Blocks: on disk.
Result<std::unique_ptr<InputFile>> open_input(const std::string& path, const InputRules& rules);

/// A piece of a file as the body of a request.
class FilePart final : public BodySource {
 public:
  FilePart(const InputFile& file, std::int64_t offset, std::int64_t bytes)
      : file_(file), offset_(offset), bytes_(bytes) {}
  [[nodiscard]] std::int64_t size() const override { return bytes_; }
  Result<void> read(std::int64_t at, MutableBytes to) override {
    auto done = file_.read(offset_ + at, to);
    if (!done) error_ = done.error();
    return done;
  }
  /// Why the file could not be read, if that is why the request failed.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  const InputFile& file_;
  std::int64_t offset_;
  std::int64_t bytes_;
  std::optional<Error> error_;
};

}  // namespace weir::destination::s3
