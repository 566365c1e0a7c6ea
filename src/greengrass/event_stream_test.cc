#include "greengrass/event_stream.h"

#include "base/rng.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace weir::greengrass {
namespace {

using nlohmann::json;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

HeaderValue value_of(const std::string& type, const json& shown) {
  if (type == "bool") return shown.get<bool>();
  if (type == "int8") return shown.get<std::int8_t>();
  if (type == "int16") return shown.get<std::int16_t>();
  if (type == "int32") return shown.get<std::int32_t>();
  if (type == "int64") return shown.get<std::int64_t>();
  if (type == "blob") return Blob{from_hex(shown.get<std::string>())};
  if (type == "time") return Timestamp{shown.get<std::int64_t>()};
  if (type == "text") return shown.get<std::string>();
  Uuid uuid{};
  const std::string bytes = from_hex(shown.get<std::string>());
  for (std::size_t i = 0; i < uuid.size(); ++i) uuid.at(i) = static_cast<std::uint8_t>(bytes[i]);
  return uuid;
}

struct Vector {
  std::string name;
  std::string bytes;
  Message message;
};

// Written by another program, and read by a third one (botocore) before they were committed.
std::vector<Vector> golden() {
  std::ifstream file(WEIR_SOURCE_ROOT "/tests/golden/event_stream.json");
  std::vector<Vector> vectors;
  for (const auto& each : json::parse(file)) {
    Vector vector;
    vector.name = each["name"].get<std::string>();
    vector.bytes = from_hex(each["bytes"].get<std::string>());
    vector.message.payload = from_hex(each["payload"].get<std::string>());
    for (const auto& header : each["headers"]) {
      vector.message.headers.push_back(
          {header[0].get<std::string>(), value_of(header[1].get<std::string>(), header[2])});
    }
    vectors.push_back(std::move(vector));
  }
  EXPECT_GE(vectors.size(), 6U);
  return vectors;
}

// Everything found in `bytes`, given in pieces of `piece` bytes; the error's text if there is one.
std::pair<std::vector<Message>, std::string> decode(std::string_view bytes, std::size_t piece) {
  Decoder decoder;
  std::vector<Message> found;
  while (true) {
    auto next = decoder.next();
    if (!next) return {found, next.error().what};
    if (*next) {
      found.push_back(std::move(**next));
    } else if (bytes.empty()) {
      return {found, ""};
    } else {
      decoder.append(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
  }
}

// By long division, so that nothing of the code under test makes its own cases.
std::string with_crc(std::string bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(~crc >> shift);
  return bytes;
}

// A message with these bytes as its headers, whatever they are.
std::string sealed(const std::string& headers) {
  std::string bytes;
  for (const std::size_t length : {headers.size() + 16, headers.size()}) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(length >> shift);
  }
  return with_crc(with_crc(bytes) + headers);
}

TEST(EventStream, writes_and_reads_the_golden_messages) {
  for (const Vector& vector : golden()) {
    const auto bytes = encode(vector.message);
    ASSERT_TRUE(bytes) << vector.name;
    EXPECT_EQ(*bytes, vector.bytes) << vector.name;
    const auto [found, problem] = decode(vector.bytes, vector.bytes.size());
    EXPECT_EQ(problem, "") << vector.name;
    ASSERT_EQ(found.size(), 1U) << vector.name;
    EXPECT_EQ(found[0], vector.message) << vector.name;
  }
}

TEST(EventStream, finds_messages_however_the_bytes_are_cut) {
  std::string all;
  std::vector<Message> messages;
  for (const Vector& vector : golden()) {
    all += vector.bytes;
    messages.push_back(vector.message);
  }
  for (std::size_t piece = 1; piece <= all.size(); ++piece) {
    const auto [found, problem] = decode(all, piece);
    ASSERT_EQ(problem, "") << piece;
    ASSERT_EQ(found, messages) << piece;
  }
}

TEST(EventStream, waits_for_the_rest_of_every_truncation) {
  for (const Vector& vector : golden()) {
    for (std::size_t size = 0; size < vector.bytes.size(); ++size) {
      const auto [found, problem] = decode(vector.bytes.substr(0, size), size + 1);
      EXPECT_TRUE(found.empty() && problem.empty()) << vector.name << " " << size << problem;
    }
  }
}

TEST(EventStream, notices_every_flipped_bit) {
  for (const Vector& vector : golden()) {
    for (std::size_t bit = 0; bit < vector.bytes.size() * 8; ++bit) {
      std::string bytes = vector.bytes;
      bytes[bit / 8] =
          static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
      const auto [found, problem] = decode(bytes, bytes.size());
      EXPECT_TRUE(found.empty()) << vector.name << " bit " << bit;
      EXPECT_NE(problem, "") << vector.name << " bit " << bit;
    }
  }
}

TEST(EventStream, names_what_is_wrong) {
  struct Case {
    const char* hex;
    const char* what;
  };
  // Lengths that cannot be, with a right checksum of their own.
  for (const Case& each :
       {Case{"ffffffff00000000", "are more than"}, Case{"00000010000000ff", "do not fit"},
        Case{"0000000f00000000", "do not fit"}, Case{"0000000000000000", "do not fit"},
        Case{"0010000100000000", "are more than"}, Case{"0010000000020001", "are more than"}}) {
    const std::string bytes = with_crc(from_hex(each.hex));
    const auto [found, problem] = decode(bytes, bytes.size());
    EXPECT_NE(problem.find(each.what), std::string::npos) << each.hex << ": " << problem;
  }
}

TEST(EventStream, refuses_to_write_what_the_format_cannot_hold) {
  const auto refused = [](const Message& message) {
    const auto bytes = encode(message);
    return bytes ? std::string("written") : bytes.error().what;
  };
  EXPECT_NE(refused({{{"", true}}, {}}).find("1 to 255"), std::string::npos);
  EXPECT_NE(refused({{{std::string(256, 'n'), true}}, {}}).find("1 to 255"), std::string::npos);
  EXPECT_NE(refused({{{"t", std::string(65'536, 'v')}}, {}}).find("65535"), std::string::npos);
  EXPECT_NE(refused({{{"b", Blob{std::string(65'536, 'v')}}}, {}}).find("65535"),
            std::string::npos);
  EXPECT_NE(refused({{}, std::string(kMessageBytesMax, 'p')}).find("more than"), std::string::npos);
  EXPECT_NE(refused({std::vector<Header>(kHeadersMax + 1, Header{"h", true}), {}}).find("headers"),
            std::string::npos);
  EXPECT_EQ(refused({{}, std::string(kMessageBytesMax - 16, 'p')}), "written");
}

TEST(EventStream, names_what_is_wrong_with_headers) {
  const auto problem = [](const std::string& headers) {
    const std::string bytes = sealed(headers);
    return decode(bytes, bytes.size()).second;
  };
  EXPECT_NE(problem(from_hex("0000")).find("no name"), std::string::npos);
  EXPECT_NE(problem(from_hex("01610a")).find("unknown type 10"), std::string::npos);
  std::string many;
  for (std::size_t i = 0; i <= kHeadersMax; ++i) many += from_hex("016100");
  EXPECT_NE(problem(many).find("more than 64 headers"), std::string::npos);
  for (const Vector& vector : golden()) {
    const std::size_t size = static_cast<std::uint8_t>(vector.bytes[6]) * 256U +
                             static_cast<std::uint8_t>(vector.bytes[7]);
    const std::string headers = vector.bytes.substr(12, size);
    for (std::size_t cut = 1; cut < size; ++cut) {
      const std::string bytes = sealed(headers.substr(0, cut));
      const auto [found, why] = decode(bytes, bytes.size());
      // Between two headers nothing shows that one is missing.
      if (found.empty()) {
        EXPECT_NE(why.find("cut off"), std::string::npos) << vector.name << cut << why;
      } else {
        EXPECT_LT(found[0].headers.size(), vector.message.headers.size());
      }
    }
  }
}

TEST(EventStream, writes_random_headers_as_it_read_them_or_refuses_them) {
  const std::uint64_t seed = Rng::random_seed();
  SCOPED_TRACE(seed);
  Rng rng(seed);
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string headers(rng.below(24), '\0');
    for (char& c : headers) c = static_cast<char>(rng.below(rng.chance(0.9) ? 4 : 256));
    const std::string bytes = sealed(headers);
    const auto [found, problem] = decode(bytes, bytes.size());
    ASSERT_EQ(found.empty(), !problem.empty());
    if (found.empty()) continue;
    ++read;
    const auto again = encode(found[0]);
    ASSERT_TRUE(again);
    ASSERT_EQ(*again, bytes);
  }
  EXPECT_GT(read, 100);
}

TEST(EventStream, finds_a_header_only_by_its_name_and_type) {
  const Message message{{{"n", std::int32_t{7}}, {"t", std::string("x")}}, {}};
  EXPECT_EQ(message.int32("n"), 7);
  EXPECT_EQ(message.int32("t"), std::nullopt);
  EXPECT_EQ(message.text("n"), nullptr);
  EXPECT_EQ(*message.text("t"), "x");
  EXPECT_EQ(message.text("absent"), nullptr);
}

}  // namespace
}  // namespace weir::greengrass
