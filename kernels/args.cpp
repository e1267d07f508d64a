// SPDX-License-Identifier: Apache-2.0
#include "kernels/args.h"

#include <algorithm>

namespace nibble {

void Args::check(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
                 std::initializer_list<int64_t> shape, RowStride stride) const {
  check_against(field, t, dtypes, {shape.begin(), shape.size()}, stride);
}

void Args::check_like(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
                      const Tensor& like, RowStride stride) const {
  check_against(field, t, dtypes, {like.shape.data(), static_cast<size_t>(like.rank)}, stride);
}

void Args::check_against(const char* field, const Tensor& t, std::initializer_list<Dtype> dtypes,
                         std::span<const int64_t> shape, RowStride stride) const {
  const bool typed = std::find(dtypes.begin(), dtypes.end(), t.dtype) != dtypes.end();
  const bool shaped = t.rank == static_cast<int>(shape.size()) &&
                      std::equal(shape.begin(), shape.end(), t.shape.begin());
  if (!typed || !shaped) {
    std::string wanted;
    for (const Dtype d : dtypes) wanted += cat(wanted.empty() ? "" : "|", dtype_name(d));
    std::string dims;
    for (const int64_t d : shape) dims += cat(dims.empty() ? "" : ",", d);
    fail(cat(field, " is ", describe(t), ", want ", wanted, "(", dims, ")"));
  }
  if (t.data == nullptr && t.elements() != 0) fail(cat(field, " is absent"));
  if (t.device != device_)
    fail(cat(field, " is on ", device_name(t.device), ", the stream on ", device_name(device_)));
  const bool strided = stride == RowStride::kFree && t.rank == 2 && t.row_stride >= t.dim(1);
  if (!t.dense() && !strided) fail(cat(field, " has rows ", t.row_stride, " apart"));
  if (span_.recording()) span_.add(0.0, tensor_bytes(t));
}

void Args::fail(std::string_view what) const {
  throw BugError(cat(op_, ": ", what));
}

bool all_below(const Tensor& indices, int64_t limit) {
  const int32_t* index = indices.as<int32_t>();
  return std::all_of(index, index + indices.elements(),
                     [limit](int32_t i) { return i >= 0 && i < limit; });
}

}  // namespace nibble
