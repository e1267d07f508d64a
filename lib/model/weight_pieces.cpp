// SPDX-License-Identifier: Apache-2.0
#include "model/weight_pieces.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"

namespace nibble {
namespace {

constexpr int64_t kPanelElements = int64_t{1} << 24;  // 64 MiB of f32
// 64 MiB of bf16: a product of some thousand rows with so many columns still fills a GPU, and two
// panels, one read while the other is written, cost little beside the model.
constexpr int64_t kCudaPanelElements = int64_t{1} << 25;
constexpr int64_t kPieceRows = 64;  // pieces are multiples of this where they can be
constexpr int64_t kRowUnit = 64;    // elements: 128 bytes of bf16, a line of a GPU's cache

// Of `rows` in a run, those of one piece: as few pieces as fit, of nearly one size.
int64_t piece_rows(int64_t rows, int64_t in, Device device) {
  const int64_t room =
      std::max<int64_t>(1, (device.on_cuda() ? kCudaPanelElements : kPanelElements) / in);
  if (rows <= room) return rows;
  return std::min(room, round_up(ceil_div(rows, ceil_div(rows, room)), kPieceRows));
}

}  // namespace

Dtype panel_dtype(Dtype compute, Device device) {
  return compute == Dtype::kBf16 && (device.on_cuda() || cpu_has_bf16_matmul()) ? Dtype::kBf16
                                                                                : Dtype::kF32;
}

bool expands(const Projection& p, Dtype compute, Device device) {
  return p.weight_parameter < 0 && (p.quantized || p.weight.dtype != panel_dtype(compute, device));
}

int64_t linear_panel_elements(const LinearGroup& group, Dtype compute, Device device) {
  const int64_t in = group.in_features();
  int64_t most = 0, run = 0;
  for (size_t i = 0; i <= group.parts.size(); ++i) {
    if (i < group.parts.size() && expands(group.parts[i], compute, device)) {
      run += group.parts[i].out_features;
      continue;
    }
    if (run > 0) most = std::max(most, piece_rows(run, in, device));
    run = 0;
  }
  return most * in;
}

bool weavable(const LinearGroup& group) {
  return group.adapted() &&
         std::all_of(group.parts.begin(), group.parts.end(),
                     [](const Projection& p) { return p.quantized && p.weight_parameter < 0; });
}

int64_t row_with_room(int64_t width, int64_t ranks) {
  return ranks == 0 ? width : round_up(width + ranks, kRowUnit);
}

PanelLayout::PanelLayout(const LinearGroup& group, const ParameterSet& parameters, Weaves weaves)
    : in(group.in_features()) {
  if (weaves != Weaves::kNothing && weavable(group)) ranks = group.lora_width(parameters);
  if (weaves == Weaves::kBoth) below = ranks;
  stride = row_with_room(in, ranks);
}

Tensor PanelLayout::of(const Tensor& memory, int64_t rows) const {
  CHECK(memory && memory.elements() >= elements(rows));
  return make_tensor(memory.data, memory.dtype, {rows + below, stride}, memory.device);
}

Tensor PanelLayout::view(const Tensor& panel, const LinearGroup& group, const WeightPiece& piece,
                         Woven woven) const {
  const bool last = piece.begin + piece.count == group.out_features();
  const int64_t more = woven == Woven::kA && last ? below : 0;
  return columns(rows(panel, 0, piece.count + more), 0, in + (woven == Woven::kB ? ranks : 0));
}

WovenParts::WovenParts(const LinearGroup& group, const ParameterSet& parameters,
                       const WeightPiece& piece, const PanelLayout& layout, const Tensor& panel,
                       Woven woven) {
  if (layout.ranks == 0 || woven == Woven::kNothing) return;
  CHECK(group.parts.size() <= kMostParts);
  const bool last = piece.begin + piece.count == group.out_features();
  int64_t column = 0, rank_at = 0;
  for (const Projection& p : group.parts) {
    const int64_t rank = lora_rank(p, parameters);
    const int64_t begin = std::max(column, piece.begin);
    const int64_t end = std::min(column + p.out_features, piece.begin + piece.count);
    if (woven == Woven::kB && begin < end) {
      WeavePart& part = parts_[count_++];
      part.out = columns(rows(panel, begin - piece.begin, end - begin), layout.in, layout.ranks);
      if (rank > 0) part.in = rows(parameters.value(p.lora_b), begin - column, end - begin);
      part.column = rank_at;
      part.scale = p.lora_scale;
    } else if (woven == Woven::kA && last && layout.below > 0 && rank > 0) {
      parts_[count_++] = {.out = columns(rows(panel, piece.count + rank_at, rank), 0, layout.in),
                          .in = parameters.value(p.lora_a)};
    }
    column += p.out_features;
    rank_at += rank;
  }
}

WeightPieces::WeightPieces(const LinearGroup& group, const ParameterSet& parameters, Dtype compute,
                           Device device)
    : group_(group),
      parameters_(parameters),
      device_(device),
      type_(panel_dtype(compute, device)) {}

Tensor WeightPieces::stored(const Projection& p) const {
  if (p.weight_parameter >= 0) return parameters_.compute(p.weight_parameter);
  return !p.quantized && p.weight.dtype == type_ ? p.weight : Tensor{};
}

std::optional<WeightPiece> WeightPieces::next() {
  const std::vector<Projection>& parts = group_.parts;
  if (column_ == expand_end_) {
    if (part_ == parts.size()) return std::nullopt;
    if (Tensor wide = stored(parts[part_])) {
      while (++part_ < parts.size()) {
        const Tensor next = stored(parts[part_]);
        if (!next || !adjoin(wide, next)) break;
        wide.shape[0] += next.dim(0);
      }
      const WeightPiece piece{column_, wide.dim(0), wide};
      column_ += piece.count;
      expand_end_ = column_;
      return piece;
    }
    for (; part_ < parts.size() && !stored(parts[part_]); ++part_)
      expand_end_ += parts[part_].out_features;
    step_ = piece_rows(expand_end_ - column_, group_.in_features(), device_);
  }
  const WeightPiece piece{column_, std::min(step_, expand_end_ - column_), {}};
  column_ += piece.count;
  return piece;
}

void expand_rows(const Projection& p, int64_t first, const Tensor& out, const Moved& moved) {
  if (!p.quantized) {
    Tensor in = rows(p.weight, first, out.dim(0));
    in.data = moved(static_cast<std::byte*>(in.data));
    return cast({.out = out, .in = in});
  }
  QuantizedMatrix m = *p.quantized;
  m.codes = moved(m.codes);
  m.absmax = moved(m.absmax);
  m.absmax_codes = moved(m.absmax_codes);
  m.nested_absmax = moved(m.nested_absmax);
  m.row_scale = moved(m.row_scale);
  dequantize({.out = out, .matrix = m, .first_row = first});
}

void expand_piece(const LinearGroup& group, const WeightPiece& piece, const Tensor& out,
                  const Moved& moved) {
  int64_t column = 0;
  for (const Projection& p : group.parts) {
    const int64_t begin = std::max(column, piece.begin);
    const int64_t end = std::min(column + p.out_features, piece.begin + piece.count);
    if (begin < end)
      expand_rows(p, begin - column, rows(out, begin - piece.begin, end - begin), moved);
    column += p.out_features;
  }
}

}  // namespace nibble
