// weir, the ceiling, and anything else that speaks the stream manager protocol.

#include "load/target.h"

#include <cstring>

namespace weir::load {
namespace {

std::uint32_t big32(const char* at) {
  std::uint32_t v = 0;
  std::memcpy(&v, at, 4);
  return __builtin_bswap32(v);
}

void put_head(std::string& out, unsigned major, std::uint64_t v) {
  const auto lead = static_cast<unsigned char>(major << 5U);
  if (v < 24) {
    out += static_cast<char>(lead | v);
    return;
  }
  const unsigned log = v < 256 ? 0 : v < 65536 ? 1 : v < (1ULL << 32U) ? 2 : 3;
  out += static_cast<char>(lead | (24 + log));
  for (int shift = (8 << log) - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(v >> static_cast<unsigned>(shift));
  }
}

void put_text(std::string& out, std::string_view text) {
  put_head(out, 3, text.size());
  out += text;
}

std::uint64_t argument(const char*& at) {
  const auto info = static_cast<unsigned char>(*at++) & 0x1fU;
  if (info < 24) return info;
  std::uint64_t v = 0;
  for (unsigned i = 0; i < (1U << (info - 24)); ++i) {
    v = (v << 8U) | static_cast<unsigned char>(*at++);
  }
  return v;
}

std::string_view text(const char*& at) {
  const std::uint64_t n = argument(at);
  const std::string_view view(at, n);
  at += n;
  return view;
}

// Begins a frame and its map with a requestId; `end_frame` fills in the length.
std::size_t begin_frame(std::string& out, char operation, unsigned fields, std::string_view id) {
  const std::size_t frame = out.size();
  out.append(4, '\0');
  out += operation;
  put_head(out, 5, fields);
  put_text(out, "requestId");
  put_text(out, id);
  return frame;
}

void end_frame(std::string& out, std::size_t frame) {
  const std::uint32_t length =
      __builtin_bswap32(static_cast<std::uint32_t>(out.size() - frame - 4));
  std::memcpy(out.data() + frame, &length, 4);
}

// Request ids as long as the UUIDs of the SDKs: 36 characters, the message number in front.
std::string request_id(std::int64_t number) {
  std::string id(36, '-');
  for (std::size_t i = 12; i-- > 0; number /= 10) id[i] = static_cast<char>('0' + number % 10);
  return id;
}

std::int64_t number_of(std::string_view id) {
  std::int64_t number = 0;
  for (std::size_t i = 0; i < 12; ++i) number = number * 10 + (id[i] - '0');
  return number;
}

class WeirTarget final : public Target {
 public:
  void greet(int fd, int) override {
    std::string out = "\x01";
    const std::size_t frame = begin_frame(out, 1, 3, request_id(0));
    put_text(out, "protocolVersion");
    put_text(out, "1.1.0");
    put_text(out, "sdkVersion");
    put_text(out, "1.1.0");
    end_frame(out, frame);
    send_all(fd, out);
    std::string in;
    while (in.size() < 6 || in.size() < 5 + big32(in.data() + 1)) in += receive_some(fd);
    const char* at = in.data() + 6;
    argument(at);
    check_status(at, "connect");
  }

  void create_streams(int fd, const Work& work) override {
    for (int i = 0; i < work.streams; ++i) {
      std::string out;
      const std::size_t frame = begin_frame(out, 2, 2, request_id(i));
      put_text(out, "definition");
      put_head(out, 5, 4);
      put_text(out, "name");
      put_text(out, stream_name(i));
      put_text(out, "maxSize");
      put_head(out, 0, 64ULL << 30U);
      put_text(out, "strategyOnFull");
      put_head(out, 0, 0);
      put_text(out, "flushOnWrite");
      out += work.durable ? '\xf5' : '\xf4';
      end_frame(out, frame);
      send_all(fd, out);
      std::string in;
      while (in.size() < 5 || in.size() < 4 + big32(in.data())) in += receive_some(fd);
      const char* at = in.data() + 5;
      argument(at);
      check_status(at, "create");
    }
  }

  void append(std::string& out, std::int64_t number, int stream,
              std::string_view payload) override {
    const std::size_t frame = begin_frame(out, 4, 3, request_id(number));
    put_text(out, "name");
    put_text(out, stream_name(stream));
    put_text(out, "payload");
    put_head(out, 2, payload.size());
    out += payload;
    end_frame(out, frame);
  }

  std::size_t parse_acknowledged(std::string_view in, std::vector<Acknowledged>& out) override {
    std::size_t used = 0;
    while (in.size() - used >= 5) {
      const std::size_t frame = 4 + big32(in.data() + used);
      if (in.size() - used < frame) break;
      const char* at = in.data() + used + 5;
      argument(at);
      const std::int64_t number = check_status(at, "append");
      text(at);  // "errorMessage"
      text(at);
      text(at);  // "sequenceNumber"
      out.push_back({number, static_cast<std::int64_t>(argument(at))});
      used += frame;
    }
    return used;
  }

  void read(std::string& out, std::int64_t from, int count) override {
    const std::size_t frame = begin_frame(out, 5, 3, request_id(from));
    put_text(out, "streamName");
    put_text(out, stream_name(0));
    put_text(out, "readMessagesOptions");
    put_head(out, 5, 3);
    put_text(out, "desiredStartSequenceNumber");
    put_head(out, 0, static_cast<std::uint64_t>(from));
    put_text(out, "minMessageCount");
    put_head(out, 0, static_cast<std::uint64_t>(count));
    put_text(out, "maxMessageCount");
    put_head(out, 0, static_cast<std::uint64_t>(count));
    end_frame(out, frame);
  }

  std::size_t parse_read(std::string_view in, int count, std::vector<Stored>& out) override {
    if (in.size() < 5) return 0;
    const std::size_t frame = 4 + big32(in.data());
    if (in.size() < frame) return 0;
    const char* at = in.data() + 5;
    argument(at);
    text(at);  // "requestId"
    text(at);
    if (text(at) != "messages") die("read: no messages in the answer");
    if (argument(at) != static_cast<std::uint64_t>(count)) die("read: wrong number of messages");
    for (int i = 0; i < count; ++i) {
      argument(at);  // the map
      text(at);      // "streamName"
      text(at);
      text(at);  // "sequenceNumber"
      const auto sequence = static_cast<std::int64_t>(argument(at));
      text(at);  // "ingestTime"
      argument(at);
      text(at);  // "payload"
      out.push_back({sequence, text(at)});
    }
    return frame;
  }

 private:
  // Behind the map head: "requestId" id "status" n. Returns the number in the id.
  static std::int64_t check_status(const char*& at, const char* doing) {
    text(at);
    const std::int64_t number = number_of(text(at));
    text(at);
    const std::uint64_t status = argument(at);
    if (status != 0) {
      text(at);
      die(std::string(doing) + ": status " + std::to_string(status) + " " + std::string(text(at)));
    }
    return number;
  }
};

}  // namespace

std::unique_ptr<Target> make_weir_target() { return std::make_unique<WeirTarget>(); }

std::string stream_name(int i) { return "load" + std::to_string(i); }

}  // namespace weir::load
