// SPDX-License-Identifier: Apache-2.0
// weights_dump MODEL/ OUT/: every linear layer's weight as nibble computes with it, in fp32, as
// OUT/model.safetensors, for comparison with bitsandbytes' own dequantisation.
#include <cstdio>

#include "model/weights.h"

namespace {

using namespace nibble;

std::vector<float> widened(const Projection& p) {
  std::vector<float> rows(static_cast<size_t>(p.out_features * p.in_features));
  const Tensor out = view(rows.data(), {p.out_features, p.in_features});
  CHECK(p.quantized.has_value());
  dequantize({.out = out, .matrix = *p.quantized});
  return rows;
}

void dump(const std::string& folder, const std::string& out) {
  const Model model = load_model(folder);
  std::vector<const Projection*> quantized;
  for (const Projection* p : model.projections())
    if (p->quantized) quantized.push_back(p);
  if (model.head.quantized) quantized.push_back(&model.head);
  std::vector<TensorInfo> infos;
  for (const Projection* p : quantized)
    infos.push_back(
        tensor_info(p->name + ".weight", Dtype::kF32, {p->out_features, p->in_features}));
  TensorWriter writer(out, infos);
  for (const Projection* p : quantized) {
    const std::vector<float> rows = widened(*p);
    writer.write(rows.data(), rows.size() * sizeof(float));
  }
  writer.finish();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw UsageError("weights_dump MODEL/ OUT/");
    dump(argv[1], argv[2]);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
