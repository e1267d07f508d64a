// SPDX-License-Identifier: Apache-2.0
#include "model/device_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <type_traits>

#include "base/checked.h"
#include "base/profile.h"
#include "base/threads.h"
#include "io/memory.h"

namespace nibble {
namespace {

constexpr size_t kAlignment = Arena::kAlignment;

enum class Where { kDevice, kHost, kStays };

template <class T>
constexpr bool writable = !std::is_const_v<std::remove_reference_t<T>>;

// Goes over all weights: of a model that may not be written it counts the bytes, of another it
// places and copies them.
class Mover {
 public:
  Mover() = default;
  Mover(std::byte* memory, std::byte* host, const TensorStore* store, Device device, Stream stream)
      : device_memory_{memory},
        host_memory_{host},
        store_(store),
        device_(device),
        stream_(stream) {}

  void move(auto& model, const WeightPlacement& placement) {
    const bool may_leave = embedding_may_leave(model);
    table(model.embedding, placement.mapped_embedding && may_leave ? Where::kStays
                           : placement.host_embedding && may_leave ? Where::kHost
                                                                   : Where::kDevice);
    const auto layers = static_cast<int64_t>(model.blocks.size());
    for (int64_t l = 0; l < layers; ++l) {
      auto& b = model.blocks[static_cast<size_t>(l)];
      for (auto* t : {&b.attention_norm, &b.mlp_norm, &b.q_norm, &b.k_norm})
        table(*t, Where::kDevice);
      if (placement.streams(l, layers))
        stream(b);
      else
        for (auto* g : b.groups()) group(*g, Where::kDevice);
    }
    table(model.norm, Where::kDevice);
    weight(model.head, Where::kDevice);
    bias(model.head);
  }

  // The layer's weights one after another on the host.
  void stream(auto& b) {
    const size_t begin = host_memory_.used;
    for (auto* g : b.groups()) group(*g, Where::kHost);
    if constexpr (writable<decltype(b)>)
      b.streamed = {host_memory_.at(begin), host_memory_.used - begin};
  }
  WeightBytes bytes() const { return {device_memory_.used, host_memory_.used}; }

 private:
  struct Memory {
    std::byte* start = nullptr;
    size_t used = 0;
    // While counting, no two are at one place, and none at null.
    std::byte* at(size_t offset) const {
      return start ? start + offset : reinterpret_cast<std::byte*>(kAlignment + offset);
    }
  };

  // Biases come after the weights, which are one matrix where they are dense.
  void group(auto& g, Where where) {
    for (auto& p : g.parts) weight(p, where);
    for (auto& p : g.parts) bias(p);
  }

  void table(auto& t, Where where) {
    if (t.parameter < 0) tensor(t.weight, where);
  }
  void weight(auto& p, Where where) {
    if (p.weight_parameter >= 0) return;
    tensor(p.weight, where);
    if (p.quantized) matrix(*p.quantized, where);
  }
  void bias(auto& p) {
    if (p.bias_parameter < 0) tensor(p.bias, Where::kDevice);
  }

  void tensor(auto& t, Where where) {
    if (!t || where == Where::kStays) return;
    void* at = place(t.data, t.bytes(), where);
    if constexpr (writable<decltype(t)>) {
      t.data = at;
      t.device = device_;
    }
  }

  void matrix(auto& m, Where where) {
    const int64_t elements = m.out_features * m.in_features;
    const int64_t blocks = m.block > 0 ? ceil_div(elements, m.block) : 0;
    const auto array = [&](auto& p, int64_t count, Where to) {
      using T = std::remove_reference_t<decltype(*p)>;
      if (!p) return;
      void* at = place(p, static_cast<size_t>(count) * sizeof(T), to);
      if constexpr (writable<decltype(p)>) p = static_cast<T*>(at);
    };
    array(m.codes, m.type == QuantType::kInt8 ? elements : ceil_div<int64_t>(elements, 2), where);
    array(m.absmax, blocks, where);
    array(m.absmax_codes, blocks, where);
    array(m.nested_absmax, m.nested_absmax ? ceil_div(blocks, m.nested_block) : 0, where);
    array(m.row_scale, m.out_features, where);
    // Small, and shared by many.
    array(m.code_book, 16, Where::kDevice);
    array(m.nested_map, 256, Where::kDevice);
  }

