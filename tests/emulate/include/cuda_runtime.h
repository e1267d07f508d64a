// SPDX-License-Identifier: Apache-2.0
// Stands in for the toolkit's header of this name when a kernel is compiled for the emulator: the
// part of CUDA C++ and of the runtime API that nibble uses, with the real names and values.
#pragma once

#include <emulate/functions.h>
#include <emulate/host_api.h>
#include <emulate/vector_types.h>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict

#define threadIdx (::nibble::emulate::thread_index())
#define blockIdx (::nibble::emulate::block_index())
#define blockDim (::nibble::emulate::block_extent())
#define gridDim (::nibble::emulate::grid_extent())
inline constexpr int warpSize = 32;
