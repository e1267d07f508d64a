// SPDX-License-Identifier: Apache-2.0
#include "model/batch_place.h"

#include <algorithm>

namespace nibble {
namespace {

Tensor view_of(const std::vector<int32_t>& v) {
  if (v.empty()) return {};
  return view(v.data(), {static_cast<int64_t>(v.size())});
}

}  // namespace

BatchPlace::BatchPlace(Arena& arena, int64_t tokens, int64_t labelled) {
  if (!arena.device().on_cuda()) return;
  // Ids, positions, at most a sequence a token, lengths or parents (never both), rows and targets.
  room_ = arena.take(Dtype::kI32, {4 * tokens + 1 + 2 * labelled});
  if (!arena.measuring())
    staging_ = std::make_shared<HostMemory>(static_cast<size_t>(room_.elements()) * sizeof(int32_t),
                                            arena.device());
}

BatchTensors BatchPlace::put(const Batch& batch, int64_t vocabulary) const {
  const auto known = [vocabulary](const std::vector<int32_t>& ids) {
    return std::all_of(ids.begin(), ids.end(),
                       [vocabulary](int32_t id) { return id >= 0 && id < vocabulary; });
  };
  CHECK(known(batch.ids) && known(batch.targets));
  if (!room_)
    return {.ids = view_of(batch.ids),
            .positions = view_of(batch.positions),
            .starts = view_of(batch.starts),
            .parents = view_of(batch.parents),
            .rows = view_of(batch.rows),
            .targets = view_of(batch.targets),
            .lengths = view_of(batch.lengths)};
  CHECK(batch.parents.empty() || batch.lengths.empty());
  auto* const host = reinterpret_cast<int32_t*>(staging_->data());
  int64_t used = 0;
  const auto put = [&](const std::vector<int32_t>& v) {
    const auto count = static_cast<int64_t>(v.size());
    CHECK(used + count <= room_.elements());
    std::copy(v.begin(), v.end(), host + used);
    const Tensor placed = count > 0 ? nibble::rows(room_, used, count) : Tensor{};
    used += count;
    return placed;
  };
  const BatchTensors tensors = {.ids = put(batch.ids),
                                .positions = put(batch.positions),
                                .starts = put(batch.starts),
                                .parents = put(batch.parents),
                                .rows = put(batch.rows),
                                .targets = put(batch.targets),
                                .lengths = put(batch.lengths)};
  copy(nibble::rows(room_, 0, used), view(host, {used}));
  return tensors;
}

}  // namespace nibble
