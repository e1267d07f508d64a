// SPDX-License-Identifier: Apache-2.0
#include "model/device_model.h"

#include <map>

#include "base/checked.h"
#include "base/profile.h"

namespace nibble {
namespace {

constexpr size_t kAlignment = 256;

// Goes over all weights twice: to count their bytes, and to place and copy them.
class Mover {
 public:
  Mover(std::byte* memory, Device device, Stream stream)
      : memory_(memory), device_(device), stream_(stream) {}

  void move(Model& model) {
    table(model.embedding);
    for (Block& b : model.blocks) {
      table(b.attention_norm);
      table(b.mlp_norm);
      table(b.q_norm);
      table(b.k_norm);
      for (LinearGroup* g : {&b.qkv, &b.output, &b.gate_up, &b.down})
        for (Projection& p : g->parts) projection(p);
    }
    table(model.norm);
    projection(model.head);
  }
  size_t bytes() const { return used_; }

 private:
  void table(Table& t) { tensor(t.weight); }

  void projection(Projection& p) {
    tensor(p.weight);
    tensor(p.bias);
    if (p.quantized) matrix(*p.quantized);
  }

  void tensor(Tensor& t) {
    if (!t) return;
    t.data = place(t.data, static_cast<size_t>(t.elements()) * dtype_bytes(t.dtype));
    t.device = device_;
  }

  void matrix(QuantizedMatrix& m) {
    const int64_t elements = m.out_features * m.in_features;
    const int64_t blocks = m.block > 0 ? ceil_div(elements, m.block) : 0;
    const auto array = [&](auto*& p, int64_t count) {
      using T = std::remove_reference_t<decltype(*p)>;
      if (p) p = static_cast<T*>(place(p, static_cast<size_t>(count) * sizeof(T)));
    };
    array(m.codes, m.type == QuantType::kInt8 ? elements : ceil_div<int64_t>(elements, 2));
    array(m.code_book, 16);
    array(m.absmax, blocks);
    array(m.absmax_codes, blocks);
    array(m.nested_map, 256);
    array(m.nested_absmax, m.nested_absmax ? ceil_div(blocks, m.nested_block) : 0);
    array(m.row_scale, m.out_features);
  }

  // What is shared (tied tables, code books) is copied once. A multiple of 256 bytes leaves no gap
  // to what follows.
  void* place(const void* from, size_t bytes) {
    const auto [at, is_new] = placed_.try_emplace(from, used_);
    if (is_new) {
      if (memory_) {
        copy(make_tensor(memory_ + used_, Dtype::kU8, {static_cast<int64_t>(bytes)}, device_),
             make_tensor(const_cast<void*>(from), Dtype::kU8, {static_cast<int64_t>(bytes)}),
             stream_);
      }
      used_ = round_up(used_ + bytes, kAlignment);
    }
    // While counting, anything but null will do.
    return memory_ ? memory_ + at->second : reinterpret_cast<std::byte*>(kAlignment);
  }

  std::byte* memory_;
  Device device_;
  Stream stream_;
  size_t used_ = 0;
  std::map<const void*, size_t> placed_;
};

}  // namespace

size_t device_weight_bytes(const Model& model) {
  Model counted = model;
  Mover mover(nullptr, {}, {});
  mover.move(counted);
  return mover.bytes();
}

Model copy_model(const Model& model, Device device, Stream stream) {
  const Span span("copy model to the device");
  Model twin = model;
  const auto memory = std::make_shared<DeviceMemory>(device_weight_bytes(model), device);
  Mover(memory->data(), device, stream).move(twin);
  synchronize(stream);
  twin.device_memory = memory;
  return twin;
}

void upload_parameters(const ParameterSet& host, const ParameterSet& device) {
  CHECK(host.extent() == device.extent());
  if (host.extent() == 0) return;
  copy(device.values(), host.values());
  synchronize();
  device.refresh();
}

void download_parameters(const ParameterSet& device, const ParameterSet& host) {
  CHECK(host.extent() == device.extent());
  if (host.extent() == 0) return;
  copy(host.values(), device.values());
  synchronize();
}

}  // namespace nibble
