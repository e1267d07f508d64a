// SPDX-License-Identifier: Apache-2.0
#include "model/batch.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cross_entropy.h"
#include "tensor/graphs.h"

namespace nibble {

void Batch::clear() {
  for (auto* v : {&ids, &positions, &starts, &parents, &rows, &targets}) v->clear();
  longest = 0;
}

void Batch::append(std::span<const int32_t> tokens, std::span<const uint8_t> trained) {
  CHECK(trained.empty() || trained.size() == tokens.size());
  if (tokens.empty()) return;
  if (starts.empty()) starts.push_back(0);
  const auto base = static_cast<int32_t>(ids.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(tokens[i]);
    positions.push_back(static_cast<int32_t>(i));
    if (i == 0 || (!trained.empty() && !trained[i])) continue;
    rows.push_back(base + static_cast<int32_t>(i) - 1);
    targets.push_back(tokens[i]);
  }
  starts.push_back(static_cast<int32_t>(ids.size()));
  longest = std::max(longest, static_cast<int64_t>(tokens.size()));
}

int32_t Batch::append_after(int32_t parent, std::span<const int32_t> tokens) {
  const auto number = static_cast<int32_t>(parents.size());
  CHECK(!tokens.empty() && parent >= -1 && parent < number);
  if (starts.empty()) starts.push_back(0);
  CHECK(sequences() == number);
  const auto last = parent < 0 ? 0 : static_cast<size_t>(starts[static_cast<size_t>(parent) + 1]);
  const int32_t first = parent < 0 ? 0 : positions[last - 1] + 1;
  for (size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(tokens[i]);
    positions.push_back(first + static_cast<int32_t>(i));
  }
  starts.push_back(static_cast<int32_t>(ids.size()));
  parents.push_back(parent);
  longest = std::max(longest, static_cast<int64_t>(positions.back()) + 1);
  return number;
}

void Batch::append(const PackedRow& row) {
  const size_t sequences = row.starts.size();
  for (size_t s = 0; s < sequences; ++s) {
    const auto begin = static_cast<size_t>(row.starts[s]);
    const size_t end =
        s + 1 < sequences ? static_cast<size_t>(row.starts[s + 1]) : row.tokens.size();
    append(std::span(row.tokens).subspan(begin, end - begin),
           std::span(row.trained).subspan(begin, end - begin));
  }
}

BatchShape filled_shape(const Batch& batch, const BatchShape& most) {
  constexpr int64_t kTokenUnit = 64, kRowUnit = 16, kSequenceUnit = 64;
  BatchShape shape;
  // Packed rows are nearly full: then all batches have the most.
  const int64_t tokens = batch.tokens();
  shape.tokens = tokens > most.tokens / 8 * 7 ? most.tokens : graph_size(tokens, kTokenUnit);
  shape.tokens = std::min(shape.tokens, most.tokens);
  shape.rows = std::min(graph_size(static_cast<int64_t>(batch.rows.size()), kRowUnit), most.rows);
  const int64_t sequences = batch.sequences() + (shape.tokens > tokens ? 1 : 0);
  shape.sequences = std::min(power_of_two(std::max(sequences, kSequenceUnit)), most.sequences);
  return shape;
}

void fill_up(const Batch& batch, const BatchShape& shape, Batch& out) {
  CHECK(batch.parents.empty() && batch.tokens() <= shape.tokens);
  out = batch;
  const auto tokens = static_cast<size_t>(shape.tokens);
  out.ids.resize(tokens, 0);
  out.positions.resize(tokens, 0);
  if (batch.tokens() < shape.tokens) out.starts.push_back(static_cast<int32_t>(shape.tokens));
  CHECK(out.sequences() <= shape.sequences);
  out.starts.resize(static_cast<size_t>(shape.sequences) + 1, static_cast<int32_t>(shape.tokens));
  // Rows do not decrease; where the last token is trained, its own row is the first of equals.
  CHECK(static_cast<int64_t>(out.rows.size()) <= shape.rows);
  out.rows.resize(static_cast<size_t>(shape.rows), static_cast<int32_t>(shape.tokens) - 1);
  out.targets.resize(static_cast<size_t>(shape.rows), kNoTarget);
}

}  // namespace nibble
