#include "protocol/cbor.h"

#include "base/rng.h"
#include "protocol/cbor_json_testing.h"
#include "protocol/testing.h"

#include <gtest/gtest.h>
#include <limits>

namespace weir::protocol {
namespace {

using cbor::Verdict;
using testing::from_hex;

Verdict check_hex(std::string_view hex) { return cbor::check(as_bytes(from_hex(hex))); }

TEST(Cbor, documents_that_are_not_well_formed_are_refused) {
  const char* malformed[] = {
      "ff",            // a break with nothing to end
      "1c",            // reserved additional information
      "1f",            // an integer of indefinite length
      "c1ff",          // a tag on a break
      "81ff",          // a break in a list of definite length
      "bf00ff",        // a key without value
      "7f4161ff",      // bytes in a text
      "7f7f6161ffff",  // chunks in a chunk
      "5f6161ff",      // text in bytes
      "a0a0",          // two documents
      "a000",          // a trailing byte
  };
  for (const char* hex : malformed) EXPECT_EQ(check_hex(hex), Verdict::kMalformed) << hex;
}

TEST(Cbor, documents_that_end_early_or_lie_about_their_size_are_refused) {
  const char* truncated[] = {
      "",
      "18",
      "19ff",
      "1affffff",
      "1bffffffffffffff",
      "c1",
      "d8",
      "61",
      "7f",
      "7f6161",
      "5f41",
      "81",
      "a1",
      "a100",
      "9f",
      "bf",
      "fb00",
      "bbffffffffffffffff",    // 2^64 - 1 entries
      "9b4000000000000000",    // 2^62 elements
      "5b000000ffffffffff00",  // a terabyte
      "7affffffff61",          // 4 GiB of text
      "7f7affffffff61ff",      // the same in a chunk
      "a2616100",              // more entries than bytes
  };
  for (const char* hex : truncated) EXPECT_EQ(check_hex(hex), Verdict::kTruncated) << hex;
}

TEST(Cbor, nesting_ends_at_sixteen_levels) {
  const auto nested = [](std::size_t levels, const char* open, const char* close) {
    std::string hex;
    for (std::size_t i = 0; i < levels; ++i) hex += open;
    hex += "00";
    for (std::size_t i = 0; i < levels; ++i) hex += close;
    return hex;
  };
  for (const auto& [open, close] :
       {std::pair{"81", ""}, {"9f", "ff"}, {"a100", ""}, {"bf00", "ff"}, {"c181", ""}}) {
    EXPECT_EQ(check_hex(nested(16, open, close)), Verdict::kSound) << open;
    EXPECT_EQ(check_hex(nested(17, open, close)), Verdict::kTooDeep) << open;
    EXPECT_EQ(check_hex(nested(10'000, open, close)), Verdict::kTooDeep) << open;
  }
  std::string siblings = "9828";  // 40 lists side by side are not nested
  for (int i = 0; i < 40; ++i) siblings += "80";
  EXPECT_EQ(check_hex(siblings), Verdict::kSound);
  EXPECT_EQ(check_hex(nested(100'000, "c1", "")), Verdict::kSound) << "tags do not nest";
}

TEST(Cbor, items_are_counted) {
  const auto list_of = [](std::size_t elements) {
    ByteBuffer out;
    cbor::put_head(out, cbor::kMajorArray, elements);
    for (std::size_t i = 0; i < elements; ++i) out.append(std::byte{0});
    return out;
  };
  EXPECT_EQ(cbor::check(list_of(kItemsMax - 1).bytes()), Verdict::kSound);
  EXPECT_EQ(cbor::check(list_of(kItemsMax).bytes()), Verdict::kTooManyItems);
  EXPECT_EQ(cbor::check(list_of(kItemsMax).bytes(), cbor::kAnyNumberOfItems), Verdict::kSound);
  std::string chunks = "7f";  // chunks are not items: their bytes bound them
  for (std::size_t i = 0; i < 100'000; ++i) chunks += "60";
  EXPECT_EQ(check_hex(chunks + "ff"), Verdict::kSound);
}

TEST(Cbor, numbers_with_a_whole_value_are_integers) {
  struct Case {
    const char* hex;
    cbor::IntegerVerdict verdict;
    std::int64_t value;
  };
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  using enum cbor::IntegerVerdict;
  const Case cases[] = {
      {"00", kOk, 0},
      {"1800", kOk, 0},  // not in shortest form
      {"1b0000000000000007", kOk, 7},
      {"1b7fffffffffffffff", kOk, kMax},
      {"1b8000000000000000", kTooLarge, 0},
      {"20", kOk, -1},
      {"3b7fffffffffffffff", kOk, kMin},
      {"3b8000000000000000", kTooSmall, 0},
      {"f90000", kOk, 0},
      {"f98000", kOk, 0},  // minus zero
      {"f93c00", kOk, 1},
      {"f97bff", kOk, 65504},
      {"f90001", kNotWhole, 0},
      {"f97c00", kNotWhole, 0},      // infinity
      {"f97e00", kNotWhole, 0},      // not a number
      {"fa45000800", kNotWhole, 0},  // 2048.5
      {"fa5a000000", kOk, 1LL << 53},
      {"fa5f000000", kOk, kMax},  // 2^63
      {"fadf000000", kOk, kMin},
      {"fa5f800000", kTooLarge, 0},  // 2^64
      {"fb43e0000000000000", kOk, kMax},
      {"fb43dfffffffffffff", kOk, 9223372036854774784},
      {"fbc3e0000000000001", kTooSmall, 0},
      {"fb7fefffffffffffff", kTooLarge, 0},
      {"f5", kNotNumber, 0},
      {"f6", kNotNumber, 0},
      {"f4", kNotNumber, 0},
      {"c100", kOk, 0},  // tagged
  };
  for (const Case& c : cases) {
    const std::string bytes = from_hex(c.hex);
    cbor::Reader reader(as_bytes(bytes));
    std::int64_t value = 0;
    EXPECT_EQ(cbor::integer_of(reader.next(), value), c.verdict) << c.hex;
    EXPECT_EQ(value, c.value) << c.hex;
    EXPECT_TRUE(reader.at_end()) << c.hex;
  }
}

TEST(Cbor, utf8_is_checked_as_rfc_3629_says) {
  for (const char* good : {"", "a", "temp\xc3\xa9rature", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xe2\x82\xac"}) {
    EXPECT_TRUE(cbor::valid_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                          "\xff", "12345678\xc3", "abc\xe2\x28\xa1"}) {
    EXPECT_FALSE(cbor::valid_utf8(bad)) << testing::to_hex(as_bytes(bad));
  }
}

TEST(Cbor, heads_are_written_in_the_shortest_form) {
  const std::pair<std::int64_t, const char*> cases[] = {
      {0, "00"},
      {23, "17"},
      {24, "1818"},
      {255, "18ff"},
      {256, "190100"},
      {65535, "19ffff"},
      {65536, "1a00010000"},
      {4294967295, "1affffffff"},
      {4294967296, "1b0000000100000000"},
      {-1, "20"},
      {-24, "37"},
      {-25, "3818"},
      {std::numeric_limits<std::int64_t>::max(), "1b7fffffffffffffff"},
      {std::numeric_limits<std::int64_t>::min(), "3b7fffffffffffffff"}};
  for (const auto& [value, hex] : cases) {
    ByteBuffer out;
    cbor::put_integer(out, value);
    EXPECT_EQ(testing::to_hex(out.bytes()), hex);
    const auto argument = static_cast<std::uint64_t>(value < 0 ? -1 - value : value);
    EXPECT_EQ(cbor::head_bytes(argument), out.size());
  }
}

// ---- against another implementation ---------------------------------------------------------

/// Random documents in every form that CBOR has for the same content.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : rng_(seed) {}

  std::string document() {
    text_.clear();
    item(0);
    return text_;
  }

 private:
  void head(unsigned major, std::uint64_t argument) {
    // Any width that holds the value, not only the shortest.
    unsigned width = 0;
    while (width < 4 &&
           (argument > std::array{23ULL, 0xffULL, 0xffffULL, 0xffff'ffffULL}.at(width) ||
            rng_.chance(0.2))) {
      ++width;
    }
    if (width == 0) return byte(major << 5U | static_cast<unsigned>(argument));
    byte(major << 5U | (23 + width));
    for (unsigned shift = 8U << (width - 1); shift > 0;) {
      shift -= 8;
      byte(static_cast<unsigned>(argument >> shift & 0xffU));
    }
  }
  void byte(unsigned value) { text_ += static_cast<char>(value); }
  std::string letters(std::size_t most) {
    std::string text(rng_.below(most + 1), ' ');
    for (char& c : text) c = static_cast<char>('a' + rng_.below(26));
    return text;
  }
  void string(unsigned major) {
    if (rng_.chance(0.7)) return chunk(major);
    byte(major << 5U | 31U);
    for (std::uint64_t i = rng_.below(4); i > 0; --i) chunk(major);
    byte(0xff);
  }
  void chunk(unsigned major) {
    const std::string content = letters(rng_.chance(0.05) ? 5000 : 12);
    head(major, content.size());
    text_ += content;
  }
  void container(unsigned major, int depth) {
    const std::uint64_t count = rng_.below(5);
    const bool indefinite = rng_.chance(0.4);
    if (indefinite) {
      byte(major << 5U | 31U);
    } else {
      head(major, count);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      if (major == 5) string(3);
      item(depth + 1);
    }
    if (indefinite) byte(0xff);
  }
  void item(int depth) {
    if (rng_.chance(0.1)) head(6, 6 + rng_.below(10));  // nlohmann knows few tags
    switch (rng_.below(depth < 15 ? 9 : 7)) {
      case 0:
        return head(0, rng_.next() >> rng_.below(64));
      case 1:
        return head(1, rng_.next() >> (1 + rng_.below(63)));
      case 2:
        return string(2);
      case 3:
        return string(3);
      case 4:
        return byte(0xf4 + static_cast<unsigned>(rng_.below(3)));
      case 5:
      case 6: {
        const auto width = static_cast<unsigned>(rng_.below(3));
        byte(0xf9 + width);
        for (unsigned i = 0; i < 2U << width; ++i) byte(static_cast<unsigned>(rng_.below(256)));
        return;
      }
      case 7:
        return container(4, depth);
      default:
        return container(5, depth);
    }
  }

  Rng rng_;
  std::string text_;
};

nlohmann::json other_reader(const std::string& bytes) {
  return nlohmann::json::from_cbor(bytes, true, false, nlohmann::json::cbor_tag_handler_t::ignore);
}

TEST(Cbor, reads_random_documents_as_another_implementation_does) {
  constexpr std::uint64_t kSeed = 20'260'801;
  Generator generator(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = generator.document();
    SCOPED_TRACE("seed " + std::to_string(kSeed) + " document " + std::to_string(i) + ": " +
                 testing::to_hex(as_bytes(bytes)));
    ASSERT_EQ(cbor::check(as_bytes(bytes)), Verdict::kSound);
    cbor::Reader reader(as_bytes(bytes));
    DecodeScratch scratch;
    bool comparable = true;
    const nlohmann::json ours = testing::read_json(reader, scratch, comparable);
    const nlohmann::json theirs = other_reader(bytes);
    ASSERT_TRUE(comparable);
    ASSERT_FALSE(theirs.is_discarded());
    ASSERT_EQ(testing::comparison_text(ours), testing::comparison_text(theirs));
    ASSERT_TRUE(reader.at_end());
  }
}

TEST(Cbor, damaged_documents_are_never_accepted_as_something_else) {
  constexpr std::uint64_t kSeed = 77;
  Generator generator(kSeed);
  Rng rng(kSeed);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = generator.document();
    bytes.at(rng.below(bytes.size())) ^= static_cast<char>(1U << rng.below(8));
    if (rng.chance(0.3)) bytes.resize(rng.below(bytes.size()) + 1);
    // A copy of just that size, so that the address sanitizer sees a read beyond it.
    const ByteVector exact(as_bytes(bytes).begin(), as_bytes(bytes).end());
    if (cbor::check(exact) != Verdict::kSound) continue;
    ++accepted;
    cbor::Reader reader{Bytes(exact)};
    DecodeScratch scratch;
    bool comparable = true;
    const nlohmann::json ours = testing::read_json(reader, scratch, comparable);
    const nlohmann::json theirs = other_reader(bytes);
    if (!comparable || theirs.is_discarded()) continue;
    ASSERT_EQ(testing::comparison_text(ours), testing::comparison_text(theirs))
        << "seed " << kSeed << " document " << i << ": " << testing::to_hex(as_bytes(bytes));
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace weir::protocol
