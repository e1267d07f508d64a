// SPDX-License-Identifier: Apache-2.0
// One micro-batch through the whole model: loss and gradients. All buffers are laid out beforehand;
// a step allocates nothing. On CUDA batches are filled up to few shapes, each of which is one CUDA
// graph (tensor/graphs.h), and nothing waits until the loss is asked for. What is kept for backward
// is a choice (Chen et al. 2016):
//   none   everything
//   norm   the outputs of norms and of SwiGLU are made again from their inputs
//   layer  each block's input; its activations are made again
//   sqrt   the input of every segment of ceil(sqrt(L)) blocks
// On CUDA what is kept can leave to the host's memory (offload.h). Every choice gives the same
// bits.
#pragma once

#include <optional>
#include <string_view>

#include "model/head.h"
#include "model/offload.h"
#include "tensor/graphs.h"

namespace nibble {

enum class Recompute : uint8_t { kNone, kNorm, kLayer, kSqrt };
inline constexpr Recompute kRecomputes[] = {Recompute::kNone, Recompute::kNorm, Recompute::kSqrt,
                                            Recompute::kLayer};
Recompute parse_recompute(std::string_view name);  // throws UsageError
std::string_view recompute_name(Recompute recompute);

struct StepOptions {
  int64_t tokens = 0;    // N, at most
  int64_t longest = 0;   // longest sequence, at most
  int64_t labelled = 0;  // trained tokens of a micro-batch, at most
  Dtype compute = Dtype::kBf16;
  Recompute recompute = Recompute::kNone;
  bool training = true;
  float dropout = 0.0f;        // of adapters
  float neftune_alpha = 0.0f;  // 0: off
  WeightPlacement weights = {};
  bool graphs = true;           // on CUDA
  bool offload = false;         // what is kept for backward leaves to pinned host memory (CUDA)
  int64_t mlp_rows = kMlpRows;  // decides bits where there are more tokens
};

/// CUDA graphs held at a time: packed rows give few shapes of batches.
inline constexpr int64_t kStepGraphs = 4;

BlockSizes block_sizes(const StepOptions& options);

/// What backward makes again of each block under these options.
Remade remade(const StepOptions& options);

struct StepBuffers {
  BlockScratch scratch;
  int64_t segment = 0;                   // blocks of a segment
  int64_t checkpoints = 0;               // segments whose input is kept: all but the last
  std::vector<BlockActivations> slots;   // block l uses slot l % slots
  std::vector<Tensor> checkpoint_slots;  // (N,C), likewise
  int64_t offloaded = 0;                 // items (offload.h): blocks or checkpoints; 0: none
  size_t offload_bytes = 0;              // of an item
  Tensor dstream;                        // (N,C) gradient of the residual stream, and room
  Tensor loss;                           // (1) f64 sum since it was taken
  BatchPlace batch;
  HeadBuffers head;
};

/// Lays out everything a step needs. With a measuring arena this is the memory plan.
StepBuffers take_step_buffers(Arena& arena, const Model& model, const StepOptions& options);

class Step {
 public:
  /// `model` must outlive this and stay where it is; its parameters are laid out.
  Step(const Model& model, const StepOptions& options, const RopeTable& rope, Arena& arena);

  /// What the random draws of a micro-batch depend on.
  struct Draw {
    uint64_t seed = 0;
    uint64_t micro_batch = 0;  // counted from the start of training, below 2^28
  };

  /// Adds gradients of grad_scale * (sum of losses) to the parameters'. Does not wait.
  void add_gradients(const Batch& batch, float grad_scale, Draw draw);
  /// The sum of the losses of all batches since it was last taken. Waits.
  double take_loss();
  /// Both.
  double forward_backward(const Batch& batch, float grad_scale, Draw draw) {
    add_gradients(batch, grad_scale, draw);
    return take_loss();
  }
  /// The sum of losses, without dropout or noise.
  double forward(const Batch& batch);
  /// The logits of the batch's rows, in chunks (head.h), without dropout or noise.
  void for_logits(const Batch& batch, const LogitBody& body);
  /// Losses of the labelled rows of the last batch (M) f32.
  Tensor losses() const { return buffers_.head.losses; }
  /// CUDA graphs held.
  int64_t graphs() const { return graphs_.held(); }
  /// Why there are no more, where the driver refused one.
  const std::string& graphs_refused() const { return graphs_.refusal(); }

 private:
  enum class Pass : uint8_t { kOnly, kKept, kAgain };  // without backward, before it, within it
  void run_blocks(const BlockRun& run, int64_t begin, int64_t end, const Tensor& start, Pass pass);
  BlockActivations activations(int64_t block, int64_t n) const;
  Tensor checkpoint(int64_t index, int64_t n) const;
  /// Whether blocks leave; else the inputs of segments do.
  bool offloads_blocks() const { return offload_ && buffers_.checkpoints == 0; }
  void check(const Batch& batch) const;
  void say_noise(const Batch& batch);
  enum class Filled : bool { kNo, kYes };
  BlockRun run_of(const Batch& batch, Filled filled);
  BlockRun plain_run(const Batch& batch, Filled filled);
  Tensor forward_stream(const BlockRun& run, Pass pass);
  void there_and_back(const BlockRun& run);
  Graphs::Key key_of(const BlockRun& run, bool training) const;

  const Model& model_;
  StepOptions options_;
  const RopeTable& rope_;
  StepBuffers buffers_;
  std::unique_ptr<Offload> offload_;
  Graphs graphs_;
  Batch filled_;    // on CUDA, the batch as it is computed
  BatchTold told_;  // of the batch under way
  bool embedding_trained_ = false;
  std::optional<FrozenWeights> weights_;
  int64_t lowest_trained_ = 0;  // first block with anything trained
};

}  // namespace nibble
