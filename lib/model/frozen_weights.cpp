// SPDX-License-Identifier: Apache-2.0
#include "model/frozen_weights.h"

#include <algorithm>
#include <utility>

#include "model/device_model.h"
#include "tensor/cuda.h"

namespace nibble {
namespace {

bool holds(std::span<const std::byte> range, const void* p) {
  return !range.empty() && p >= range.data() && p < range.data() + range.size();
}

}  // namespace

WeightBuffers take_weight_buffers(Arena& arena, const Model& model,
                                  const WeightPlacement& placement, Dtype compute, Ahead ahead,
                                  Weaves weaves) {
  const Device device = arena.device();
  const auto layers = static_cast<int64_t>(model.blocks.size());
  const Dtype type = panel_dtype(compute, device);
  WeightBuffers b{.weaves = weaves};
  if (placement.kept_layers > 0) b.kept.resize(static_cast<size_t>(layers * Block::kGroups));
  int64_t panel = 0, streamed = 0;
  for (int64_t l = 0; l < layers; ++l) {
    const Block& block = model.blocks[static_cast<size_t>(l)];
    if (placement.streams(l, layers)) streamed = std::max(streamed, streamed_bytes(block));
    for (const LinearGroup* g : block.groups()) {
      const int64_t rows = linear_panel_elements(*g, compute, device) / g->in_features();
      if (rows == 0) continue;
      const PanelLayout layout(*g, model.parameters, weaves);
      if (placement.keeps(l, layers))
        b.kept[static_cast<size_t>(g->number)] =
            arena.take(type, {g->out_features() + layout.below, layout.stride});
      else
        panel = std::max(panel, layout.elements(rows));
    }
  }
  if (panel > 0) b.panels[0] = arena.take(type, {panel});
  if (panel > 0 && ahead == Ahead::kYes && device.on_cuda())
    b.panels[1] = arena.take(type, {panel});
  if (streamed > 0)
    for (Tensor& t : b.layers) t = arena.take(Dtype::kU8, {streamed});
  return b;
}

FrozenWeights::FrozenWeights(const Model& model, const WeightBuffers& buffers, Dtype compute)
    : model_(model), buffers_(buffers), device_(current_stream().device) {
  for (const Block& block : model.blocks) {
    if (buffers_.kept.empty()) break;
    for (const LinearGroup* g : block.groups()) {
      const Tensor& kept = buffers_.kept[static_cast<size_t>(g->number)];
      if (!kept) continue;
      WeightPieces pieces(*g, model.parameters, compute, device_);
      const PanelLayout layout = layout_of(*g);
      while (const auto piece = pieces.next()) {
        if (piece->stored) continue;
        const Tensor panel = rows(kept, piece->begin, kept.dim(0) - piece->begin);
        expand_piece(*g, *piece, layout.view(panel, *g, *piece, Woven::kNothing));
        for (const Woven woven : {Woven::kB, Woven::kA}) {
          const WovenParts adapters(*g, model.parameters, *piece, layout, panel, woven);
          kept_adapters_.insert(kept_adapters_.end(), adapters.parts().begin(),
                                adapters.parts().end());
        }
      }
    }
  }
  if (!device_.on_cuda()) return;
  const auto make = [this](Events& events) {
    for (OwnedEvent& event : events) event = OwnedEvent(device_);
  };
  start_ = OwnedEvent(device_);
  if (buffers_.panels[1] || !kept_adapters_.empty())
    expanding_ = OwnedStream(device_, StreamUse::kCopies);  // expansion needs no scratch either
  if (!kept_adapters_.empty()) woven_ = OwnedEvent(device_);
  if (buffers_.panels[1]) {
    make(ready_);
    make(used_);
  }
  if (buffers_.layers[0]) {
    copying_ = OwnedStream(device_, StreamUse::kCopies);
    make(arrived_);
    make(drained_);
  }
}

void FrozenWeights::begin(int64_t kind) {
  if (!device_.on_cuda()) return;
  now_ = &sequences_[kind];
  at_ = 0;
  reading_ = false;
  expanded_visit_ = read_visit_ = brought_layer_ = -1;
  filled_ = {};
  weave_kept();
  if (!now_->known) {  // the first run, or one that an error ended
    *now_ = {};
    return;
  }
  if (now_->uses.empty()) return;
  start_.record(current_stream());
  if (now_->panels > 0) start_.wait(expanding_.get());
  if (!now_->visits.empty()) start_.wait(copying_.get());
  for (const int64_t first : {0, 1}) copy_in(first);
  for (const int64_t first : {0, 1}) prepare(first);
}

void FrozenWeights::weave_kept() {
  if (kept_adapters_.empty()) return;
  start_.record(current_stream());
  start_.wait(expanding_.get());
  weave({.parts = kept_adapters_}, expanding_.get());
  woven_.record(expanding_.get());
  weaving_ = true;
}

void FrozenWeights::wait_for_kept() {
  if (std::exchange(weaving_, false)) woven_.wait(current_stream());
}

void FrozenWeights::end() {
  if (!device_.on_cuda()) return;
  wait_for_kept();  // where a few rows read no panel
  CHECK(!now_->known || at_ == static_cast<int64_t>(now_->uses.size()));
  now_->known = true;
  now_ = nullptr;
}

std::span<const std::byte> FrozenWeights::streamed_at(const LinearGroup& group) const {
  return model_.blocks[static_cast<size_t>(group.number / Block::kGroups)].streamed;
}

FrozenWeights::Use FrozenWeights::use_of(const LinearGroup& group, const WeightPiece& piece,
                                         Woven woven) {
  Use use{.group = &group, .piece = piece, .woven = woven};
  const int64_t layer = group.number / Block::kGroups;
  if (!streamed_at(group).empty()) {
    if (now_->visits.empty() || now_->visits.back() != layer) now_->visits.push_back(layer);
    use.visit = static_cast<int64_t>(now_->visits.size()) - 1;
  }
  if (!piece.stored) use.panel = now_->panels++ % 2;
  return use;
}

Moved FrozenWeights::moved(const Use& use) const {
  if (use.visit < 0) return {};
  const auto visit = static_cast<size_t>(use.visit);
  const auto from = model_.blocks[static_cast<size_t>(now_->visits[visit])].streamed;
  return {.from = from.data(),
          .bytes = from.size(),
          .to = static_cast<std::byte*>(buffers_.layers[visit % 2].data)};
}

PanelLayout FrozenWeights::layout_of(const LinearGroup& group) const {
  return {group, model_.parameters, buffers_.weaves};
}

// Expands what is used into a panel.
Tensor FrozenWeights::filled(const Tensor& memory, const Use& use) const {
  const LinearGroup& group = *use.group;
  const PanelLayout layout = layout_of(group);
  const Tensor panel = layout.of(memory, use.piece.count);
  expand_piece(group, use.piece, layout.view(panel, group, use.piece, Woven::kNothing), moved(use));
  const WovenParts adapters(group, model_.parameters, use.piece, layout, panel, use.woven);
  weave({.parts = adapters.parts()});
  return layout.view(panel, group, use.piece, use.woven);
}

// A streamed weight where no order is known yet, its layer copied in turn.
Tensor FrozenWeights::brought(const LinearGroup& group, const Tensor& stored) {
  const int64_t layer = group.number / Block::kGroups;
  const auto from = streamed_at(group);
  const Moved layer_here = {.from = from.data(),
                            .bytes = from.size(),
                            .to = static_cast<std::byte*>(buffers_.layers[0].data)};
  if (layer != brought_layer_)
    cuda::copy(layer_here.to, layer_here.from, layer_here.bytes, current_stream());
  brought_layer_ = layer;
  Tensor here = stored;
  here.data = layer_here(static_cast<std::byte*>(stored.data));
  return here;
}

// Layer number `visit` of the run into its buffer, once what lay there has been read.
void FrozenWeights::copy_in(int64_t visit) {
  const std::vector<int64_t>& visits = now_->visits;
  if (visit >= static_cast<int64_t>(visits.size())) return;
  const auto v = static_cast<size_t>(visit);
  if (visit >= 2) {
    if (visits[v] == visits[v - 2]) return;  // where the backward pass begins it is still there
    drained_[v % 2].wait(copying_.get());
  }
  const auto layer = model_.blocks[static_cast<size_t>(visits[v])].streamed;
  cuda::copy(buffers_.layers[v % 2].data, layer.data(), layer.size(), copying_.get());
  arrived_[v % 2].record(copying_.get());
}

// Expands what use number `use` of the run reads, once its panel is free.
void FrozenWeights::prepare(int64_t number) {
  if (number >= static_cast<int64_t>(now_->uses.size())) return;
  const Use& use = now_->uses[static_cast<size_t>(number)];
  if (use.panel < 0) return;
  const auto panel = static_cast<size_t>(use.panel);
  const Stream stream = expanding_.get();
  if (use.visit >= 0 && use.visit != expanded_visit_) {
    arrived_[static_cast<size_t>(use.visit % 2)].wait(stream);
    expanded_visit_ = use.visit;
  }
  if (filled_[panel]) used_[panel].wait(stream);
  filled_[panel] = true;
  const StreamScope scope(stream);
  filled(buffers_.panels[panel], use);
  ready_[panel].record(stream);
}

Tensor FrozenWeights::read(const LinearGroup& group, const WeightPiece& piece, Woven woven) {
  reading_ = false;
  const auto number = static_cast<size_t>(group.number);
  const PanelLayout layout = layout_of(group);
  if (!piece.stored && !buffers_.kept.empty() && buffers_.kept[number]) {
    const Tensor& kept = buffers_.kept[number];
    wait_for_kept();
    return layout.view(rows(kept, piece.begin, kept.dim(0) - piece.begin), group, piece, woven);
  }
  if (piece.stored && !holds(streamed_at(group), piece.stored.data)) return piece.stored;
  if (!now_ || !now_->known) {
    if (now_) now_->uses.push_back(use_of(group, piece, woven));
    if (piece.stored) return brought(group, piece.stored);
    return filled(buffers_.panels[0], {.group = &group, .piece = piece, .woven = woven});
  }
  CHECK(at_ < static_cast<int64_t>(now_->uses.size()));
  const Use& use = now_->uses[static_cast<size_t>(at_)];
  CHECK(use.group == &group && use.piece == piece && use.woven == woven);
  reading_ = true;
  if (use.panel >= 0) {
    const auto panel = static_cast<size_t>(use.panel);
    ready_[panel].wait(current_stream());
    return layout.view(layout.of(buffers_.panels[panel], piece.count), group, piece, woven);
  }
  if (use.visit != read_visit_) {
    arrived_[static_cast<size_t>(use.visit % 2)].wait(current_stream());
    read_visit_ = use.visit;
  }
  Tensor stored = piece.stored;
  stored.data = moved(use)(static_cast<std::byte*>(stored.data));
  return stored;
}

void FrozenWeights::done() {
  if (!reading_) return;
  reading_ = false;
  const std::vector<Use>& uses = now_->uses;
  const Use& use = uses[static_cast<size_t>(at_)];
  ++at_;
  const bool last = at_ == static_cast<int64_t>(uses.size());
  if (use.panel >= 0) used_[static_cast<size_t>(use.panel)].record(current_stream());
  if (use.visit >= 0 && (last || uses[static_cast<size_t>(at_)].visit != use.visit)) {
    drained_[static_cast<size_t>(use.visit % 2)].record(current_stream());
    copy_in(use.visit + 2);
  }
  prepare(at_ + 1);
}

}  // namespace nibble
