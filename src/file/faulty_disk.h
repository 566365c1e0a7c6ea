#pragma once

#include "base/bytes.h"
#include "base/rng.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What `FaultyFileSystem` remembers about files and directories: what is durable, what is not.
namespace weir::file::faulty {

inline constexpr std::size_t kSectorBytes = 512;

/// What a power cut does to everything that was not synced.
enum class Survival : std::uint8_t { kNothing, kEverything, kPrefix, kMixed };
Survival draw_survival(Rng& rng);

/// One file: content as the page cache shows it, content as the disk has it, and the changes in
/// between, in order.
class FileContent {
 public:
  void write(std::uint64_t offset, Bytes bytes);
  void truncate(std::uint64_t size);
  void sync();
  /// A failed sync: a part of the changes is on the disk, the rest never will be. The page cache
  /// may go on showing it.
  void lose_unsynced(Rng& rng);
  /// The same unnoticed: the next `take_failure` tells of it. Nothing if all is synced.
  void fail_write_back(Rng& rng);
  /// Whether write-back failed since the last call.
  bool take_failure() { return std::exchange(failed_, false); }
  void crash(Rng& rng);
  void set_durable(Bytes content);
  void flip_bit(std::uint64_t offset, unsigned bit);

  [[nodiscard]] const ByteVector& current() const { return current_; }
  [[nodiscard]] std::size_t unsynced() const { return changes_.size(); }

 private:
  struct Change {
    bool truncate = false;
    std::uint64_t offset = 0;  ///< of a truncation: the new size
    ByteVector bytes;
  };
  static void apply(ByteVector& content, const Change& change);
  [[nodiscard]] ByteVector survivor(Rng& rng) const;

  ByteVector current_;
  ByteVector durable_;
  std::vector<Change> changes_;
  bool failed_ = false;
};

/// A file (with content) or a directory (with entries).
struct Node {
  bool is_directory = false;
  FileContent content;
  std::map<std::string, std::shared_ptr<Node>, std::less<>> entries;  ///< as the process sees it
  std::map<std::string, std::shared_ptr<Node>, std::less<>> durable_entries;
};
using NodePtr = std::shared_ptr<Node>;

/// The tree of directories with its unsynced creations, removals and renames.
class Tree {
 public:
  Tree();

  /// Null if there is none.
  [[nodiscard]] NodePtr find(std::string_view path) const;
  /// The directory that holds `path`; null if there is none or it is a file.
  [[nodiscard]] NodePtr parent(std::string_view path) const;

  void link(std::string_view path, NodePtr node);
  void unlink(std::string_view path);
  void rename(std::string_view from, std::string_view to);
  void sync(const NodePtr& directory);
  /// All files and all directories.
  void sync_all();
  /// Write-back fails for some of the files that have something to write.
  void fail_write_back(Rng& rng);
  void crash(Rng& rng);
  /// Makes every name up to `path` durable.
  void make_durable(std::string_view path, const NodePtr& node);

  [[nodiscard]] std::vector<std::string> files() const;
  /// Content of all files together.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  /// Sets (or with a null node: removes) one name.
  struct Edit {
    NodePtr directory;
    std::string name;
    NodePtr node;
  };
  /// A change of one or two directories that a crash keeps or drops as a whole.
  struct Operation {
    std::vector<Edit> edits;
    std::vector<NodePtr> unsynced_in;
  };
  static void apply_durably(const Operation& operation);
  void record(std::vector<Edit> edits);

  NodePtr root_;
  std::vector<Operation> unsynced_;
};

}  // namespace weir::file::faulty
