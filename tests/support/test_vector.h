// SPDX-License-Identifier: Apache-2.0
// Plain arrays that ops under test may read and write on whatever device the tests run on: host
// memory, pinned where that device is not the CPU.
#pragma once

#include <vector>

#include "support/op_harness.h"
#include "tensor/cuda.h"

namespace nibble {

template <class T>
struct DeviceVisible {
  using value_type = T;
  DeviceVisible() = default;
  template <class U>
  DeviceVisible(const DeviceVisible<U>&) {}
  T* allocate(size_t n) {
    if (test_device().on_cuda()) return static_cast<T*>(cuda::allocate_pinned(n * sizeof(T)));
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, size_t n) {
    if (test_device().on_cuda()) return cuda::release_pinned(p);
    std::allocator<T>().deallocate(p, n);
  }
  bool operator==(const DeviceVisible&) const { return true; }
};

template <class T>
using TestVector = std::vector<T, DeviceVisible<T>>;

template <class T>
TestVector<T> test_vector(const std::vector<T>& v) {
  return {v.begin(), v.end()};
}

/// A dense view of such an array on the test's device.
template <class T>
Tensor test_view(T* data, std::initializer_list<int64_t> shape) {
  return view(data, shape, test_device());
}

/// Calls the op and waits for it.
template <class Call>
void and_wait(const Call& call) {
  call();
  synchronize();
}

}  // namespace nibble
