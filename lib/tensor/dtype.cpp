// SPDX-License-Identifier: Apache-2.0
#include "tensor/dtype.h"

#include <array>

#include "base/error.h"

namespace nibble {
namespace {

struct Row {
  Dtype dtype;
  size_t bytes;
  std::string_view name, torch;
};
constexpr std::array<Row, 10> kRows = {{
    {Dtype::kF64, 8, "F64", "float64"},
    {Dtype::kF32, 4, "F32", "float32"},
    {Dtype::kF16, 2, "F16", "float16"},
    {Dtype::kBf16, 2, "BF16", "bfloat16"},
    {Dtype::kI64, 8, "I64", "int64"},
    {Dtype::kI32, 4, "I32", "int32"},
    {Dtype::kI16, 2, "I16", "int16"},
    {Dtype::kI8, 1, "I8", "int8"},
    {Dtype::kU8, 1, "U8", "uint8"},
    {Dtype::kBool, 1, "BOOL", "bool"},
}};

const Row& row(Dtype dtype) {
  for (const Row& r : kRows)
    if (r.dtype == dtype) return r;
  throw BugError("no such dtype");
}

}  // namespace

size_t dtype_bytes(Dtype dtype) {
  return row(dtype).bytes;
}
std::string_view dtype_name(Dtype dtype) {
  return row(dtype).name;
}
std::string_view torch_name(Dtype dtype) {
  return row(dtype).torch;
}

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (const Row& r : kRows)
    if (r.name == name) return r.dtype;
  return std::nullopt;
}

std::optional<Dtype> dtype_from_torch_name(std::string_view name) {
  if (name.starts_with("torch.")) name.remove_prefix(6);
  for (const Row& r : kRows)
    if (r.torch == name) return r.dtype;
  return std::nullopt;
}

}  // namespace nibble
