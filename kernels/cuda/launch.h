// SPDX-License-Identifier: Apache-2.0
// The only place that launches a kernel. Every launch is checked; a failure throws an Error that
// names the op. In a build for the emulator (NIBBLE_EMULATE) the kernel is queued on its stream
// there, its arguments copied as a real launch copies them.
#pragma once

#include <cuda_runtime.h>

#include <mutex>
#include <tuple>
#include <type_traits>
#include <unordered_map>

#include "kernels/cuda/check.h"

#ifdef NIBBLE_EMULATE
#include <emulate/launch.h>
#endif

namespace nibble::cuda {

struct Launch {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;  // dynamic
  cudaStream_t stream;      // never the legacy stream: it cannot be captured
  const char* name;         // of the op, for errors and counts
};

namespace detail {
/// Up to here dynamic shared memory is granted without asking.
inline constexpr size_t kSharedUnasked = size_t{48} << 10;

/// Asks for a kernel's dynamic shared memory where it passes 48 KiB, once per kernel and device.
inline void reserve_shared(const void* kernel, const Launch& launch) {
  if (launch.shared_bytes <= kSharedUnasked) return;
  static std::mutex mutex;
  static std::unordered_map<const void*, std::unordered_map<int, size_t>> granted;
  int device = 0;
  check(cudaGetDevice(&device), launch.name);
  const std::lock_guard lock(mutex);
  size_t& bytes = granted[kernel][device];
  if (bytes >= launch.shared_bytes) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(launch.shared_bytes)),
        launch.name);
  bytes = launch.shared_bytes;
}
}  // namespace detail

/// Queues kernel(args...); the arguments are converted to the kernel's parameters here.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), const Launch& launch, Args&&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args));
  static_assert((std::is_trivially_copyable_v<Params> && ...));
  const auto* function = reinterpret_cast<const void*>(kernel);
  detail::reserve_shared(function, launch);
  std::tuple<Params...> values(static_cast<Params>(args)...);
#ifdef NIBBLE_EMULATE
  const cudaError_t status = emulate::launch_kernel(
      {.kernel = function,
       .name = launch.name,
       .grid = launch.grid,
       .block = launch.block,
       .shared_bytes = launch.shared_bytes,
       .stream = launch.stream},
      &values, sizeof values, [](const void* kernel_function, const void* copied) {
        std::apply(reinterpret_cast<void (*)(Params...)>(const_cast<void*>(kernel_function)),
                   *static_cast<const std::tuple<Params...>*>(copied));
      });
#else
  const cudaError_t status = std::apply(
      [&](auto&... value) {
        void* pointers[] = {static_cast<void*>(&value)..., nullptr};
        return cudaLaunchKernel(function, launch.grid, launch.block, pointers, launch.shared_bytes,
                                launch.stream);
      },
      values);
#endif
  check(status, launch.name);
}

}  // namespace nibble::cuda
