// SPDX-License-Identifier: Apache-2.0
// ParameterSet: everything that is trained, one tensor after another in flat fp32 storage, so that
// the optimizer, the gradient norm and a checkpoint each see one array. Matmuls read a copy in the
// compute type. Tensors start at multiples of 16 elements; the gaps stay zero.
#pragma once

#include <string>
#include <vector>

#include "kernels/optimizer.h"
#include "tensor/arena.h"

namespace nibble {

struct Parameter {
  std::string name;            // as the file it is saved in calls it
  std::vector<int64_t> shape;  // rank 1 or 2
  int64_t begin = 0, count = 0;
  bool decays = true;  // false for biases and norms: no weight decay
};

class ParameterSet {
 public:
  /// Declares a tensor and gives its index. Before lay_out.
  int add(std::string name, std::vector<int64_t> shape, bool decays);

  /// Takes storage: values and, if wanted, gradients, and a copy in `compute` unless that is f32.
  void lay_out(Arena& arena, Dtype compute, bool with_gradients);
  /// What that takes of an arena.
  size_t bytes(Dtype compute, bool with_gradients) const;
  /// Likewise in an arena of just their size, which the caller keeps.
  Arena lay_out(Device device, Dtype compute, bool with_gradients);

  const std::vector<Parameter>& all() const { return parameters_; }
  bool empty() const { return parameters_.empty(); }
  /// Trained numbers, without the gaps.
  int64_t trainable() const;
  /// Elements of the flat storage, gaps included.
  int64_t extent() const { return extent_; }

  Tensor values() const { return storage_.values; }        // (extent) f32
  Tensor gradients() const { return storage_.gradients; }  // (extent) f32
  Tensor value(int index) const { return slice(storage_.values, index); }
  Tensor gradient(int index) const { return slice(storage_.gradients, index); }
  /// What matmuls read: the value, in the compute type.
  Tensor compute(int index) const { return slice(storage_.compute, index); }
  /// Refreshes the compute copies from the values. After loading and after every update.
  void refresh() const;
  void zero_gradients() const;

  /// The optimizer's table. `weight_decay` goes to those that decay.
  std::vector<ParameterRange> segments(float weight_decay) const;

 private:
  struct Storage {
    Tensor values, gradients, compute;
  };
  Storage take(Arena& arena, Dtype compute, bool with_gradients) const;
  Tensor slice(const Tensor& flat, int index) const;
  std::vector<Parameter> parameters_;
  int64_t extent_ = 0;
  Storage storage_;
};

}  // namespace nibble
