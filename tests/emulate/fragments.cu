// SPDX-License-Identifier: Apache-2.0
#include "fragments.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "kernels/cuda/ptx_hopper.h"

namespace nibble::emulate_test {
namespace {

__global__ void load_matrices_kernel(uint32_t* out, const uint16_t* rows, int matrices,
                                     bool transposed) {
  __shared__ __align__(16) uint16_t tile[32][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 8; ++i) tile[lane][i] = lane < 8 * matrices ? rows[lane * 8 + i] : 0;
  __syncwarp();
  if (matrices == 4) {
    uint32_t r[4];
    if (transposed) {
      cuda::ldmatrix_x4_trans(r, tile[lane]);
    } else {
      cuda::ldmatrix_x4(r, tile[lane]);
    }
    for (int i = 0; i < 4; ++i) out[lane * 4 + i] = r[i];
  } else {
    uint32_t r[2];
    if (transposed) {
      cuda::ldmatrix_x2_trans(r, tile[lane]);
    } else {
      cuda::ldmatrix_x2(r, tile[lane]);
    }
    for (int i = 0; i < 2; ++i) out[lane * 2 + i] = r[i];
  }
}

__global__ void multiply_kernel(float* d, const uint32_t* a, const uint32_t* b) {
  const unsigned lane = threadIdx.x;
  float sums[4];
  uint32_t left[4], right[2];
  for (int i = 0; i < 4; ++i) {
    sums[i] = d[lane * 4 + static_cast<unsigned>(i)];
    left[i] = a[lane * 4 + static_cast<unsigned>(i)];
  }
  for (int i = 0; i < 2; ++i) right[i] = b[lane * 2 + static_cast<unsigned>(i)];
  cuda::mma_16x8x16(sums, left, right);
  for (int i = 0; i < 4; ++i) d[lane * 4 + static_cast<unsigned>(i)] = sums[i];
}

template <int kTiles>
__global__ void multiply_warpgroup_kernel(Warpgroup work) {
  NIBBLE_SWIZZLED_SHARED(uint32_t, shared);
  const auto thread = static_cast<int>(threadIdx.x);
  const int a_words = work.a_bytes / 4;
  for (int i = thread; i < a_words; i += cuda::kWarpgroup) shared[i] = work.a[i];
  for (int i = thread; i < work.b_bytes / 4; i += cuda::kWarpgroup) shared[a_words + i] = work.b[i];
  cuda::fence_async_proxy();
  __syncthreads();
  float sums[kTiles][4];
  uint32_t left[4] = {};
  for (int i = 0; i < kTiles * 4; ++i) sums[i / 4][i % 4] = work.d[thread * kTiles * 4 + i];
  for (int i = 0; i < 4 && work.down; ++i) left[i] = work.a[thread * 4 + i];
  const uint64_t b = cuda::swizzled_matrix(shared + a_words, work.leading, work.stride);
  cuda::wgmma_fence(sums, left);
  if (work.down)
    cuda::wgmma_down<true>(sums, left, b);
  else
    cuda::wgmma_along<true>(sums, cuda::swizzled_matrix(shared, work.leading, work.stride), b);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>(sums, left);
  for (int i = 0; i < kTiles * 4; ++i) work.d[thread * kTiles * 4 + i] = sums[i / 4][i % 4];
}

__global__ void collectives_kernel(unsigned* out) {
  const unsigned lane = threadIdx.x, all = ~0u;
  unsigned* at = out + lane;
  const auto put = [&](unsigned value) {
    *at = value;
    at += 32;
  };
  put(__shfl_sync(all, lane, 5));
  put(__shfl_sync(all, lane, static_cast<int>(lane) + 1, 8));
  put(__shfl_up_sync(all, lane, 3, 16));
  put(__shfl_down_sync(all, lane, 3));
  put(__shfl_xor_sync(all, lane, 9));
  put(__ballot_sync(all, lane % 3 == 0));
  put(static_cast<unsigned>(__any_sync(all, lane == 31)) * 2 +
      static_cast<unsigned>(__all_sync(all, lane < 31)));
  put(__match_any_sync(all, lane / 4));
  put(__reduce_add_sync(all, lane));
  // Two halves of a warp, each on its own.
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  put(lane < 16 ? __shfl_xor_sync(half, lane, 1) : __shfl_xor_sync(half, lane, 2));
}

__global__ void atomics_kernel(unsigned* out, float* sum) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(out, 1u);
  atomicMax(out + 1, i);
  atomicMin(reinterpret_cast<int*>(out + 2), -static_cast<int>(i));
  atomicXor(out + 3, i);
  unsigned seen = 0, old = 0;
  do {
    old = seen;
    seen = atomicCAS(out + 4, old, old + 2);
  } while (seen != old);
  atomicAdd(sum, 0.5f);
}

__global__ void copy_guarded_kernel(int* out, const int* in, int n) {
  __shared__ __align__(16) int tile[128];
  const int first = 4 * static_cast<int>(threadIdx.x);
  cuda::cp_async16(tile + first, in + first, first < n);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  cuda::store(reinterpret_cast<int4*>(out + first),
              cuda::load(reinterpret_cast<const int4*>(tile + first)));
}

}  // namespace

void load_matrices(uint32_t* out, const uint16_t* rows, int matrices, bool transposed,
                   cudaStream_t stream) {
  cuda::launch(load_matrices_kernel,
               {.grid = 1, .block = 32, .stream = stream, .name = "load_matrices"}, out, rows,
               matrices, transposed);
}

void multiply_fragments(float* d, const uint32_t* a, const uint32_t* b, cudaStream_t stream) {
  cuda::launch(multiply_kernel,
               {.grid = 1, .block = 32, .stream = stream, .name = "multiply_fragments"}, d, a, b);
}

void multiply_warpgroup(const Warpgroup& work, cudaStream_t stream) {
  cuda::launch(work.tiles == 8 ? multiply_warpgroup_kernel<8> : multiply_warpgroup_kernel<16>,
               {.grid = 1,
                .block = cuda::kWarpgroup,
                .shared_bytes = static_cast<size_t>(work.a_bytes + work.b_bytes),
                .stream = stream,
                .name = "multiply_warpgroup"},
               work);
}

void collectives(unsigned* out, cudaStream_t stream) {
  cuda::launch(collectives_kernel,
               {.grid = 1, .block = 32, .stream = stream, .name = "collectives"}, out);
}

void atomics(unsigned* out, float* sum, int blocks, cudaStream_t stream) {
  cuda::launch(
      atomics_kernel,
      {.grid = static_cast<unsigned>(blocks), .block = 64, .stream = stream, .name = "atomics"},
      out, sum);
}

void copy_guarded(int* out, const int* in, int n, cudaStream_t stream) {
  cuda::launch(copy_guarded_kernel,
               {.grid = 1, .block = 32, .stream = stream, .name = "copy_guarded"}, out, in, n);
}

}  // namespace nibble::emulate_test
