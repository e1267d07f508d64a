// SPDX-License-Identifier: Apache-2.0
// What the mat-vec loops share, compiled once an instruction set: sums of registers, and the order
// of rows and vectors. Rows of numbers are read one after another: processors that fetch ahead by
// themselves do so for one stream best, twice as fast on Zen 4 as for two rows in turn. Rows of
// codes may go four at a time, since they are asked for in advance. Included inside Highway's
// foreach_target only, hence no include guard of the common kind.
#if defined(NIBBLE_KERNELS_MATVEC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NIBBLE_KERNELS_MATVEC_INL_H
#undef NIBBLE_KERNELS_MATVEC_INL_H
#else
#define NIBBLE_KERNELS_MATVEC_INL_H
#endif

#include "kernels/bf16_pairs-inl.h"
#include "kernels/dequantize-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nibble {
namespace HWY_NAMESPACE {

/// sums[k] for kCount registers. One at a time gives the bits that four at a time give.
template <int kCount>
HWY_INLINE void sum_all(const Vec* v, float* sums) {
  int k = 0;
  for (; k + 4 <= kCount; k += 4) sum_four(v + k, sums + k);
  if (k == kCount) return;
  Vec rest[4];
  float four[4];
  for (int i = 0; i < 4; ++i) rest[i] = k + i < kCount ? v[k + i] : zero();
  sum_four(rest, four);
  std::copy_n(four, kCount - k, sums + k);
}

/// Calls tile<R, M>(row, vector) over `rows` rows and `vectors` vectors: four vectors of a row,
/// then four rows of a vector, then what is left, so that sums are made four at a time.
template <class Tile>
HWY_INLINE void for_tiles(int64_t rows, int64_t vectors, const Tile& tile) {
  int64_t m = 0;
  for (; m + 4 <= vectors; m += 4)
    for (int64_t r = 0; r < rows; ++r) tile.template operator()<1, 4>(r, m);
  for (; m < vectors; ++m) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) tile.template operator()<4, 1>(r, m);
    for (; r < rows; ++r) tile.template operator()<1, 1>(r, m);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace nibble
HWY_AFTER_NAMESPACE();

#endif  // NIBBLE_KERNELS_MATVEC_INL_H
