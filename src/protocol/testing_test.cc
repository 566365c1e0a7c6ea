#include "protocol/testing.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::protocol::testing {

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = [] {
    std::ifstream file(WEIR_SOURCE_ROOT "/tests/golden/protocol_vectors.json");
    std::vector<Vector> read;
    for (const auto& entry : nlohmann::json::parse(file)) {
      read.push_back({entry.at("name").get<std::string>(), entry.value("request", std::string()),
                      entry.value("response", std::string())});
    }
    return read;
  }();
  return all;
}

std::string from_hex(std::string_view hex) {
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits += c;
  }
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string to_hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<std::size_t>(byte >> 4U)];
    hex += kDigits[std::to_integer<std::size_t>(byte & std::byte{0xf})];
  }
  return hex;
}

Frame frame_of(std::string_view bytes) {
  const FrameView view = split_frame(as_bytes(bytes));
  EXPECT_EQ(view.kind, FrameView::Kind::kFrame);
  EXPECT_EQ(view.frame.bytes, bytes.size());
  return view.frame;
}

}  // namespace weir::protocol::testing
