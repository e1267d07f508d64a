// SPDX-License-Identifier: Apache-2.0
// The weights of a linear group cut into pieces, each of them the operand of one product: weights
// that the matmul reads as they are stored (trained ones from their copy in the compute type) as
// far as they lie side by side, all others (4-bit codes; bf16 where the processor has no bf16
// product) as rows to be expanded into a panel. Where a piece comes from, a panel or a copy that
// was expanded before, changes no cut and so no bit.
//
// On a GPU LoRA's adapters are woven into what a step expands (linear.h): right of the weights'
// rows lie scale_p B_p, in the columns of part p's rank, and, where backward takes them so, under
// the group's last row all A, so that one product is that of the weights and of the adapters.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "kernels/weave.h"
#include "model/linear.h"

namespace nibble {

struct WeightPiece {
  int64_t begin = 0, count = 0;  // output columns of the group
  Tensor stored;                 // (count,I) as the matmul reads it; absent: to be expanded
  bool operator==(const WeightPiece& other) const {
    return begin == other.begin && count == other.count && stored.data == other.stored.data;
  }
};

/// The pieces of a group, in the order of its output columns.
class WeightPieces {
 public:
  WeightPieces(const LinearGroup& group, const ParameterSet& parameters, Dtype compute,
               Device device);
  /// Nothing after the last.
  std::optional<WeightPiece> next();

 private:
  Tensor stored(const Projection& projection) const;

  const LinearGroup& group_;
  const ParameterSet& parameters_;
  Device device_;
  Dtype type_;
  size_t part_ = 0;         // the first whose columns are not yet cut
  int64_t column_ = 0;      // the first not yet given
  int64_t expand_end_ = 0;  // columns before this one are expanded, `step_` at a time
  int64_t step_ = 0;
};

/// Whether a projection's weight has to be expanded before a product of `compute` reads it.
bool expands(const Projection& projection, Dtype compute, Device device);

/// Weights that were stored at `from` and lie at `to` now.
struct Moved {
  const std::byte* from = nullptr;
  size_t bytes = 0;
  std::byte* to = nullptr;

  template <class T>
  T* operator()(T* p) const {
    const auto* at = reinterpret_cast<const std::byte*>(p);
    const bool here = bytes > 0 && at >= from && at < from + bytes;
    return here ? reinterpret_cast<T*>(to + (at - from)) : p;
  }
};

/// Rows [first, first + M) of a projection's stored weight into out (M,I).
void expand_rows(const Projection& projection, int64_t first, const Tensor& out,
                 const Moved& moved = {});
/// What of the adapters a product takes beside the weights: nothing; B, right of them; A, under
/// those of the group's last piece.
enum class Woven : uint8_t { kNothing, kB, kA };

/// Whether adapters can be woven into a group's weights: all of them are frozen and quantised, and
/// some are adapted.
bool weavable(const LinearGroup& group);
/// Elements of a row of activations or weights with room for `ranks` more on its right: rows start
/// at multiples of 128 bytes of bf16, the lines of a GPU's caches.
int64_t row_with_room(int64_t width, int64_t ranks);

/// How a group's expanded weights lie in memory.
struct PanelLayout {
  int64_t in = 0, stride = 0;
  int64_t ranks = 0;  // of the adapters woven in: so many columns more
  int64_t below = 0;  // and so many rows

  PanelLayout(const LinearGroup& group, const ParameterSet& parameters, Weaves weaves);
  int64_t elements(int64_t rows) const { return (rows + below) * stride; }
  /// Memory as (rows + below, stride).
  Tensor of(const Tensor& memory, int64_t rows) const;
  /// What a product reads of a piece whose rows begin with those of `panel`.
  Tensor view(const Tensor& panel, const LinearGroup& group, const WeightPiece& piece,
              Woven woven) const;
};

/// What makes a piece's share of the adapters, of a panel as above.
class WovenParts {
 public:
  WovenParts(const LinearGroup& group, const ParameterSet& parameters, const WeightPiece& piece,
             const PanelLayout& layout, const Tensor& panel, Woven woven);
  std::span<const WeavePart> parts() const { return {parts_.data(), count_}; }

 private:
  std::array<WeavePart, kMostParts> parts_{};
  size_t count_ = 0;
};

/// A piece into out (count,I), row stride free where it is quantised.
void expand_piece(const LinearGroup& group, const WeightPiece& piece, const Tensor& out,
                  const Moved& moved = {});

}  // namespace nibble
