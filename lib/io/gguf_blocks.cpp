// SPDX-License-Identifier: Apache-2.0
#include "io/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "io/gguf_codecs.h"

namespace nibble {
namespace {

struct Row {
  GgmlTypeInfo info;
  void (*decode)(const uint8_t* block, float* out);
  void (*encode)(const float* in, uint8_t* block);
};

template <size_t kBytes>
constexpr Row named(uint32_t code, std::string_view name, int64_t block) {
  return {{static_cast<GgmlType>(code), name, block, kBytes, false, false}, nullptr, nullptr};
}
constexpr Row coded(GgmlType type, std::string_view name, int64_t block, size_t bytes,
                    void (*decode)(const uint8_t*, float*),
                    void (*encode)(const float*, uint8_t*) = nullptr) {
  return {{type, name, block, bytes, true, encode != nullptr}, decode, encode};
}

constexpr std::array kRows = {
    coded(GgmlType::kF32, "F32", 1, 4, ggml::decode_f32, ggml::encode_f32),
    coded(GgmlType::kF16, "F16", 1, 2, ggml::decode_f16, ggml::encode_f16),
    coded(GgmlType::kQ4_0, "Q4_0", 32, 18, ggml::decode_q4_0, ggml::encode_q4_0),
    coded(GgmlType::kQ4_1, "Q4_1", 32, 20, ggml::decode_q4_1, ggml::encode_q4_1),
    coded(GgmlType::kQ5_0, "Q5_0", 32, 22, ggml::decode_q5_0),
    coded(GgmlType::kQ5_1, "Q5_1", 32, 24, ggml::decode_q5_1),
    coded(GgmlType::kQ8_0, "Q8_0", 32, 34, ggml::decode_q8_0, ggml::encode_q8_0),
    named<36>(9, "Q8_1", 32),
    coded(GgmlType::kQ2_K, "Q2_K", 256, 84, ggml::decode_q2_k),
    coded(GgmlType::kQ3_K, "Q3_K", 256, 110, ggml::decode_q3_k),
    coded(GgmlType::kQ4_K, "Q4_K", 256, 144, ggml::decode_q4_k),
    coded(GgmlType::kQ5_K, "Q5_K", 256, 176, ggml::decode_q5_k),
    coded(GgmlType::kQ6_K, "Q6_K", 256, 210, ggml::decode_q6_k),
    named<292>(15, "Q8_K", 256),
    named<66>(16, "IQ2_XXS", 256),
    named<74>(17, "IQ2_XS", 256),
    named<98>(18, "IQ3_XXS", 256),
    named<50>(19, "IQ1_S", 256),
    coded(GgmlType::kIq4Nl, "IQ4_NL", 32, 18, ggml::decode_iq4_nl),
    named<110>(21, "IQ3_S", 256),
    named<82>(22, "IQ2_S", 256),
    coded(GgmlType::kIq4Xs, "IQ4_XS", 256, 136, ggml::decode_iq4_xs),
    named<1>(24, "I8", 1),
    named<2>(25, "I16", 1),
    named<4>(26, "I32", 1),
    named<8>(27, "I64", 1),
    named<8>(28, "F64", 1),
    named<56>(29, "IQ1_M", 256),
    coded(GgmlType::kBf16, "BF16", 1, 2, ggml::decode_bf16, ggml::encode_bf16),
    named<54>(34, "TQ1_0", 256),
    named<66>(35, "TQ2_0", 256),
    named<17>(39, "MXFP4", 32),
    named<36>(40, "NVFP4", 64),
    named<18>(41, "Q1_0", 128),
};

const Row* find(uint32_t code) {
  for (const Row& row : kRows)
    if (static_cast<uint32_t>(row.info.type) == code) return &row;
  return nullptr;
}

}  // namespace

const GgmlTypeInfo* ggml_type_info(uint32_t code) {
  const Row* row = find(code);
  return row ? &row->info : nullptr;
}

std::optional<GgmlType> ggml_type_from_name(std::string_view name) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) ==
           std::toupper(static_cast<unsigned char>(b));
  };
  for (const Row& row : kRows)
    if (std::equal(name.begin(), name.end(), row.info.name.begin(), row.info.name.end(), same))
      return row.info.type;
  return std::nullopt;
}

void decode_blocks(GgmlType type, const std::byte* in, float* out, int64_t elements) {
  const Row* row = find(static_cast<uint32_t>(type));
  CHECK(row && row->decode && elements % row->info.block == 0);
  const auto* block = reinterpret_cast<const uint8_t*>(in);
  for (int64_t i = 0; i < elements; i += row->info.block, block += row->info.bytes)
    row->decode(block, out + i);
}

void encode_blocks(GgmlType type, const float* in, std::byte* out, int64_t elements) {
  const Row* row = find(static_cast<uint32_t>(type));
  CHECK(row && row->encode && elements % row->info.block == 0);
  auto* block = reinterpret_cast<uint8_t*>(out);
  for (int64_t i = 0; i < elements; i += row->info.block, block += row->info.bytes)
    row->encode(in + i, block);
}

}  // namespace nibble
