#pragma once

#include "exporter/destination.h"
#include "stream/stream.h"

#include <memory>
#include <string>
#include <utility>

namespace weir::exporter {

/// The note of one export, kept beside its position. Threads: any.
class StoredNotes final : public Notes {
 public:
  StoredNotes(std::shared_ptr<stream::CursorStore> store, std::string identifier)
      : store_(std::move(store)), identifier_(std::move(identifier)) {}

  std::string load() override { return store_->note(identifier_); }
  Result<void> save(const std::string& note) override {
    return store_->save_note(identifier_, note);
  }

 private:
  const std::shared_ptr<stream::CursorStore> store_;
  const std::string identifier_;
};

/// Puts `kMovedMark` before the note of an export, if it has one. Durable on return. Blocks: on
/// disk.
inline Result<void> mark_moved(stream::CursorStore& store, const std::string& identifier) {
  const std::string note = store.note(identifier);
  if (note.empty() || note.front() == kMovedMark) return {};
  return store.save_note(identifier, kMovedMark + note);
}

}  // namespace weir::exporter
