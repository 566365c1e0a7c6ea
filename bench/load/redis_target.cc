// Redis Streams: XADD and XRANGE.

#include "load/target.h"

#include <charconv>

namespace weir::load {
namespace {

void put_bulk(std::string& out, std::string_view text) {
  out += '$';
  out += std::to_string(text.size());
  out += "\r\n";
  out += text;
  out += "\r\n";
}

// The number of "*12\r\n" or "$12\r\n" at `at`; moves behind it; false while incomplete.
bool head(std::string_view in, std::size_t& at, std::int64_t& value) {
  const std::size_t end = in.find("\r\n", at);
  if (end == std::string_view::npos) return false;
  if (in[at] == '-') die("redis: " + std::string(in.substr(at, end - at)));
  std::from_chars(in.data() + at + 1, in.data() + end, value);
  at = end + 2;
  return true;
}

bool bulk(std::string_view in, std::size_t& at, std::string_view& text) {
  std::int64_t size = 0;
  if (!head(in, at, size)) return false;
  if (in.size() < at + static_cast<std::size_t>(size) + 2) return false;
  text = in.substr(at, static_cast<std::size_t>(size));
  at += static_cast<std::size_t>(size) + 2;
  return true;
}

class RedisTarget final : public Target {
 public:
  void greet(int, int) override {}
  void create_streams(int, const Work&) override {}

  void append(std::string& out, std::int64_t, int stream, std::string_view payload) override {
    out += "*5\r\n$4\r\nXADD\r\n";
    put_bulk(out, stream_name(stream));
    out += "$1\r\n*\r\n$1\r\np\r\n";
    put_bulk(out, payload);
  }

  std::size_t parse_acknowledged(std::string_view in, std::vector<Acknowledged>& out) override {
    std::size_t used = 0;
    std::size_t at = 0;
    std::string_view id;
    while (at < in.size() && bulk(in, at, id)) {
      out.push_back({});
      used = at;
    }
    return used;
  }

  void read(std::string& out, std::int64_t from, int count) override {
    if (from == 0) last_ = "-";
    out += "*6\r\n$6\r\nXRANGE\r\n";
    put_bulk(out, stream_name(0));
    put_bulk(out, last_ == "-" ? last_ : "(" + last_);
    out += "$1\r\n+\r\n$5\r\nCOUNT\r\n";
    put_bulk(out, std::to_string(count));
  }

  std::size_t parse_read(std::string_view in, int count, std::vector<Stored>& out) override {
    // A cheap test first: parsing a megabyte again at every receive would measure the client.
    if (in.size() < static_cast<std::size_t>(count) * 512) return 0;
    std::size_t at = 0;
    std::int64_t entries = 0;
    if (!head(in, at, entries)) return 0;
    if (entries != count) die("redis: wrong number of entries");
    const std::size_t before = out.size();
    std::string_view id;
    for (std::int64_t i = 0; i < entries; ++i) {
      std::int64_t ignored = 0;
      std::string_view field;
      std::string_view payload;
      if (at >= in.size() || !head(in, at, ignored) || at >= in.size() || !bulk(in, at, id) ||
          at >= in.size() || !head(in, at, ignored) || at >= in.size() || !bulk(in, at, field) ||
          at >= in.size() || !bulk(in, at, payload)) {
        out.resize(before);
        return 0;
      }
      out.push_back({-1, payload});
    }
    last_ = id;
    return at;
  }

 private:
  std::string last_ = "-";
};

}  // namespace

std::unique_ptr<Target> make_redis_target() { return std::make_unique<RedisTarget>(); }

}  // namespace weir::load
