// SPDX-License-Identifier: Apache-2.0
// Linear layers: Y = X W^T + b + scale * dropout(X) A^T B^T, W dense or quantised, frozen or
// trained, with or without a LoRA adapter (Hu et al. 2021). Projections that read the same X
// (q/k/v, gate/up) form one group: their weights are one wide panel, their outputs lie side by side
// and their adapters' A lie one under another, so that each is one product.
//
// Frozen weights that the matmul cannot read as they are (4-bit codes; bf16 where the processor has
// no bf16 product) are expanded into a panel in scratch, piece by piece (weight_pieces.h), forward
// and again backward, unless they are kept so (frozen_weights.h).
//
// On a GPU, where a product takes its operands from memory and results go there, a step carries the
// adapters of quantised groups inside the products of their weights:
//   Y = [X | X A^T] [W | scale B]^T,  dX = [dY | scale dY B] [W ; A]
// For that X A^T lies right of X, and scale dY B right of dY, in rows with room for them. Dropout
// masks the adapters' share of dX, each part's by itself: then it is added afterwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/dequantize.h"
#include "model/parameters.h"
#include "tensor/tensor.h"

namespace nibble {

class FrozenWeights;

/// One linear layer. Tensors are views of mapped files; an index of -1 means "not trained".
struct Projection {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  int64_t out_features = 0, in_features = 0;
  Tensor weight;  // (O,I) f32|bf16|f16; absent when quantised
  std::optional<QuantizedMatrix> quantized;
  Tensor bias;  // (O) f32|bf16|f16; absent: none
  int weight_parameter = -1, bias_parameter = -1;
  int lora_a = -1, lora_b = -1;  // (R,I), (O,R)
  float lora_scale = 0.0f;
  uint64_t dropout_stream = 0;  // names this layer's masks
};

/// The rank of a layer's adapter, 0 without one.
int64_t lora_rank(const Projection& projection, const ParameterSet& parameters);

inline constexpr size_t kMostParts = 3;  // of a group

struct LinearGroup {
  std::vector<Projection> parts;
  int64_t number = -1;  // among all groups of the blocks, in their order
  int64_t in_features() const { return parts.front().in_features; }
  int64_t out_features() const;
  /// Sum of the adapters' ranks, 0 without adapters.
  int64_t lora_width(const ParameterSet& parameters) const;
  bool adapted() const;
};

/// In which passes the adapters ride in the products of the frozen weights' panels.
enum class Weaves : uint8_t { kNothing, kForward, kBoth };

/// How a group computes; the same for all layers of a model.
struct LinearContext {
  const ParameterSet* parameters = nullptr;
  Dtype compute = Dtype::kBf16;
  float dropout = 0.0f;             // of the adapters' inputs; 0 when not training
  uint64_t seed = 0;                // of the dropout masks
  Tensor draw;                      // (1) i32 names the micro-batch's masks
  FrozenWeights* frozen = nullptr;  // where weights come from; null: the panel alone
  Weaves weaves = Weaves::kNothing;
  Tensor panel;            // (linear_panel_elements) in panel_dtype()
  Tensor lora_scratch;     // (N, widest lora_width) compute: gradients of X A^T
  Tensor dropout_scratch;  // (N, widest I) compute; absent without dropout
  Tensor matmul_scratch;   // f32
};

/// What the matmul reads weights as: bf16 where compute is bf16 and the device multiplies it, else
/// f32.
Dtype panel_dtype(Dtype compute, Device device = current_stream().device);
/// Elements of panel that a group needs: none where its weights are read as they are, else its
/// largest piece's.
int64_t linear_panel_elements(const LinearGroup& group, Dtype compute,
                              Device device = current_stream().device);

/// y written; xa (N, lora_width) written when the group is adapted: X A^T, kept for backward. With
/// Weaves::kForward or kBoth it lies right of x.
struct LinearForward {
  Tensor y;               // (N, O of all parts) f32|bf16 written
  Tensor xa;              // (N, lora_width); absent without adapters
  Tensor x;               // (N, I)
  int64_t first_row = 0;  // of the batch, where x is a part of its rows: names the dropout masks'
};
void linear_forward(const LinearGroup& group, const LinearForward& io,
                    const LinearContext& context);

/// xa alone, y unwanted.
void adapter_down(const LinearGroup& group, const LinearForward& io, const LinearContext& context);

/// Gradients of whatever is trained are added to the parameters' gradients. With Weaves::kBoth the
/// rows of dy have room for lora_width more, which are written.
struct LinearBackward {
  Tensor dx;  // (N, I) written; absent: not wanted
  Tensor dy;  // (N, O of all parts)
  Tensor x;   // (N, I); used only where A, or the weight, is trained
  Tensor xa;  // (N, lora_width) from forward
  int64_t first_row = 0;
};
void linear_backward(const LinearGroup& group, const LinearBackward& io,
                     const LinearContext& context);

/// Rows [begin, begin + count) of a projection's weight in the type the matmul reads: the stored
/// tensor where possible, else expanded into `panel`.
Tensor weight_rows(const Projection& projection, const ParameterSet& parameters, int64_t begin,
                   int64_t count, Dtype type, const Tensor& panel);
/// y = x W^T for so few rows that the weights are best read as they are stored, without a panel.
bool reads_few_rows(int64_t n);
void few_rows(const Projection& projection, const ParameterSet& parameters, const Tensor& y,
              const Tensor& x);
/// f32 elements of matmul scratch for any product that forward or backward of the group makes with
/// up to n rows.
int64_t linear_matmul_scratch(const LinearGroup& group, const ParameterSet& parameters, int64_t n,
                              Dtype compute, bool training,
                              Device device = current_stream().device);

}  // namespace nibble
