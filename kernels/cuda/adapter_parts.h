// SPDX-License-Identifier: Apache-2.0
// What the adapters' kernels, forward and backward, know of the parts of a group.
#pragma once

#include <algorithm>

#include "kernels/adapter.h"
#include "kernels/cuda/attention_tiles.h"

namespace nibble::cuda {

inline constexpr int kMostAdapters = 4, kMostAdapterRank = 128;

struct AdapterTable {
  struct Part {
    const Bf16* b;
    float* db;
    int outputs, rank;
    int column, xa_column;
    float scale;
    int first_block;   // along the outputs
    int inner, outer;  // where its sums begin among those of all blocks
  };
  Part part[kMostAdapters];
  int count = 0;
  __device__ __forceinline__ int of_block(int block) const {
    int at = 0;
    while (at + 1 < count && block >= part[at + 1].first_block) ++at;
    return at;
  }
};

/// A matrix of bf16 whose rows are `stride` elements apart.
struct Bf16Matrix {
  Bf16* data;
  int64_t stride;
};
inline Bf16Matrix bf16_matrix(const Tensor& t) {
  return {device_pointer<Bf16>(t), t.row_stride};
}

/// Rows [k, k + 16) and columns [column, column + 16) of a tile, transposed, as mma's first
/// operand.
template <int kD>
__device__ __forceinline__ void load_a_down(uint32_t (&a)[4], const Bf16* tile, int k, int column) {
  const int lane = lane_id();
  ldmatrix_x4_trans(
      a, tile + (k + lane % 8 + lane / 16 * 8) * kTileStride<kD> + column + lane / 8 % 2 * 8);
}

inline bool in_chunks(const Tensor& t) {
  return t.dtype == Dtype::kBf16 && wide_rows(t, 8, 8);
}

/// Whether the kernels can read all of it 16 bytes at a time.
inline bool adapters_fit(const Tensor& y, const Tensor& xa, std::span<const AdapterPart> parts) {
  const auto fit = [](const AdapterPart& p) {
    const int64_t o = p.b.dim(0), r = p.b.dim(1);
    return in_chunks(p.b) && o % 8 == 0 && r % 8 == 0 && r > 0 && r <= kMostAdapterRank &&
           p.column % 8 == 0 && o > 0 && o <= INT32_MAX - kAdapterTile;
  };
  return in_chunks(y) && in_chunks(xa) && std::ssize(parts) <= kMostAdapters &&
         y.dim(0) <= INT32_MAX - kAdapterTile && y.dim(1) <= INT32_MAX &&
         std::all_of(parts.begin(), parts.end(), fit);
}

/// The parts, cut into blocks of so many outputs; sets the blocks they make.
inline AdapterTable adapter_table(std::span<const AdapterPart> from, int each, unsigned& blocks) {
  AdapterTable table;
  int xa_column = 0;
  blocks = 0;
  for (const AdapterPart& p : from) {
    const auto o = static_cast<int>(p.b.dim(0)), r = static_cast<int>(p.b.dim(1));
    table.part[table.count++] = {.b = device_pointer<Bf16>(p.b),
                                 .db = device_pointer<float>(p.db),
                                 .outputs = o,
                                 .rank = r,
                                 .column = static_cast<int>(p.column),
                                 .xa_column = xa_column,
                                 .scale = p.scale,
                                 .first_block = static_cast<int>(blocks)};
    blocks += blocks_for(o, each);
    xa_column += r;
  }
  return table;
}

inline int most_rank(std::span<const AdapterPart> parts) {
  int64_t most = 0;
  for (const AdapterPart& p : parts) most = std::max(most, p.b.dim(1));
  return static_cast<int>(most);
}

/// body(integral_constant), the first of kRanks that holds all ranks.
template <int kRank, int... kMore, class Body>
void with_rank(int most, const Body& body) {
  if constexpr (sizeof...(kMore) > 0)
    if (most > kRank) return with_rank<kMore...>(most, body);
  body(std::integral_constant<int, kRank>());
}

/// Backward with a reading of dy for each gradient (adapter_gradients.cu).
void adapter_gradients(const AdapterBackward& op, Stream stream);

}  // namespace nibble::cuda
