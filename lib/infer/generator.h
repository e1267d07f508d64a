// SPDX-License-Identifier: Apache-2.0
// Batched generation. Prompts are read as one packed batch (no padding), their keys and values go
// into the cache, and then every sequence grows by a token a step; one that ends makes room for the
// next prompt at once. Buffers are laid out beforehand. On CUDA a step is one CUDA graph, sampling
// included, for every number of rows (powers of two) and every length of cache read (likewise).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "infer/sampling.h"
#include "model/weights.h"

namespace nibble {

struct GeneratorOptions {
  int64_t batch_size = 8;  // sequences that grow together
  int64_t context = 0;     // positions of cache a sequence
  int64_t max_tokens = 256;
  std::vector<int32_t> stop_ids;  // end a completion, and are not part of it
  SamplingOptions sampling;
  Dtype compute = Dtype::kBf16;
  Device device;       // what computes
  bool graphs = true;  // on CUDA, a step is one CUDA graph
};

struct Completion {
  std::vector<int32_t> tokens;
  enum class Finish : uint8_t { kStop, kLength } finish = Finish::kLength;
};

class Generator {
 public:
  /// `model` lies in the host's memory, must outlive this and stay where it is.
  Generator(const Model& model, const GeneratorOptions& options);
  ~Generator();

  /// Called after every token of prompt `index`; true ends its completion as a stop (for stop
  /// strings; the tokens stay in the completion).
  using OnToken = std::function<bool(size_t index, std::span<const int32_t> tokens)>;
  /// Called once for every prompt, as they finish.
  using OnDone = std::function<void(size_t index, Completion completion)>;

  /// Completes prompts, each of 1 to context - 1 tokens. `first_index` names the first prompt: the
  /// draws of prompt i are those of sequence first_index + i.
  void run(std::span<const std::vector<int32_t>> prompts, uint64_t first_index,
           const OnToken& on_token, const OnDone& on_done);

  /// Bytes of cache and buffers; on a device of the model's copy too.
  size_t planned_bytes() const;
  /// Positions a sequence may have.
  int64_t context() const;
  /// CUDA graphs held.
  int64_t graphs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble
