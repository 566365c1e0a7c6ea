#pragma once

#include "protocol/cbor.h"
#include "protocol/violations.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace weir::protocol {

/// Reads the fields of messages out of one CBOR document that `cbor::check` found sound. What does
/// not fit is noted in `violations` and skipped, so that one answer can name everything.
///
/// A value of null counts as absent, unknown keys are ignored, a repeated key is a violation
/// (protocol.md §1.4). Every function takes exactly one item.
class FieldReader {
 public:
  FieldReader(Bytes document, DecodeScratch& scratch) : reader_(document), scratch_(scratch) {}

  Violations violations;

  /// True, and `out` set, if the item is what the name says; else a violation is noted.
  bool text(const Path& path, std::string_view& out);
  bool bytes(const Path& path, Bytes& out);
  bool integer(const Path& path, std::int64_t& out);
  bool boolean(const Path& path, bool& out);
  /// An integer from 0 to `last`; `meaning` lists the values for the violation's text.
  bool enumeration(const Path& path, std::int64_t last, std::string_view meaning,
                   std::int64_t& out);

  /// Takes a map; calls `field(i)` for each key that is `keys[i]` and has a value, once. `field`
  /// must take the value.
  template <class Field>
  void map(const Path& path, std::span<const std::string_view> keys, Field field) {
    if (!open(path, cbor::Kind::kMap, "must be a map")) return;
    MapProgress progress{cbor::Entries(opened_), {}, 0};
    for (std::size_t i = 0; next_field(path, keys, progress, i);) field(i);
  }
  /// Takes a list; calls `element(i)`, which must take the element.
  template <class Element>
  void list(const Path& path, Element element) {
    if (!open(path, cbor::Kind::kArray, "must be a list")) return;
    cbor::Entries entries(opened_);
    for (std::int64_t i = 0; entries.more(reader_); ++i) element(i);
  }
  void skip() { reader_.skip(); }
  void missing(const Path& path) { violations.add(path, "is required"); }

 private:
  struct MapProgress {
    cbor::Entries entries;
    std::vector<std::string_view> unknown_keys;
    std::uint32_t seen = 0;
  };
  bool open(const Path& path, cbor::Kind kind, std::string_view reason);
  bool next_field(const Path& path, std::span<const std::string_view> keys, MapProgress& progress,
                  std::size_t& found);
  bool next_key(const Path& path, std::string_view& key);
  void check_unknown_keys(const Path& path, MapProgress& progress);

  cbor::Reader reader_;
  DecodeScratch& scratch_;
  cbor::Item opened_;
};

}  // namespace weir::protocol
