#include "file/faulty_disk.h"

#include "base/check.h"
#include "file/path.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace weir::file::faulty {
namespace {

// These files are in memory, so that whatever is a size in one of them fits.
std::size_t size_of(std::uint64_t bytes) { return static_cast<std::size_t>(bytes); }

std::size_t below(Rng& rng, std::size_t bound) { return size_of(rng.below(bound)); }

std::size_t end_of(std::uint64_t offset, const ByteVector& bytes) {
  return size_of(offset) + bytes.size();
}

}  // namespace

Survival draw_survival(Rng& rng) {
  // Half of all cuts are mixtures: those find the mistakes.
  if (rng.chance(0.5)) return Survival::kMixed;
  return static_cast<Survival>(rng.below(3));
}

void FileContent::apply(ByteVector& content, const Change& change) {
  if (change.truncate) {
    content.resize(size_of(change.offset));
    return;
  }
  const std::size_t end = end_of(change.offset, change.bytes);
  if (content.size() < end) content.resize(end);
  std::copy(change.bytes.begin(), change.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void FileContent::write(std::uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return;
  changes_.push_back({false, offset, ByteVector(bytes.begin(), bytes.end())});
  apply(current_, changes_.back());
}

void FileContent::truncate(std::uint64_t size) {
  if (size == current_.size()) return;
  changes_.push_back({true, size, {}});
  apply(current_, changes_.back());
}

void FileContent::sync() {
  for (const Change& change : changes_) apply(durable_, change);
  changes_.clear();
}

/// Every sector stands as it was after some number of the changes, the size after another: that is
/// what write-back in any order leaves.
ByteVector FileContent::survivor(Rng& rng) const {
  if (changes_.empty()) return durable_;
  const std::size_t all = changes_.size();
  const Survival survival = draw_survival(rng);
  std::size_t common = 0;
  if (survival == Survival::kEverything) common = all;
  if (survival == Survival::kPrefix) common = below(rng, all + 1);

  std::size_t longest = durable_.size();
  std::vector<std::size_t> sizes{durable_.size()};
  for (const Change& change : changes_) {
    const std::size_t end = end_of(change.offset, change.bytes);
    sizes.push_back(change.truncate ? end : std::max(sizes.back(), end));
    longest = std::max(longest, sizes.back());
  }
  const bool mixed = survival == Survival::kMixed;
  const double keep = rng.unit();
  std::vector<std::size_t> moments((longest + kSectorBytes - 1) / kSectorBytes, common);
  if (mixed) {
    const auto draw = [&](double written) -> std::size_t {
      if (rng.chance(written)) return all;
      return rng.chance(0.5) ? 0 : below(rng, all + 1);
    };
    for (std::size_t& moment : moments) moment = draw(keep);
    common = draw(0.5);
  }

  ByteVector result = durable_;
  result.resize(longest);
  for (std::size_t i = 0; i < all; ++i) {
    const Change& change = changes_[i];
    const std::size_t begin = size_of(change.offset);
    const std::size_t end = change.truncate ? longest : begin + change.bytes.size();
    for (std::size_t at = begin; at < end;) {
      const std::size_t sector = at / kSectorBytes;
      const std::size_t stop = std::min(end, (sector + 1) * kSectorBytes);
      if (moments[sector] > i) {
        for (std::size_t byte = at; byte < stop; ++byte) {
          result[byte] = change.truncate ? std::byte{0} : change.bytes[byte - begin];
        }
      }
      at = stop;
    }
  }
  result.resize(sizes[common]);
  return result;
}

void FileContent::lose_unsynced(Rng& rng) {
  durable_ = survivor(rng);
  changes_.clear();
  if (rng.chance(0.5)) {
    const std::size_t size = current_.size();
    current_ = durable_;
    current_.resize(size);
    durable_.resize(size);
  }
}

void FileContent::fail_write_back(Rng& rng) {
  if (changes_.empty()) return;
  lose_unsynced(rng);
  failed_ = true;
}

void FileContent::crash(Rng& rng) {
  failed_ = false;
  durable_ = survivor(rng);
  current_ = durable_;
  changes_.clear();
}

void FileContent::set_durable(Bytes content) {
  durable_.assign(content.begin(), content.end());
  current_ = durable_;
  changes_.clear();
}

void FileContent::flip_bit(std::uint64_t offset, unsigned bit) {
  WEIR_CHECK(offset < current_.size(), "a test flips a bit outside of its file");
  sync();
  const std::size_t at = size_of(offset);
  current_[at] ^= std::byte{1} << bit;
  if (at < durable_.size()) durable_[at] = current_[at];
}

Tree::Tree() : root_(std::make_shared<Node>()) { root_->is_directory = true; }

NodePtr Tree::find(std::string_view path) const {
  NodePtr node = root_;
  while (!path.empty()) {
    if (!node->is_directory) return nullptr;
    const std::size_t slash = path.find('/');
    const auto found = node->entries.find(path.substr(0, slash));
    if (found == node->entries.end()) return nullptr;
    node = found->second;
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return node;
}

NodePtr Tree::parent(std::string_view path) const {
  const NodePtr node = find(split_path(path).directory);
  return node && node->is_directory ? node : nullptr;
}

void Tree::record(std::vector<Edit> edits) {
  Operation operation;
  for (const Edit& edit : edits) {
    if (edit.node) {
      edit.directory->entries.insert_or_assign(edit.name, edit.node);
    } else {
      edit.directory->entries.erase(edit.name);
    }
    auto& unsynced = operation.unsynced_in;
    if (std::find(unsynced.begin(), unsynced.end(), edit.directory) == unsynced.end()) {
      unsynced.push_back(edit.directory);
    }
  }
  operation.edits = std::move(edits);
  unsynced_.push_back(std::move(operation));
}

void Tree::link(std::string_view path, NodePtr node) {
  record({{parent(path), std::string(split_path(path).name), std::move(node)}});
}

void Tree::unlink(std::string_view path) {
  record({{parent(path), std::string(split_path(path).name), nullptr}});
}

void Tree::rename(std::string_view from, std::string_view to) {
  record({{parent(from), std::string(split_path(from).name), nullptr},
          {parent(to), std::string(split_path(to).name), find(from)}});
}

void Tree::apply_durably(const Operation& operation) {
  for (const Edit& edit : operation.edits) {
    if (edit.node) {
      edit.directory->durable_entries.insert_or_assign(edit.name, edit.node);
    } else {
      edit.directory->durable_entries.erase(edit.name);
    }
  }
}

void Tree::sync(const NodePtr& directory) {
  std::vector<Operation> left;
  for (Operation& operation : unsynced_) {
    std::erase(operation.unsynced_in, directory);
    if (operation.unsynced_in.empty()) {
      apply_durably(operation);
    } else {
      left.push_back(std::move(operation));
    }
  }
  unsynced_ = std::move(left);
}

namespace {

/// Calls `visit` for every file below `node`.
void each_file(Node& node, const std::function<void(FileContent&)>& visit) {
  if (!node.is_directory) visit(node.content);
  for (const auto& [name, child] : node.entries) each_file(*child, visit);
}

}  // namespace

void Tree::sync_all() {
  for (const Operation& operation : unsynced_) apply_durably(operation);
  unsynced_.clear();
  each_file(*root_, [](FileContent& content) { content.sync(); });
}

void Tree::fail_write_back(Rng& rng) {
  each_file(*root_, [&](FileContent& content) {
    if (rng.chance(0.5)) content.fail_write_back(rng);
  });
}

void Tree::crash(Rng& rng) {
  const Survival survival = draw_survival(rng);
  const std::size_t all = unsynced_.size();
  const std::size_t prefix = below(rng, all + 1);
  for (std::size_t i = 0; i < all; ++i) {
    const bool kept = survival == Survival::kEverything ||
                      (survival == Survival::kPrefix && i < prefix) ||
                      (survival == Survival::kMixed && rng.chance(0.5));
    if (kept) apply_durably(unsynced_[i]);
  }
  unsynced_.clear();

  std::set<Node*> seen;
  const std::function<void(Node&)> settle = [&](Node& node) {
    if (!seen.insert(&node).second) return;
    if (!node.is_directory) {
      node.content.crash(rng);
      return;
    }
    node.entries = node.durable_entries;
    for (auto& [name, child] : node.entries) settle(*child);
  };
  settle(*root_);
}

void Tree::make_durable(std::string_view path, const NodePtr& node) {
  const NodePtr directory = parent(path);
  WEIR_CHECK(directory != nullptr, "a test sets the content of a file in no directory");
  const std::string name(split_path(path).name);
  directory->entries.insert_or_assign(name, node);
  directory->durable_entries.insert_or_assign(name, node);
}

std::vector<std::string> Tree::files() const {
  std::vector<std::string> found;
  const std::function<void(const Node&, const std::string&)> walk = [&](const Node& node,
                                                                        const std::string& prefix) {
    for (const auto& [name, child] : node.entries) {
      if (child->is_directory) {
        walk(*child, prefix + name + "/");
      } else {
        found.push_back(prefix + name);
      }
    }
  };
  walk(*root_, "");
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t Tree::bytes() const {
  std::uint64_t sum = 0;
  const std::function<void(const Node&)> walk = [&](const Node& node) {
    sum += node.content.current().size();
    for (const auto& [name, child] : node.entries) walk(*child);
  };
  walk(*root_);
  return sum;
}

}  // namespace weir::file::faulty
