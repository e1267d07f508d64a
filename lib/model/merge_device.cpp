// SPDX-License-Identifier: Apache-2.0
#include "model/merge_device.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "model/model_writer.h"

namespace nibble {
namespace {

// Parts of arrays, one after another in memory of the host's and the device's. Each begins and ends
// where 256 bytes of its array do, or where that ends, so that wide accesses find what they find in
// the whole; pointers are such that an element has the index that it has there.
class Parts {
 public:
  Parts(std::byte* host, void* device) : host_(host), device_(static_cast<std::byte*>(device)) {}
  explicit Parts(std::nullptr_t) {}  // only counts

  /// Elements [from, to) of `all`.
  template <class T>
  void bring(const T*& array, int64_t from, int64_t to, int64_t all) {
    if (array == nullptr) return;
    const auto bytes = [](int64_t n) { return static_cast<size_t>(n) * sizeof(T); };
    const size_t begin = bytes(from) / Arena::kAlignment * Arena::kAlignment;
    const size_t end = std::min(round_up(bytes(to), Arena::kAlignment), bytes(all));
    if (host_ != nullptr) {
      const auto* in = reinterpret_cast<const std::byte*>(array);
      constexpr int64_t kGrain = int64_t{1} << 20;
      parallel_for(static_cast<int64_t>(end - begin), kGrain, [&](int64_t first, int64_t last) {
        std::memcpy(host_ + used_ + first, in + begin + first, static_cast<size_t>(last - first));
      });
      const auto at = reinterpret_cast<uintptr_t>(device_ + used_) - begin;
      array = reinterpret_cast<const T*>(at);
    }
    used_ = round_up(used_ + end - begin, Arena::kAlignment);
  }
  size_t used() const { return used_; }