  // What is shared (tied tables, code books) is copied once. A multiple of 256 bytes leaves no gap
  // to what follows.
  void* place(const void* from, size_t bytes, Where where) {
    Memory& memory = where == Where::kHost ? host_memory_ : device_memory_;
    const auto [at, is_new] = placed_.try_emplace(from, memory.at(memory.used));
    if (!is_new) return at->second;
    if (memory.start) {
      if (where == Where::kHost)
        std::memcpy(at->second, from, bytes);
      else if (!device_.on_cuda())
        copy_mapped(at->second, from, bytes);
      else
        copy(make_tensor(at->second, Dtype::kU8, {static_cast<int64_t>(bytes)}, device_),
             make_tensor(const_cast<void*>(from), Dtype::kU8, {static_cast<int64_t>(bytes)}),
             stream_);
    }
    memory.used = round_up(memory.used + bytes, kAlignment);
    return at->second;
  }

  // By all threads, as they will read it.
  void copy_mapped(void* to, const void* from, size_t bytes) {
    constexpr int64_t kGrain = int64_t{1} << 18;
    parallel_for(static_cast<int64_t>(bytes), kGrain, [&](int64_t begin, int64_t end) {
      std::memcpy(static_cast<std::byte*>(to) + begin, static_cast<const std::byte*>(from) + begin,
                  static_cast<size_t>(end - begin));
    });
    if (store_) store_->forget(from, bytes);
  }

  Memory device_memory_, host_memory_;
  const TensorStore* store_ = nullptr;
  Device device_;
  Stream stream_;
  std::map<const void*, void*> placed_;
};

}  // namespace

bool embedding_may_leave(const Model& model) {
  return model.embedding.parameter < 0 &&
         (!model.head.weight || model.head.weight.data != model.embedding.weight.data);
}

WeightBytes weight_bytes_of(const Model& model, const WeightPlacement& placement) {
  Mover mover;
  mover.move(model, placement);
  return mover.bytes();
}

int64_t streamed_bytes(const Block& block) {
  Mover mover;
  mover.stream(block);
  return static_cast<int64_t>(mover.bytes().host);
}

WeightTally::WeightTally(const Model& model)
    : all_(weight_bytes_of(model).device),
      embedding_(embedding_may_leave(model) ? weight_bytes_of(model, {.host_embedding = true}).host
                                            : 0) {
  for (const Block& b : model.blocks) layers_.push_back(static_cast<size_t>(streamed_bytes(b)));
}

WeightBytes WeightTally::of(const WeightPlacement& placement) const {
  size_t host = placement.host_embedding ? embedding_ : 0;
  const auto layers = static_cast<int64_t>(layers_.size());
  for (int64_t l = 0; l < layers; ++l)
    if (placement.streams(l, layers)) host += layers_[static_cast<size_t>(l)];
  return {all_ - host, host};
}

Model copy_model(const Model& model, Arena& arena, const WeightPlacement& placement,
                 Stream stream) {
  const Span span(arena.device().on_cuda() ? "copy model to the device" : "copy weights");
  Model twin = model;
  const WeightBytes bytes = weight_bytes_of(model, placement);
  const Tensor room = arena.take(Dtype::kU8, {static_cast<int64_t>(bytes.device)});
  if (bytes.host > 0 && !arena.measuring())
    twin.host_memory = std::make_shared<HostMemory>(bytes.host, arena.device());
  Mover(static_cast<std::byte*>(room.data), twin.host_memory ? twin.host_memory->data() : nullptr,
        model.store.get(), arena.device(), stream)
      .move(twin, placement);
  if (!arena.measuring()) synchronize(stream);
  return twin;
}

HostWeights weights_for_decoding(const Model& model) {
  const uint64_t bytes = weight_bytes_of(model, {.mapped_embedding = true}).device;
  const uint64_t room = std::min(memory_available(), address_space_available());
  return huge_pages() && bytes <= room / 2 ? HostWeights::kCopied : HostWeights::kMapped;
}

void PlacedModel::lay_out(const Model& model, Device device, Dtype compute, const Rest& rest,
                          HostWeights weights) {
  model_ = &model;
  arena_ = make_arena(device, [&](Arena& arena) {
    stream_ = OwnedStream(arena);
    const StreamScope scope(stream_.get());
    if (device.on_cuda()) {
      model_ = &twin_.emplace(copy_model(model, arena));
      twin_->parameters.lay_out(arena, compute, false);
      if (!arena.measuring()) upload_parameters(model.parameters, twin_->parameters);
    }
    if (!device.on_cuda() && weights == HostWeights::kCopied)
      model_ = &twin_.emplace(copy_model(model, arena, {.mapped_embedding = true}));
    rest(arena, *model_);
  });
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
