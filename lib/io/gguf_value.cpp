// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/gguf.h"

namespace nibble {
namespace {

struct TypeRow {
  std::string_view name;
  size_t bytes;  // of a scalar; 0: string or array
};
constexpr std::array<TypeRow, 13> kTypes = {{{"u8", 1},
                                             {"i8", 1},
                                             {"u16", 2},
                                             {"i16", 2},
                                             {"u32", 4},
                                             {"i32", 4},
                                             {"f32", 4},
                                             {"bool", 1},
                                             {"string", 0},
                                             {"array", 0},
                                             {"u64", 8},
                                             {"i64", 8},
                                             {"f64", 8}}};
const TypeRow& row(GgufType type) {
  return kTypes[static_cast<size_t>(type)];
}

template <class T>
T load(std::span<const std::byte> bytes, uint64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
  return value;
}

double shortest(float x) {
  char text[32];
  auto out = static_cast<double>(x);
  if (std::isfinite(x)) std::from_chars(text, std::to_chars(text, text + sizeof text, x).ptr, out);
  return out;
}

[[noreturn]] void mismatch(const GgufValue& value, std::string_view expected) {
  throw DataError(cat("expected ", expected, ", found ", value.array ? "an array of " : "",
                      gguf_type_name(value.type)));
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  return row(type).name;
}
size_t gguf_type_bytes(GgufType type) {
  return row(type).bytes;
}

int64_t GgufValue::integer(uint64_t i) const {
  CHECK(i < count);
  switch (type) {
    case GgufType::kU8:
      return load<uint8_t>(bytes, i);
    case GgufType::kI8:
      return load<int8_t>(bytes, i);
    case GgufType::kU16:
      return load<uint16_t>(bytes, i);
    case GgufType::kI16:
      return load<int16_t>(bytes, i);
    case GgufType::kU32:
      return load<uint32_t>(bytes, i);
    case GgufType::kI32:
      return load<int32_t>(bytes, i);
    case GgufType::kI64:
      return load<int64_t>(bytes, i);
    case GgufType::kU64:
      if (const auto v = load<uint64_t>(bytes, i); v <= INT64_MAX) return static_cast<int64_t>(v);
      throw DataError("expected an integer, found one beyond 63 bits");
    default:
      mismatch(*this, "an integer");
  }
}

double GgufValue::number(uint64_t i) const {
  CHECK(i < count);
  double v = 0;
  if (type == GgufType::kF32)
    v = shortest(load<float>(bytes, i));
  else if (type == GgufType::kF64)
    v = load<double>(bytes, i);
  else if (type == GgufType::kU64)
    v = static_cast<double>(load<uint64_t>(bytes, i));
  else
    v = static_cast<double>(integer(i));
  if (!std::isfinite(v)) throw DataError("expected a number, found infinity or NaN");
  return v;
}

bool GgufValue::boolean(uint64_t i) const {
  CHECK(i < count);
  if (type != GgufType::kBool) mismatch(*this, "a boolean");
  return load<uint8_t>(bytes, i) != 0;
}

std::string_view GgufValue::string(uint64_t i) const {
  if (type != GgufType::kString) mismatch(*this, "a string");
  CHECK(i < strings.size());
  return strings[i];
}

}  // namespace nibble