 private:
  std::byte *host_ = nullptr, *device_ = nullptr;
  size_t used_ = 0;
};

// Rows [begin, begin + count) of the weight, which `p` then has.
void bring_rows(Projection& p, int64_t begin, int64_t count, Parts& parts) {
  const int64_t first = begin * p.in_features, last = first + count * p.in_features;
  if (!p.quantized) {
    const auto size = static_cast<int64_t>(dtype_bytes(p.weight.dtype));
    const auto* bytes = static_cast<const std::byte*>(p.weight.data);
    parts.bring(bytes, first * size, last * size, p.out_features * p.in_features * size);
    p.weight.data = const_cast<std::byte*>(bytes);
    return;
  }
  QuantizedMatrix& m = *p.quantized;
  const int64_t all = m.out_features * m.in_features;
  if (m.type == QuantType::kInt8) {
    parts.bring(m.codes, first, last, all);
    parts.bring(m.row_scale, begin, begin + count, m.out_features);
    return;
  }
  const int64_t blocks = ceil_div(all, m.block), block = first / m.block;
  const int64_t block_end = ceil_div(last, m.block);
  parts.bring(m.codes, first / 2, ceil_div<int64_t>(last, 2), ceil_div<int64_t>(all, 2));
  parts.bring(m.code_book, 0, 16, 16);
  parts.bring(m.absmax, block, block_end, blocks);
  parts.bring(m.absmax_codes, block, block_end, blocks);
  parts.bring(m.nested_map, 0, 256, 256);
  if (m.nested_absmax)
    parts.bring(m.nested_absmax, block / m.nested_block, ceil_div(block_end, m.nested_block),
                ceil_div(blocks, m.nested_block));
}

// What rows of the weight take, wherever they begin: each of six arrays at most 256 bytes more than
// its first rows.
size_t stored_bytes(Projection p, int64_t rows) {
  Parts parts(nullptr);
  bring_rows(p, 0, rows, parts);
  return parts.used() + 6 * Arena::kAlignment;
}

Tensor bytes_of(void* memory, size_t bytes, Device device = {}) {
  return make_tensor(memory, Dtype::kU8, {static_cast<int64_t>(bytes)}, device);
}

}  // namespace

void MergeDevice::lay_out(Arena& arena) {
  stream_ = OwnedStream(arena);
  size_t stored = 0;
  int64_t panel = 0, a = 0, b = 0;
  for (const Projection* p : model_.projections()) {
    if (p->weight_parameter >= 0 || (p->lora_a < 0 && !p->quantized)) continue;
    const int64_t rows = panel_rows(p->out_features, p->in_features);
    stored = std::max(stored, stored_bytes(*p, rows));
    panel = std::max(panel, rows * p->in_features);
    if (p->lora_a < 0) continue;
    a = std::max(a, model_.parameters.value(p->lora_a).elements());
    b = std::max(b, model_.parameters.value(p->lora_b).elements());
  }
  a_ = arena.take(Dtype::kF32, {a});
  b_ = arena.take(Dtype::kF32, {b});
  for (Lane& lane : lanes_) {
    lane.stored = arena.take(Dtype::kU8, {static_cast<int64_t>(stored)});
    lane.panel = arena.take(Dtype::kF32, {panel});
  }
  if (arena.measuring()) return;
  const size_t stored_room = Arena::room_for(lanes_[0].stored), bytes = lanes_[0].panel.bytes();
  host_ = HostMemory(2 * (stored_room + bytes), arena.device());
  std::byte* at = host_.data();
  for (Lane& lane : lanes_) {
    lane.host_stored = at;
    lane.host_panel = at + stored_room;
    at += stored_room + bytes;
    lane.done = OwnedEvent(arena.device());
  }
}

void MergeDevice::bring_adapter(const Projection& p) {
  if (adapter_ == &p) return;
  adapter_ = &p;
  const auto bring = [&](Tensor& room, int parameter) {
    const Tensor value = model_.parameters.value(parameter);
    copy(make_tensor(room.data, value.dtype, {value.dim(0), value.dim(1)}, room.device), value);
  };
  bring(a_, p.lora_a);
  bring(b_, p.lora_b);
}

void MergeDevice::start(Lane& lane, const Projection& p, int64_t begin, int64_t count) {
  lane.done.wait();  // of what was made in vain
  lane.projection = &p;
  lane.begin = begin;
  lane.count = count;
  Projection there = p;
  Parts parts(lane.host_stored, lane.stored.data);
  bring_rows(there, begin, count, parts);
  const Device device = lane.panel.device;
  const StreamScope scope(stream_.get());
  copy(bytes_of(lane.stored.data, parts.used(), device), bytes_of(lane.host_stored, parts.used()));
  const Tensor panel = make_tensor(lane.panel.data, Dtype::kF32, {count, p.in_features}, device);
  if (there.quantized) {
    dequantize({.out = panel, .matrix = *there.quantized, .first_row = begin});
  } else {
    there.weight.device = device;
    cast({.out = panel, .in = rows(there.weight, begin, count)});
  }
  if (p.lora_a >= 0) {
    bring_adapter(p);
    const int64_t rank = model_.parameters.value(p.lora_a).dim(0);
    const Tensor a = make_tensor(a_.data, Dtype::kF32, {rank, p.in_features}, device);
    const Tensor b = make_tensor(b_.data, Dtype::kF32, {p.out_features, rank}, device);
    matmul({.out = panel, .a = rows(b, begin, count), .b = a, .alpha = p.lora_scale, .beta = 1.0f});
  }
  copy(make_tensor(lane.host_panel, Dtype::kF32, {count, p.in_features}), panel);
  lane.done.record(stream_.get());
}

void MergeDevice::fill(const Projection& p, int64_t begin, const Tensor& out) {
  const int64_t count = out.dim(0), end = begin + count;
  Lane &lane = lanes_[next_], &other = lanes_[1 - next_];
  if (lane.projection != &p || lane.begin != begin || lane.count != count)
    start(lane, p, begin, count);
  if (end < p.out_features) start(other, p, end, std::min(count, p.out_features - end));
  lane.done.wait();
  lane.projection = nullptr;
  std::memcpy(out.data, lane.host_panel, out.bytes());
  next_ = 1 - next_;
}

}  // namespace nibble
