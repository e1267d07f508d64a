// SPDX-License-Identifier: Apache-2.0
// How the frozen weights of the blocks reach the products of a step, wherever they lie
// (weight_placement.h). On CUDA what has to be expanded is expanded on a stream of its own, two
// pieces ahead into two panels, while the products before it run; streamed layers are copied from
// pinned host memory on a third stream, two layers ahead into two buffers. What comes next is known
// from the first run of the same kind, which does one thing after the other. All of it may be
// captured into a graph: the streams start from an event of the one that begins, and it waits for
// the last event of theirs.
//
// Adapters change between runs: a run begins with weaving them into what is kept, all groups at
// once, on the stream that expands; into a panel they are woven behind its expansion.
#pragma once

#include <array>
#include <map>
#include <span>
#include <vector>

#include "model/weight_pieces.h"
#include "model/weight_placement.h"
#include "tensor/arena.h"
#include "tensor/memory.h"

namespace nibble {

struct Model;

/// Room for expanded and for streamed weights, as PanelLayout lays them out.
struct WeightBuffers {
  std::array<Tensor, 2> panels;  // (linear_panel_elements); one is enough where nothing is ahead
  std::vector<Tensor> kept;      // by group number: all rows, absent where it is not kept
  std::array<Tensor, 2> layers;  // (bytes) u8, for streamed layers
  // Whether adapters are woven into what is expanded (weight_pieces.h).
  Weaves weaves = Weaves::kNothing;
};

/// Whether pieces are expanded ahead of the product that reads them.
enum class Ahead : bool { kNo, kYes };

WeightBuffers take_weight_buffers(Arena& arena, const Model& model,
                                  const WeightPlacement& placement, Dtype compute, Ahead ahead,
                                  Weaves weaves = Weaves::kNothing);

class FrozenWeights {
 public:
  /// Expands what is kept, on the current stream. `model` must stay; its streamed layers lie in
  /// host memory (device_model.h).
  FrozenWeights(const Model& model, const WeightBuffers& buffers, Dtype compute);
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

  /// Around everything that reads weights, on the current stream. Runs of one kind read the same
  /// weights in the same order.
  void begin(int64_t kind);
  void end();

  /// The piece, for products put on the current stream before done(). What is woven in counts only
  /// for groups that are weavable, where the buffers are made for it.
  Tensor read(const LinearGroup& group, const WeightPiece& piece, Woven woven = Woven::kNothing);
  void done();

 private:
  struct Use {
    const LinearGroup* group;
    WeightPiece piece;
    Woven woven = Woven::kNothing;
    int64_t visit = -1;  // of a streamed layer: which of the run's
    int64_t panel = -1;  // that it is expanded into; none where it is read as stored
  };
  struct Sequence {
    std::vector<Use> uses;
    std::vector<int64_t> visits;  // the streamed layers in the order they are read
    int64_t panels = 0;           // pieces expanded
    bool known = false;
  };
  using Events = std::array<OwnedEvent, 2>;

  std::span<const std::byte> streamed_at(const LinearGroup& group) const;
  Use use_of(const LinearGroup& group, const WeightPiece& piece, Woven woven);
  PanelLayout layout_of(const LinearGroup& group) const;
  Tensor filled(const Tensor& memory, const Use& use) const;
  Moved moved(const Use& use) const;
  void weave_kept();
  void wait_for_kept();
  Tensor brought(const LinearGroup& group, const Tensor& stored);
  void copy_in(int64_t visit);
  void prepare(int64_t number);

  const Model& model_;
  WeightBuffers buffers_;
  Device device_;
  std::map<int64_t, Sequence> sequences_;  // by kind
  Sequence* now_ = nullptr;
  int64_t at_ = 0;                // uses of the sequence that are done
  bool reading_ = false;          // one of them, just now
  int64_t expanded_visit_ = -1;   // the last that the expanding stream has waited for
  int64_t read_visit_ = -1;       // likewise the products' own
  int64_t brought_layer_ = -1;    // that lies in the first buffer where no order is known
  std::array<bool, 2> filled_{};  // panels, in this run
  std::vector<WeavePart> kept_adapters_;
  bool weaving_ = false;  // these, in this run, and nobody has waited for it
  OwnedStream expanding_, copying_;
  OwnedEvent start_, woven_;
  Events ready_, used_;       // of panels
  Events arrived_, drained_;  // of layer buffers
};

}  // namespace nibble
