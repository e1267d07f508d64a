// SPDX-License-Identifier: Apache-2.0
// Products of a warpgroup with one fault each, and their mended twins: one kernel, whose steps are
// left out or misplaced.
#include "faults.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx_hopper.h"

namespace nibble::emulate_test {
namespace {

using namespace cuda;

enum class Wrong {
  kNoFence,
  kNoBarrier,
  kNoProxyFence,
  kProxyFenceTooEarly,
  kUnwritten,
  kInFlight,
  kNoCommit,
  kNoWait,
  kReadTooEarly,
  kWrittenTooEarly,
  kOperandTooEarly,
  kOverwrites,
  kNoBarrierAfterWait,
  kWaitsForTheWrongGroup,
  kOtherShape,
  kOtherMatrix,
  kNoWholeUnit,
  kNoSwizzling,
  kPastTheEnd,
  kWarpMissing,
};

constexpr int kTile = 64 * 64 * 2 / 16;  // of 16 bytes

template <Wrong kWrong>
__global__ void product(bool mended, int* data) {
  const auto wrong = [mended](Wrong which) { return !mended && kWrong == which; };
  NIBBLE_SWIZZLED_SHARED(uint4, a);
  uint4* const b = a + kTile;
  const auto thread = static_cast<int>(threadIdx.x);
  if (wrong(Wrong::kProxyFenceTooEarly)) fence_async_proxy();
  for (int i = thread; i < kTile; i += kWarpgroup) {
    store_shared(a + i, uint4{});
    if (kWrong == Wrong::kInFlight)
      cp_async16(b + i, data, false);
    else if (!wrong(Wrong::kUnwritten) || i != 73)
      store_shared(b + i, uint4{});
  }
  if (kWrong == Wrong::kInFlight) {
    cp_async_commit();
    if (mended) cp_async_wait<0>();
  }
  if (!wrong(Wrong::kNoProxyFence) && !wrong(Wrong::kProxyFenceTooEarly)) fence_async_proxy();
  if (!wrong(Wrong::kNoBarrier)) __syncthreads();

  float sums[8][4] = {}, others[16][4] = {};
  uint32_t left[4] = {};
  const int behind = wrong(Wrong::kPastTheEnd) ? 1024 : 0;
  const uint64_t at =
      swizzled_matrix(reinterpret_cast<char*>(a) + (wrong(Wrong::kNoWholeUnit) ? 2 : 0), 0, 1024);
  uint64_t from = matrix_after(swizzled_matrix(b, 0, 1024), behind);
  if (wrong(Wrong::kNoSwizzling)) from &= ~(uint64_t{3} << 62);
  if (wrong(Wrong::kOtherMatrix) && thread == 5) from = at;
  if (!wrong(Wrong::kNoFence)) wgmma_fence(sums, left);
  if (!wrong(Wrong::kWarpMissing) || thread < 96) wgmma_along<true>(sums, at, from);
  if (!wrong(Wrong::kNoCommit)) wgmma_commit();
  if (kWrong == Wrong::kWaitsForTheWrongGroup) {
    wgmma_down<true>(others, left, matrix_after(from, 0));
    wgmma_commit();
    wgmma_wait<1>(sums);
    data[thread] = static_cast<int>(mended ? sums[0][0] : others[0][0]);
  }
  if (kWrong == Wrong::kOperandTooEarly) {
    wgmma_down<true>(sums, left, from);
    wgmma_commit();
    if (!mended) left[1] = static_cast<uint32_t>(data[thread]);
  }
  if (kWrong == Wrong::kOtherShape) {
    if (mended) wgmma_wait<0>(sums);
    if (mended) wgmma_fence(others);
    wgmma_along<true>(mended ? others : reinterpret_cast<float(&)[16][4]>(sums), at, at);
    wgmma_commit();
  }
  if (wrong(Wrong::kReadTooEarly)) data[thread] = static_cast<int>(sums[2][3]);
  if (wrong(Wrong::kWrittenTooEarly)) sums[7][1] = static_cast<float>(data[thread]);
  if (wrong(Wrong::kOverwrites)) store_shared(a + thread, uint4{});
  if (!wrong(Wrong::kNoWait)) wgmma_wait<0>(sums, others, left);
  if (kWrong == Wrong::kNoBarrierAfterWait) {
    if (mended) __syncthreads();
    store_shared(a + thread, uint4{});
  }
  if (!wrong(Wrong::kNoWait)) data[thread] += static_cast<int>(sums[1][2] + others[3][3]);
  data[512 + thread] = static_cast<int>(left[1]);
}

template <Wrong kWrong, int kThreads = kWarpgroup>
void run(bool mended, int* data, cudaStream_t stream) {
  launch(product<kWrong>,
         {.grid = 1,
          .block = mended ? kWarpgroup : kThreads,
          .shared_bytes = 2 * kTile * sizeof(uint4),
          .stream = stream,
          .name = "faulty"},
         mended, data);
}

}  // namespace

const std::vector<Fault>& wgmma_faults() {
  static const std::vector<Fault> all = {
      {"no_fence", "no wgmma.fence since the last wait", run<Wrong::kNoFence>},
      {"no_barrier", "race: no barrier since the write by thread", run<Wrong::kNoBarrier>},
      {"no_proxy_fence", "no fence.proxy.async since the write", run<Wrong::kNoProxyFence>},
      {"proxy_fence_too_early", "no fence.proxy.async since the write",
       run<Wrong::kProxyFenceTooEarly>},
      {"unwritten", "never written", run<Wrong::kUnwritten>},
      {"in_flight", "cp.async has not been waited for", run<Wrong::kInFlight>},
      {"no_commit", "gives up registers of a product that is still at work", run<Wrong::kNoCommit>},
      {"no_wait", "1 products of wgmma that nobody waited for", run<Wrong::kNoWait>},
      {"read_too_early", "read of sums of wgmma that has not been waited for",
       run<Wrong::kReadTooEarly>},
      {"written_too_early", "write of sums of wgmma that has not been waited for",
       run<Wrong::kWrittenTooEarly>},
      {"operand_too_early", "write of registers that wgmma, not waited for, reads",
       run<Wrong::kOperandTooEarly>},
      {"overwrites", "race: wgmma still reads it", run<Wrong::kOverwrites>},
      {"no_barrier_after_wait", "race: ", run<Wrong::kNoBarrierAfterWait>},
      {"waits_for_the_wrong_group", "read of sums of wgmma that has not been waited for",
       run<Wrong::kWaitsForTheWrongGroup>},
      {"other_shape", "sums of a product of another shape that is at work",
       run<Wrong::kOtherShape>},
      {"other_matrix", "ask for different products", run<Wrong::kOtherMatrix>},
      {"no_whole_unit", "begins at no multiple of 16 bytes", run<Wrong::kNoWholeUnit>},
      {"no_swizzling", "swizzling mode 0", run<Wrong::kNoSwizzling>},
      {"past_the_end", "dynamic shared + 16384 of 16384: out of bounds", run<Wrong::kPastTheEnd>},
      {"warp_missing", "", run<Wrong::kWarpMissing>},
      {"three_warps", "no four warps", run<Wrong::kWarpMissing, 96>},
  };
  return all;
}

}  // namespace nibble::emulate_test
