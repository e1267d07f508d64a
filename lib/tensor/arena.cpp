// SPDX-License-Identifier: Apache-2.0
#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/checked.h"

namespace nibble {

void Arena::Unmap::operator()(std::byte* p) const {
  munmap(p, bytes);
}

Arena::Arena(size_t bytes) : capacity_(std::max<size_t>(bytes, 64)) {
  void* p = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    throw MemoryError(cat("cannot reserve ", capacity_ >> 20,
                          " MiB; lower --batch-size or the row length, or use --recompute=layer"));
  madvise(p, capacity_, MADV_HUGEPAGE);
  memory_ = {static_cast<std::byte*>(p), Unmap{capacity_}};
}

Tensor Arena::take(Dtype dtype, std::initializer_list<int64_t> shape) {
  Tensor t = make_tensor(nullptr, dtype, shape);
  const size_t bytes = round_up<size_t>(static_cast<size_t>(t.elements()) * dtype_bytes(dtype), 64);
  if (!measuring()) {
    CHECK(used_ + bytes <= capacity_);
    t.data = memory_.get() + used_;
  }
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return t;
}

}  // namespace nibble
