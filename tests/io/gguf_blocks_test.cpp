// SPDX-License-Identifier: Apache-2.0
// ggml's block types against golden/gguf_blocks.json, made by the `gguf` package: equal bits.
#include "io/gguf_blocks.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/json.h"

namespace nibble {
namespace {

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
  std::vector<std::byte> out(hex.size() / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    unsigned value = 0;
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, value, 16);
    out[i] = static_cast<std::byte>(value);
  }
  return out;
}

std::vector<float> floats_of_hex(const std::string& hex) {
  const auto bytes = bytes_of_hex(hex);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

const Json& golden() {
  static const Json document =
      read_json_file(fs::path(NIBBLE_TEST_DATA) / "io/golden/gguf_blocks.json");
  return document;
}

TEST(GgufBlocks, DecodeEqualsReference) {
  size_t types = 0;
  for (const auto& [name, sample] : golden().at("decode").as_object()) {
    const auto type = ggml_type_from_name(name);
    ASSERT_TRUE(type) << name;
    const auto blocks = bytes_of_hex(sample.at("blocks").as_string());
    const auto want = floats_of_hex(sample.at("floats").as_string());
    ASSERT_EQ(want.size(), 256u) << name;
    // One byte off, so that a read that assumes alignment is caught.
    std::vector<std::byte> shifted(blocks.size() + 1);
    std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
    std::vector<float> got(want.size(), NAN);
    decode_blocks(*type, shifted.data() + 1, got.data(), static_cast<int64_t>(got.size()));
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(std::memcmp(&want[i], &got[i], sizeof(float)), 0)
          << name << "[" << i << "]: want " << want[i] << " got " << got[i];
    ++types;
  }
  EXPECT_EQ(types, 15u);
}

TEST(GgufBlocks, EncodeEqualsReference) {
  size_t types = 0;
  for (const auto& [name, sample] : golden().at("encode").as_object()) {
    const auto type = ggml_type_from_name(name);
    ASSERT_TRUE(type) << name;
    const auto floats = floats_of_hex(sample.at("floats").as_string());
    const auto want = bytes_of_hex(sample.at("blocks").as_string());
    const GgmlTypeInfo& info = ggml_type_info(*type);
    ASSERT_EQ(want.size(), floats.size() / static_cast<size_t>(info.block) * info.bytes) << name;
    std::vector<std::byte> got(want.size(), std::byte{0xa5});
    encode_blocks(*type, floats.data(), got.data(), static_cast<int64_t>(floats.size()));
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(want[i], got[i]) << name << ": byte " << i % info.bytes << " of block "
                                 << i / info.bytes;
    ++types;
  }
  EXPECT_EQ(types, 6u);
}

// A scale that f16 and even 1/d cannot hold still gives defined codes.
TEST(GgufBlocks, EncodesTheSmallestFloats) {
  for (const GgmlType type : {GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ8_0}) {
    const std::vector<float> tiny(32, 0x1p-149f);
    std::vector<std::byte> block(ggml_type_info(type).bytes);
    encode_blocks(type, tiny.data(), block.data(), 32);
    std::vector<float> back(32, NAN);
    decode_blocks(type, block.data(), back.data(), 32);
    for (const float x : back) EXPECT_EQ(x, 0.0f) << ggml_type_info(type).name;
  }
}

TEST(GgufBlocks, KnowsTypesItCannotDecode) {
  EXPECT_EQ(ggml_type_info(19)->name, "IQ1_S");
  EXPECT_FALSE(ggml_decodes(ggml_type_info(19)->type));
  EXPECT_FALSE(ggml_encodes(GgmlType::kQ6_K));
  EXPECT_EQ(ggml_type_info(4), nullptr);  // removed from ggml
  EXPECT_EQ(ggml_type_info(1000), nullptr);
  EXPECT_EQ(ggml_type_from_name("q8_0"), GgmlType::kQ8_0);
  EXPECT_FALSE(ggml_type_from_name("q8"));
  float x = 0;
  std::byte b{};
  EXPECT_THROW(decode_blocks(static_cast<GgmlType>(19), &b, &x, 256), BugError);
  EXPECT_THROW(encode_blocks(GgmlType::kQ6_K, &x, &b, 256), BugError);
  EXPECT_THROW(decode_blocks(GgmlType::kQ4_0, &b, &x, 31), BugError);
}

}  // namespace
}  // namespace nibble
