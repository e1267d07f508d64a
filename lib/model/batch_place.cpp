// SPDX-License-Identifier: Apache-2.0
#include "model/batch_place.h"

#include <algorithm>
#include <cstring>

#include "kernels/cross_entropy.h"
#include "tensor/memory.h"

namespace nibble {
namespace {

template <class T>
Tensor view_of(const std::vector<T>& v) {
  if (v.empty()) return {};
  return view(v.data(), {static_cast<int64_t>(v.size())});
}

}  // namespace

// Two in turn, so that the next batch is written while the last is on its way.
struct BatchPlace::Staging {
  struct Half {
    HostMemory memory;
    OwnedEvent copied;
  };
  Half halves[2];
  size_t turn = 0;

  Staging(size_t bytes, Device device) {
    for (Half& h : halves) h = {HostMemory(bytes, device), OwnedEvent(device)};
  }
  Half& next() {
    Half& half = halves[turn++ % 2];
    half.copied.wait();
    return half;
  }
};

BatchPlace::BatchPlace(Arena& arena, int64_t tokens, int64_t labelled) {
  if (!arena.device().on_cuda()) return;
  // Ids, positions, at most a sequence a token, noise or parents, rows and targets, two numbers.
  room_ = arena.take(Dtype::kI32, {4 * tokens + 1 + 2 * labelled + 2});
  if (!arena.measuring())
    staging_ = std::make_shared<Staging>(static_cast<size_t>(room_.elements()) * sizeof(int32_t),
                                         arena.device());
}

BatchTensors BatchPlace::put(const Batch& batch, int64_t vocabulary, const BatchTold& told) const {
  const auto known = [vocabulary](const std::vector<int32_t>& ids, int32_t least) {
    return std::all_of(ids.begin(), ids.end(),
                       [=](int32_t id) { return id >= least && id < vocabulary; });
  };
  CHECK(known(batch.ids, 0) && known(batch.targets, kNoTarget));
  if (!room_)
    return {.ids = view_of(batch.ids),
            .positions = view_of(batch.positions),
            .starts = view_of(batch.starts),
            .parents = view_of(batch.parents),
            .rows = view_of(batch.rows),
            .targets = view_of(batch.targets),
            .noise = view_of(told.noise),
            .draw = view(&told.draw, {1}),
            .grad_scale = view(&told.grad_scale, {1})};
  Staging::Half& half = staging_->next();
  auto* const host = reinterpret_cast<int32_t*>(half.memory.data());
  int64_t used = 0;
  const auto put = [&](const auto* from, size_t size) {
    static_assert(sizeof *from == sizeof *host);
    const auto count = static_cast<int64_t>(size);
    CHECK(used + count <= room_.elements());
    if (count == 0) return Tensor{};
    std::memcpy(host + used, from, size * sizeof *host);
    Tensor placed = nibble::rows(room_, used, count);
    placed.dtype = dtype_of<std::remove_cvref_t<decltype(*from)>>;
    used += count;
    return placed;
  };
  const auto put_all = [&](const auto& v) { return put(v.data(), v.size()); };
  const BatchTensors tensors = {.ids = put_all(batch.ids),
                                .positions = put_all(batch.positions),
                                .starts = put_all(batch.starts),
                                .parents = put_all(batch.parents),
                                .rows = put_all(batch.rows),
                                .targets = put_all(batch.targets),
                                .noise = put_all(told.noise),
                                .draw = put(&told.draw, 1),
                                .grad_scale = put(&told.grad_scale, 1)};
  copy(nibble::rows(room_, 0, used), view(host, {used}));
  half.copied.record(current_stream());
  return tensors;
}

}  // namespace nibble
