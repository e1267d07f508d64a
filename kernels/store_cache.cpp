// SPDX-License-Identifier: Apache-2.0
#include "kernels/store_cache.h"

#include <cstring>

#include "kernels/args.h"

namespace nibble {

namespace cpu {

void store_cache(const StoreCache& op, Stream) {
  const int64_t room = op.keys.dim(1), width = op.keys.dim(2);
  const size_t element = dtype_bytes(op.keys.dtype);
  const auto put = [&](const Tensor& cache, const Tensor& from, int64_t b, int64_t position) {
    std::memcpy(static_cast<std::byte*>(cache.data) +
                    static_cast<size_t>((b * room + position) * width) * element,
                static_cast<const std::byte*>(from.data) +
                    static_cast<size_t>(b * from.row_stride) * element,
                static_cast<size_t>(width) * element);
  };
  for (int64_t b = 0; b < op.keys.dim(0); ++b) {
    const int32_t length = op.lengths.as<int32_t>()[b];
    CHECK(length >= 0 && length <= room);
    if (length == 0) continue;
    put(op.keys, op.k, b, length - 1);
    put(op.values, op.v, b, length - 1);
  }
}

}  // namespace cpu

void store_cache(const StoreCache& op, Stream stream) {
  const Args args("store_cache", stream);
  args.require(op.keys.rank == 3, "keys is not (B,P,W)");
  const int64_t batch = op.keys.dim(0), room = op.keys.dim(1), width = op.keys.dim(2);
  args.check("keys", op.keys, NIBBLE_FLOATS, {batch, room, width});
  args.check("values", op.values, {op.keys.dtype}, {batch, room, width});
  args.check("k", op.k, {op.keys.dtype}, {batch, width}, RowStride::kFree);
  args.check("v", op.v, {op.keys.dtype}, {batch, width}, RowStride::kFree);
  args.check("lengths", op.lengths, {Dtype::kI32}, {batch});
  // A position of each cache is written, of the many that it has room for.
  args.work(0.0, 2.0 * (tensor_bytes(op.k) + tensor_bytes(op.v)) + tensor_bytes(op.lengths));
  if (batch > 0 && width > 0) NIBBLE_CALL_TWIN(args, store_cache, op, stream);
}

}  // namespace nibble
