// SPDX-License-Identifier: Apache-2.0
#include "io/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "io/gguf_codecs.h"

namespace nibble {
namespace {

constexpr GgmlTypeInfo known(uint32_t code, std::string_view name, int64_t block, size_t bytes) {
  return {static_cast<GgmlType>(code), name, block, bytes};
}

constexpr std::array kTypes = {
    known(0, "F32", 1, 4),         known(1, "F16", 1, 2),         known(2, "Q4_0", 32, 18),
    known(3, "Q4_1", 32, 20),      known(6, "Q5_0", 32, 22),      known(7, "Q5_1", 32, 24),
    known(8, "Q8_0", 32, 34),      known(9, "Q8_1", 32, 36),      known(10, "Q2_K", 256, 84),
    known(11, "Q3_K", 256, 110),   known(12, "Q4_K", 256, 144),   known(13, "Q5_K", 256, 176),
    known(14, "Q6_K", 256, 210),   known(15, "Q8_K", 256, 292),   known(16, "IQ2_XXS", 256, 66),
    known(17, "IQ2_XS", 256, 74),  known(18, "IQ3_XXS", 256, 98), known(19, "IQ1_S", 256, 50),
    known(20, "IQ4_NL", 32, 18),   known(21, "IQ3_S", 256, 110),  known(22, "IQ2_S", 256, 82),
    known(23, "IQ4_XS", 256, 136), known(24, "I8", 1, 1),         known(25, "I16", 1, 2),
    known(26, "I32", 1, 4),        known(27, "I64", 1, 8),        known(28, "F64", 1, 8),
    known(29, "IQ1_M", 256, 56),   known(30, "BF16", 1, 2),       known(34, "TQ1_0", 256, 54),
    known(35, "TQ2_0", 256, 66),   known(39, "MXFP4", 32, 17),    known(40, "NVFP4", 64, 36),
    known(41, "Q1_0", 128, 18),
};

char upper(char c) {
  return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

}  // namespace

const GgmlTypeInfo* ggml_type_info(uint32_t code) {
  for (const GgmlTypeInfo& info : kTypes)
    if (static_cast<uint32_t>(info.type) == code) return &info;
  return nullptr;
}

bool ggml_decodes(GgmlType type) {
  return ggml::decoder(type) != nullptr;
}
bool ggml_encodes(GgmlType type) {
  return ggml::encoder(type) != nullptr;
}

std::optional<GgmlType> ggml_type_from_name(std::string_view name) {
  for (const GgmlTypeInfo& info : kTypes)
    if (std::equal(name.begin(), name.end(), info.name.begin(), info.name.end(),
                   [](char a, char b) { return upper(a) == upper(b); }))
      return info.type;
  return std::nullopt;
}

void decode_blocks(GgmlType type, const std::byte* in, float* out, int64_t elements) {
  const auto decode = ggml::decoder(type);
  const int64_t block = ggml_type_info(type).block;
  CHECK(decode && elements % block == 0);
  decode(reinterpret_cast<const uint8_t*>(in), out, elements / block);
}

void encode_blocks(GgmlType type, const float* in, std::byte* out, int64_t elements) {
  const auto encode = ggml::encoder(type);
  const int64_t block = ggml_type_info(type).block;
  CHECK(encode && elements % block == 0);
  encode(in, reinterpret_cast<uint8_t*>(out), elements / block);
}

}  // namespace nibble
