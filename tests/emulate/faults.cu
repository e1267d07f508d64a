// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <memory>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"

namespace nibble::emulate_test {
namespace {

using cuda::launch;

constexpr int kCount = 1024;

// ---- memory ----

__global__ void past_the_end(bool mended, int* data) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (mended ? i < kCount : i <= kCount) data[i] += 1;
}

__global__ void before_the_start(bool mended, int* data) {
  const int i = static_cast<int>(threadIdx.x);
  data[i] = (mended ? i : i - 1) >= 0 ? data[i] : data[i - 1];
}

__global__ void misaligned_pair(bool mended, int* data) {
  const auto* pairs = reinterpret_cast<const uint2*>(data + (mended ? 0 : 1));
  const uint2 pair = cuda::load(pairs + threadIdx.x);
  data[512 + threadIdx.x] = static_cast<int>(pair.x + pair.y);
}

__global__ void wide_store_elsewhere(bool mended, int* data) {
  __shared__ __align__(16) uint4 tile[32];
  cuda::store_shared(tile + threadIdx.x, uint4{1, 2, 3, 4});
  auto* const to = reinterpret_cast<uint4*>(data) + threadIdx.x;
  cuda::store(mended ? to : tile + threadIdx.x, cuda::load(tile + threadIdx.x));
}

__global__ void wide_shared_store_elsewhere(bool mended, int* data) {
  __shared__ __align__(16) uint4 tile[32];
  auto* const other = reinterpret_cast<uint4*>(data) + threadIdx.x;
  cuda::store_shared(mended ? tile + threadIdx.x : other, uint4{1, 2, 3, 4});
  data[512 + threadIdx.x] = static_cast<int>(cuda::load(mended ? tile + threadIdx.x : other).x);
}

__global__ void wide_past_the_end(bool mended, int* data) {
  auto* quads = reinterpret_cast<uint4*>(data);
  const unsigned i = kCount / 4 - blockDim.x + threadIdx.x + (mended ? 0 : 1);
  cuda::store(quads + i, make_uint4(1, 2, 3, 4));
}

__global__ void shared_past_the_end(bool mended, int* data) {
  NIBBLE_DYNAMIC_SHARED(int, tile);
  tile[threadIdx.x + (mended ? 0 : 1)] = data[threadIdx.x];
  __syncthreads();
  data[threadIdx.x] = tile[threadIdx.x + (mended ? 0 : 1)];
}

__global__ void static_past_the_end(bool mended, int* data) {
  __shared__ int alone[64];
  const int at = mended ? 63 : 1'000'000;
  if (threadIdx.x == 0) alone[at] = data[0];
  __syncthreads();
  if (threadIdx.x == 1) data[1] = alone[at];
}

__global__ void shared_unwritten(bool mended, int* data) {
  __shared__ int tile[64];
  if (mended || threadIdx.x != 5) tile[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  data[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// What an earlier block left there is no value.
__global__ void shared_of_the_block_before(bool mended, int* data) {
  __shared__ int kept[32];
  if (mended || blockIdx.x == 0) kept[threadIdx.x] = 1;
  __syncthreads();
  data[blockIdx.x * 32 + threadIdx.x] = kept[threadIdx.x];
}

__global__ void host_pointer(const int* source, int* data) {
  data[threadIdx.x] = *source;
}

// ---- races ----

__global__ void no_barrier(bool mended, int* data) {
  __shared__ int tile[64];
  tile[threadIdx.x] = data[threadIdx.x];
  if (mended) __syncthreads();
  data[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void no_second_barrier(bool mended, int* data) {
  __shared__ int tile[64];
  int sum = 0;
  for (int round = 0; round < 3; ++round) {
    tile[threadIdx.x] = data[threadIdx.x] + round;
    __syncthreads();
    sum += tile[63 - threadIdx.x];
    if (mended) __syncthreads();
  }
  data[threadIdx.x] = sum;
}

__global__ void same_place(bool mended, int* data) {
  __shared__ int total;
  if (!mended || threadIdx.x == 0) total = data[0];
  __syncthreads();
  data[threadIdx.x] = total;
}

__global__ void no_syncwarp(bool mended, int* data) {
  __shared__ int tile[32];
  tile[threadIdx.x] = data[threadIdx.x];
  if (mended) __syncwarp();
  data[threadIdx.x] = tile[threadIdx.x ^ 1];
}

__global__ void no_syncwarp_through_global(bool mended, int* data) {
  data[threadIdx.x] = 1;
  if (mended) __syncwarp();
  data[512 + threadIdx.x] = data[threadIdx.x ^ 1];
}

// The same value even: which of two writes comes last is nobody's promise.
__global__ void lanes_write_one_place(bool mended, int* data) {
  if (threadIdx.x == 7) data[0] = 1;
  if (mended) __syncwarp();
  if (threadIdx.x == 20) data[0] = 1;
}

// A barrier of two warps orders these two, not the other two.
__global__ void wrong_named_barrier(bool mended, int* data) {
  __shared__ int tile[128];
  const unsigned warp = threadIdx.x / 32;
  tile[threadIdx.x] = data[threadIdx.x];
  cuda::named_barrier(1 + static_cast<int>(warp / 2), 64);
  data[threadIdx.x] = tile[threadIdx.x ^ (mended ? 32 : 64)];
}

__global__ void producer_and_consumer(bool mended, int* data) {
  __shared__ int tile[32];
  if (threadIdx.x < 32) {
    tile[threadIdx.x] = data[threadIdx.x];
    cuda::named_barrier_arrive(3, 64);
  } else {
    if (mended) cuda::named_barrier(3, 64);
    data[threadIdx.x] = tile[threadIdx.x - 32];
    if (!mended) cuda::named_barrier(3, 64);
  }
}

__global__ void global_within_block(bool mended, int* data) {
  data[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (mended) __syncthreads();
  data[512 + threadIdx.x] = data[(threadIdx.x + 32) % blockDim.x];
}

__global__ void between_blocks(bool mended, int* data) {
  data[mended ? blockIdx.x * blockDim.x + threadIdx.x : threadIdx.x] = 1;
}

__global__ void sum_without_atomic(bool mended, int* data) {
  if (mended) {
    atomicAdd(data, 1);
  } else {
    data[0] += 1;
  }
}

// The last block to come adds what all have written: right only after a fence.
__global__ void last_block(bool mended, int* data) {
  __shared__ bool last;
  auto* count = reinterpret_cast<unsigned*>(data);
  if (threadIdx.x == 0) {
    data[1 + blockIdx.x] = static_cast<int>(blockIdx.x);
    if (mended) __threadfence();
    last = atomicAdd(count, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x < gridDim.x) data[512 + threadIdx.x] = data[1 + threadIdx.x];
}

// ---- meetings ----

__global__ void barrier_in_a_branch(bool mended, int* data) {
  if (mended || threadIdx.x < 32) __syncthreads();
  data[threadIdx.x] = 1;
}

__global__ void two_barriers(bool mended, int* data) {
  if (mended || threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  data[threadIdx.x] = 1;
}

__global__ void too_few_at_named(bool mended, int* data) {
  if (mended || threadIdx.x < 32) cuda::named_barrier(2, 64);
  data[threadIdx.x] = 1;
}

__global__ void shuffle_in_a_branch(bool mended, int* data) {
  int value = data[threadIdx.x];
  if (mended || threadIdx.x % 32 < 16) value = __shfl_xor_sync(0xffffffffu, value, 1);
  data[threadIdx.x] = value;
}

__global__ void shuffle_from_outside(bool mended, int* data) {
  if (threadIdx.x % 32 < 16) {
    data[threadIdx.x] = __shfl_xor_sync(0xffffu, data[threadIdx.x], mended ? 8 : 16);
  }
}

__global__ void vote_meets_shuffle(bool mended, int* data) {
  if (mended || threadIdx.x % 2 == 0) {
    data[threadIdx.x] = __shfl_down_sync(~0u, data[threadIdx.x], 1);
  } else {
    data[threadIdx.x] = __any_sync(~0u, 1);
  }
}

__global__ void shuffle_after_exit(bool mended, int* data) {
  if (!mended && threadIdx.x == 7) return;
  data[threadIdx.x] = __shfl_sync(~0u, data[threadIdx.x], 0);
}

__global__ void trapped(bool mended, int* data) {
  if (!mended && threadIdx.x == 3) __trap();
  data[threadIdx.x] = 0;
}

// ---- cp.async ----

__global__ void no_wait(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  cuda::cp_async16(tile + 4 * threadIdx.x, data + 4 * threadIdx.x);
  cuda::cp_async_commit();
  if (mended) cuda::cp_async_wait<0>();
  data[512 + threadIdx.x] = tile[4 * threadIdx.x];
}

__global__ void waits_for_the_wrong_group(bool mended, int* data) {
  __shared__ __align__(16) int tile[2][128];
  for (int i = 0; i < 2; ++i) {
    cuda::cp_async16(tile[i] + 4 * threadIdx.x, data + 128 * i + 4 * threadIdx.x);
    cuda::cp_async_commit();
  }
  if (mended) {
    cuda::cp_async_wait<0>();
  } else {
    cuda::cp_async_wait<1>();
  }
  data[512 + threadIdx.x] = tile[1][4 * threadIdx.x];
}

__global__ void no_commit(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  cuda::cp_async16(tile + 4 * threadIdx.x, data + 4 * threadIdx.x);
  if (mended) cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  data[512 + threadIdx.x] = tile[4 * threadIdx.x];
}

__global__ void ends_in_flight(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  cuda::cp_async16(tile + 4 * threadIdx.x, data + 4 * threadIdx.x);
  cuda::cp_async_commit();
  if (mended) cuda::cp_async_wait<0>();
}

__global__ void no_barrier_after_wait(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  cuda::cp_async16(tile + 4 * threadIdx.x, data + 4 * threadIdx.x);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  if (mended) __syncthreads();
  data[512 + threadIdx.x] = tile[4 * (31 - threadIdx.x)];
}

__global__ void copies_past_the_end(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  const int from = kCount - 64 + 4 * static_cast<int>(threadIdx.x);
  cuda::cp_async16(tile + 4 * threadIdx.x, data + from, !mended || from < kCount);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  data[threadIdx.x] = tile[4 * threadIdx.x];
}

__global__ void overwrites_what_is_read(bool mended, int* data) {
  __shared__ __align__(16) int tile[128];
  for (int i = 0; i < 4; ++i) tile[4 * threadIdx.x + i] = data[4 * threadIdx.x + i];
  __syncthreads();
  const int value = tile[127 - 4 * threadIdx.x];
  if (mended) __syncthreads();
  cuda::cp_async16(tile + 4 * threadIdx.x, data + 4 * threadIdx.x);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  data[512 + threadIdx.x] = value;
}

__global__ void matrix_row_misaligned(bool mended, int* data) {
  __shared__ __align__(16) int tile[32 * 5];
  for (int i = 0; i < 5; ++i) tile[5 * threadIdx.x + i] = data[5 * threadIdx.x + i];
  __syncthreads();
  uint32_t r[4];
  cuda::ldmatrix_x4(r, tile + (mended ? 4 : 5) * threadIdx.x);
  data[512 + threadIdx.x] = static_cast<int>(r[0] + r[1] + r[2] + r[3]);
}

template <auto kKernel, unsigned kThreads, unsigned kBlocks = 1, size_t kShared = 0>
void run(bool mended, int* data, cudaStream_t stream) {
  launch(kKernel,
         {.grid = kBlocks,
          .block = kThreads,
          .shared_bytes = kShared,
          .stream = stream,
          .name = "faulty"},
         mended, data);
}

void run_host_pointer(bool mended, int* data, cudaStream_t stream) {
  static int on_the_host = 7;
  std::unique_ptr<int> far(new int(7));
  launch(host_pointer, {.grid = 1, .block = 32, .stream = stream, .name = "faulty"},
         mended ? &on_the_host : far.get(), data);
  (void)far.release();
}

}  // namespace

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all = {
      {"past_the_end", "+ 4096 of 4096: out of bounds", run<past_the_end, 256, 5>},
      {"before_the_start", "out of bounds", run<before_the_start, 64>},
      {"misaligned_pair", "misaligned", run<misaligned_pair, 64>},
      {"wide_store_elsewhere", "not in global memory", run<wide_store_elsewhere, 32>},
      {"wide_shared_store_elsewhere", "not in shared memory", run<wide_shared_store_elsewhere, 32>},
      {"wide_past_the_end", "write of 16 bytes", run<wide_past_the_end, 64>},
      {"shared_past_the_end", "dynamic shared + 256 of 256: out of bounds",
       run<shared_past_the_end, 64, 1, 256>},
      {"static_past_the_end", "faulty: block", run<static_past_the_end, 64>},
      {"shared_unwritten", "shared tile + 20 of 256: never written", run<shared_unwritten, 64>},
      {"shared_of_the_block_before", "never written", run<shared_of_the_block_before, 32, 16>},
      {"host_pointer", "host memory that is not pinned", run_host_pointer},
      {"no_barrier", " shared tile + ", run<no_barrier, 64>},
      {"no_second_barrier", " shared tile + ", run<no_second_barrier, 64>},
      {"same_place", "race: no barrier since the write", run<same_place, 64>},
      {"no_syncwarp", " shared tile + ", run<no_syncwarp, 32>},
      {"no_syncwarp_through_global", "race: not ordered after the write by thread",
       run<no_syncwarp_through_global, 32>},
      {"lanes_write_one_place", "race: not ordered after the write by thread",
       run<lanes_write_one_place, 32>},
      {"wrong_named_barrier", " shared tile + ", run<wrong_named_barrier, 128>},
      {"producer_and_consumer", " shared tile + ", run<producer_and_consumer, 64>},
      {"global_within_block", " device allocation ", run<global_within_block, 64>},
      {"between_blocks", "race: not ordered after the write by block number",
       run<between_blocks, 64, 4>},
      {"sum_without_atomic", "race", run<sum_without_atomic, 1, 8>},
      {"last_block", "race", run<last_block, 32, 8>},
      {"barrier_in_a_branch", "barrier not reached by all", run<barrier_in_a_branch, 64>},
      {"two_barriers", "barrier not reached by all", run<two_barriers, 64>},
      {"too_few_at_named", "barrier 2 has 32 of 64 threads", run<too_few_at_named, 64>},
      {"shuffle_in_a_branch", "faulty: block", run<shuffle_in_a_branch, 64>},
      {"shuffle_from_outside", "leaves out", run<shuffle_from_outside, 32>},
      {"vote_meets_shuffle", "different meetings", run<vote_meets_shuffle, 32>},
      {"shuffle_after_exit", "faulty: block", run<shuffle_after_exit, 32>},
      {"trapped", "thread (3,0,0): trap", run<trapped, 32>},
      {"no_wait", "cp.async has not been waited for", run<no_wait, 32>},
      {"waits_for_the_wrong_group", "cp.async has not been waited for",
       run<waits_for_the_wrong_group, 32>},
      {"no_commit", "cp.async has not been waited for", run<no_commit, 32>},
      {"ends_in_flight", "copies of cp.async that nobody waited for", run<ends_in_flight, 32>},
      {"no_barrier_after_wait", " shared tile + ", run<no_barrier_after_wait, 32>},
      {"copies_past_the_end", "out of bounds", run<copies_past_the_end, 32>},
      {"overwrites_what_is_read", "race: no barrier since the ", run<overwrites_what_is_read, 32>},
      {"matrix_row_misaligned", "misaligned", run<matrix_row_misaligned, 32>},
  };
  return all;
}

}  // namespace nibble::emulate_test
