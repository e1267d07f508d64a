// SPDX-License-Identifier: Apache-2.0
#include "infer/growing_rows.h"

#include <algorithm>

namespace nibble {

GrowingRows::GrowingRows(const GeneratorBuffers& b, const SamplingOptions& options)
    : sample_(sample_with(options)),
      numbers_(b.growing),
      staging_(b.growing.bytes(), b.growing.device),
      chosen_(b.growing.bytes() / kKinds, b.growing.device) {
  sample_.scratch = b.sample_scratch;
  if (!options.penalises()) return;
  seen_ = b.seen;
  seen_staging_ = HostMemory(seen_.bytes(), seen_.device);
}

Tensor GrowingRows::numbers(Kind kind, int64_t first, int64_t count) const {
  const int64_t most = numbers_.dim(1);
  CHECK(first >= 0 && first + count <= most);
  Tensor t = numbers_;
  t.data = numbers_.as<int32_t>() + kind * most + first;
  t.rank = 1;
  t.shape = {count};
  t.row_stride = 1;
  return t;
}

void GrowingRows::put(std::span<const Sequence> sequences, uint64_t first_index) {
  const auto most = static_cast<size_t>(numbers_.dim(1));
  auto* const host = reinterpret_cast<int32_t*>(staging_.data());
  std::fill_n(host, most * kKinds, 0);
  for (size_t i = 0; i < most; ++i) host[kOrder * most + i] = static_cast<int32_t>(i);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const Sequence& s = sequences[i];
    const auto length = static_cast<int32_t>(s.tokens.size());
    host[kIds * most + i] = s.tokens.back();
    host[kPositions * most + i] = length - 1;
    host[kLengths * most + i] = length;
    host[kSequences * most + i] = static_cast<int32_t>(first_index + s.index);
  }
  copy(numbers_, view(host, {kKinds, numbers_.dim(1)}));
  if (!seen_) return;
  auto* const bits = reinterpret_cast<uint32_t*>(seen_staging_.data());
  const auto words = static_cast<size_t>(seen_.dim(1));
  std::fill_n(bits, most * words, 0u);
  for (size_t i = 0; i < sequences.size(); ++i)
    for (const int32_t token : sequences[i].tokens)
      bits[i * words + static_cast<size_t>(token) / 32] |= 1u << token % 32;
  copy(seen_, view(reinterpret_cast<int32_t*>(bits), {seen_.dim(0), seen_.dim(1)}));
}

BatchTensors GrowingRows::batch(int64_t n) const {
  return {.ids = numbers(kIds, 0, n),
          .positions = numbers(kPositions, 0, n),
          .rows = numbers(kOrder, 0, n),
          .lengths = numbers(kLengths, 0, n)};
}

void GrowingRows::choose(const Tensor& logits, int64_t first) const {
  const int64_t count = logits.dim(0);
  const Tensor seen = seen_ ? rows(seen_, first, count) : Tensor{};
  const Tensor lengths = numbers(kLengths, first, count), chosen = numbers(kChosen, first, count);
  Sample op = sample_;
  op.chosen = chosen;
  op.logits = logits;
  op.lengths = lengths;
  op.sequences = numbers(kSequences, first, count);
  op.seen = seen;
  sample(op);
  advance_rows({.ids = numbers(kIds, first, count),
                .positions = numbers(kPositions, first, count),
                .lengths = lengths,
                .seen = seen,
                .chosen = chosen});
}

void GrowingRows::fetch(int64_t count) const {
  copy(view(reinterpret_cast<int32_t*>(chosen_.data()), {count}), numbers(kChosen, 0, count));
}

std::span<const int32_t> GrowingRows::chosen() const {
  synchronize();
  return {reinterpret_cast<const int32_t*>(chosen_.data()), static_cast<size_t>(numbers_.dim(1))};
}

}  // namespace nibble
