#include "destination/kinesis/json_field.h"

#include "base/log.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::destination::kinesis {
namespace {

using Json = nlohmann::json;
using Step = JsonField::Step;

// Decimal digits without a leading zero.
std::optional<std::size_t> index_of(const std::string& name) {
  std::size_t index = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data(), end, index);
  const bool canonical = name.size() == 1 || !name.starts_with('0');
  if (error != std::errc{} || at != end || !canonical) return std::nullopt;
  return index;
}

// Follows the steps down and keeps the value at their end.
class Search final : public Json::json_sax_t {
 public:
  explicit Search(const std::vector<Step>& steps) : steps_(steps) {}

  [[nodiscard]] std::optional<std::string> take() { return std::move(found_); }

  bool null() override {
    arrive();
    return true;
  }
  bool boolean(bool value) override { return print(value); }
  bool number_integer(std::int64_t value) override { return print(value); }
  bool number_unsigned(std::uint64_t value) override { return print(value); }
  bool number_float(double value, const std::string& /*text*/) override { return print(value); }
  bool string(std::string& value) override {
    if (arrive() && at_end()) found_ = std::move(value);
    return true;
  }
  bool binary(Json::binary_t& /*value*/) override { return false; }  // there is none in a text
  bool start_object(std::size_t /*size*/) override { return open({.is_array = false}); }
  bool start_array(std::size_t /*size*/) override { return open({.is_array = true}); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (aside_ == 0) way_.back().here = name == steps_[way_.size() - 1].name;
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const Json::exception& /*error*/) override {
    return false;
  }

 private:
  // An open object or array that a step leads into.
  struct Level {
    bool is_array = false;
    std::size_t next = 0;  // index of an array's next element
    bool here = false;     // the next value is where the step leads to
  };

  [[nodiscard]] bool at_end() const { return way_.size() == steps_.size(); }

  // A value begins. True if it stands on the way; whatever stood in its place before is gone.
  bool arrive() {
    if (aside_ > 0) return false;
    if (!way_.empty()) {
      Level& level = way_.back();
      if (level.is_array) level.here = steps_[way_.size() - 1].index == level.next++;
      if (!level.here) return false;
    }
    found_.reset();
    return true;
  }

  template <class Value>
  bool print(Value value) {
    if (arrive() && at_end()) found_ = Json(value).dump();
    return true;
  }

  bool open(Level level) {
    if (arrive() && !at_end()) {
      way_.push_back(level);
    } else {
      ++aside_;
    }
    return true;
  }

  bool close() {
    if (aside_ > 0) {
      --aside_;
    } else {
      way_.pop_back();
    }
    return true;
  }

  const std::vector<Step>& steps_;
  std::vector<Level> way_;  // not more than there are steps
  std::size_t aside_ = 0;   // how many objects and arrays are open beside the way
  std::optional<std::string> found_;
};

}  // namespace

Result<JsonField> JsonField::create(const std::string& pointer) {
  try {
    JsonField field;
    for (Json::json_pointer rest(pointer); !rest.empty(); rest.pop_back()) {
      field.steps_.push_back({rest.back(), index_of(rest.back())});
    }
    std::reverse(field.steps_.begin(), field.steps_.end());
    return field;
  } catch (const Json::exception&) {
    return fail(Errc::kInvalidArgument,
                "the partition key names '" + log::escaped(pointer, 80) +
                    "', which is not a JSON pointer; write it like /device/id");
  }
}

std::optional<std::string> JsonField::read(std::string_view text) const {
  Search search(steps_);
  if (!Json::sax_parse(text.begin(), text.end(), &search)) return std::nullopt;
  return search.take();
}

}  // namespace weir::destination::kinesis
