#include "file/file_system.h"

#include "file/path.h"

#include <array>

namespace weir::file {
namespace {

/// Deeper than anything weir creates; a tree that goes on below it is not ours.
constexpr int kTreeDepthMax = 16;

Result<void> remove_below(FileSystem& files, const std::string& path, int depth) {
  if (depth > kTreeDepthMax) {
    return fail(Errc::kInvalidArgument,
                "remove '" + path + "': directories are nested too deeply to be weir's");
  }
  WEIR_TRY(const std::vector<Entry> entries, files.list(path));
  for (const Entry& entry : entries) {
    const std::string child = path.empty() ? entry.name : path + "/" + entry.name;
    if (entry.kind == EntryKind::kDirectory) {
      WEIR_RETURN_IF_ERROR(remove_below(files, child, depth + 1));
    } else {
      WEIR_RETURN_IF_ERROR(files.remove_file(child));
    }
  }
  return files.remove_directory(path);
}

Result<void> write_whole(FileSystem& files, const std::string& path, Bytes content) {
  WEIR_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::kCreateNew));
  const std::array<Bytes, 1> pieces{content};
  WEIR_RETURN_IF_ERROR(file->write_at(0, pieces));
  return file->sync();
}

}  // namespace

Result<ByteVector> read_file(FileSystem& files, std::string_view path, std::size_t bytes_max) {
  WEIR_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::kRead));
  WEIR_TRY(const std::uint64_t size, file->size());
  if (size > bytes_max) {
    return fail(Errc::kInvalidArgument,
                "read '" + std::string(path) + "': " + std::to_string(size) +
                    " bytes, more than the " + std::to_string(bytes_max) + " such a file may have");
  }
  ByteVector content(static_cast<std::size_t>(size));
  WEIR_TRY(const std::size_t read, file->read_at(0, content));
  content.resize(read);
  return content;
}

Result<void> replace_file(FileSystem& files, std::string_view path, Bytes content) {
  const std::string temporary = std::string(path) + ".tmp";
  if (auto removed = files.remove_file(temporary);
      !removed && removed.error().code != Errc::kNotFound) {
    return removed;
  }
  Result<void> done = write_whole(files, temporary, content);
  if (done) done = files.rename(temporary, path);
  if (!done) {
    // The old file stands. A leftover temporary file is removed at the next start anyway.
    auto ignored = files.remove_file(temporary);
    static_cast<void>(ignored);
    return fail(with_context("replace '" + std::string(path) + "'", std::move(done).error()));
  }
  return files.sync_directory(split_path(path).directory);
}

Result<void> remove_tree(FileSystem& files, std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  return remove_below(files, std::string(path), 0);
}

}  // namespace weir::file
