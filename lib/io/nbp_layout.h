// SPDX-License-Identifier: Apache-2.0
// What the writer and the reader of .nbp share; the byte table is in nbp.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/checked.h"
#include "io/nbp.h"

namespace nibble::nbp {

static_assert(std::endian::native == std::endian::little, ".nbp is read and written in place");

inline constexpr std::string_view kMagic("\x8FNBP\r\n\x1A\n", 8);
inline constexpr std::string_view kEndMark("\nENDNBP\n", 8);
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kKindVersion = 2;  // with a kind; those who know 1 alone refuse it
inline constexpr uint32_t kMaxJson = 64u << 10;
inline constexpr size_t kPrefix = 16;      // magic, version, header length
inline constexpr size_t kIndexEntry = 12;  // stored bytes, unpacked bytes, CRC
inline constexpr size_t kFooter = 32;
inline constexpr int64_t kMaxFrameTokens = int64_t{1} << 24;
inline constexpr int64_t kFrameTokens = int64_t{1} << 16;  // what the writer aims at

inline int64_t id_bytes(int64_t vocab_size) {
  return vocab_size <= 65536 ? 2 : 4;
}
inline int64_t rows_per_frame(int64_t row_length) {
  return std::max<int64_t>(1, kFrameTokens / row_length);
}
inline int64_t mask_bytes(int64_t tokens) {
  return ceil_div<int64_t>(tokens, 8);
}
/// The most bytes that a frame can unpack to: every token its own sequence.
inline int64_t max_frame_bytes(int64_t rows, int64_t row_length, int64_t bytes_per_id) {
  return rows * (8 + row_length * (bytes_per_id + 4) + 2 * mask_bytes(row_length));
}

/// The header's "kind"; empty for examples.
inline std::string_view kind_name(ExampleKind kind) {
  return kind == ExampleKind::kPair ? "pairs" : kind == ExampleKind::kRated ? "rated" : "";
}

inline bool bit(const char* bytes, size_t i) {
  return static_cast<unsigned char>(bytes[i / 8]) >> i % 8 & 1;
}
inline void set_bit(char* bytes, size_t i) {
  bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
}

template <class T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace nibble::nbp
