// SPDX-License-Identifier: Apache-2.0
// Element types of tensors, in memory and in files (safetensors' names).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/float16.h"

namespace nibble {

enum class Dtype : uint8_t { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU8, kBool };

/// Bytes of one element.
size_t dtype_bytes(Dtype dtype);

/// "F32", "BF16", ... as safetensors writes it, and back.
std::string_view dtype_name(Dtype dtype);
std::optional<Dtype> dtype_from_name(std::string_view name);

/// "float32", "bfloat16", "float16" as config.json writes it, and back ("torch." allowed).
std::string_view torch_name(Dtype dtype);
std::optional<Dtype> dtype_from_torch_name(std::string_view name);

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = Dtype::kF64;
};
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::kF32;
};
template <>
struct DtypeOf<bf16> {
  static constexpr Dtype value = Dtype::kBf16;
};
template <>
struct DtypeOf<f16> {
  static constexpr Dtype value = Dtype::kF16;
};
template <>
struct DtypeOf<int64_t> {
  static constexpr Dtype value = Dtype::kI64;
};
template <>
struct DtypeOf<int32_t> {
  static constexpr Dtype value = Dtype::kI32;
};
template <>
struct DtypeOf<int16_t> {
  static constexpr Dtype value = Dtype::kI16;
};
template <>
struct DtypeOf<int8_t> {
  static constexpr Dtype value = Dtype::kI8;
};
template <>
struct DtypeOf<uint8_t> {
  static constexpr Dtype value = Dtype::kU8;
};
template <class T>
inline constexpr Dtype dtype_of = DtypeOf<std::remove_const_t<T>>::value;

}  // namespace nibble
