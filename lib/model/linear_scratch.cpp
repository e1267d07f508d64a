// SPDX-License-Identifier: Apache-2.0
// What scratch the products of a linear group need, by their shapes alone.
#include <algorithm>

#include "kernels/matmul.h"
#include "model/linear.h"

namespace nibble {

int64_t linear_matmul_scratch(const LinearGroup& group, const ParameterSet& parameters, int64_t n,
                              Dtype compute, bool training, Device device) {
  if (device.on_cuda()) return 0;  // the stream has a workspace
  const int64_t in = group.in_features(), out = group.out_features();
  const int64_t width = group.lora_width(parameters);
  const Dtype panel = panel_dtype(compute);
  // Shapes without memory behind them: only sizes and types matter here.
  const auto shape = [](Dtype type, int64_t r, int64_t c) {
    return make_tensor(nullptr, type, {r, c});
  };
  int64_t most = 0;
  const auto product = [&](Tensor o, Tensor a, Tensor b, Transpose at, Transpose bt) {
    most = std::max(most, matmul_scratch_elements(
                              {.out = o, .a = a, .b = b, .a_transpose = at, .b_transpose = bt}));
  };
  const auto no = Transpose::kNo, yes = Transpose::kYes;
  for (const Dtype weight : {panel, compute}) {  // trained weights are read in the compute type
    product(shape(compute, n, out), shape(compute, n, in), shape(weight, out, in), no, yes);
    if (training)
      product(shape(compute, n, in), shape(compute, n, out), shape(weight, out, in), no, no);
  }
  if (training)
    product(shape(Dtype::kF32, out, in), shape(compute, n, out), shape(compute, n, in), yes, no);
  if (width == 0) return most;
  product(shape(compute, n, width), shape(compute, n, in), shape(compute, width, in), no, yes);
  product(shape(compute, n, out), shape(compute, n, width), shape(compute, out, width), no, yes);
  if (training) {
    product(shape(Dtype::kF32, out, width), shape(compute, n, out), shape(compute, n, width), yes,
            no);
    product(shape(compute, n, width), shape(compute, n, out), shape(compute, out, width), no, no);
    product(shape(Dtype::kF32, width, in), shape(compute, n, width), shape(compute, n, in), yes,
            no);
    product(shape(compute, n, in), shape(compute, n, width), shape(compute, width, in), no, no);
  }
  return most;
}

}  // namespace nibble
