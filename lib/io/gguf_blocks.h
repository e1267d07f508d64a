// SPDX-License-Identifier: Apache-2.0
// ggml's element types as GGUF files store them: which there are, how many elements share a block
// and how many bytes a block takes, and the way to floats and back. Layouts after ggml-quants.c
// (MIT); decoding equals the `gguf` Python package bit for bit, encoding equals both it and
// llama.cpp's reference quantiser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nibble {

/// The codes of GGUF's tensor table.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIq4Nl = 20,
  kIq4Xs = 23,
  kBf16 = 30,
};

struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;  // "Q4_0", "BF16"
  int64_t block;          // elements of a block; a row is a whole number of blocks
  size_t bytes;           // of a block
};

/// What is known of a type code; nullptr for a code that ggml does not define. Types that cannot
/// be decoded (IQ1_S, TQ2_0, ...) are listed all the same, to be named.
const GgmlTypeInfo* ggml_type_info(uint32_t code);
inline const GgmlTypeInfo& ggml_type_info(GgmlType type) {
  return *ggml_type_info(static_cast<uint32_t>(type));
}
/// Whether decode_blocks and encode_blocks take the type.
bool ggml_decodes(GgmlType type);
bool ggml_encodes(GgmlType type);
/// By name, any case: "q8_0".
std::optional<GgmlType> ggml_type_from_name(std::string_view name);

/// Writes `elements` floats (a multiple of the type's block) from their blocks. `in` needs no
/// alignment.
void decode_blocks(GgmlType type, const std::byte* in, float* out, int64_t elements);
/// Writes the blocks of `elements` floats (likewise).
void encode_blocks(GgmlType type, const float* in, std::byte* out, int64_t elements);

}  // namespace nibble
