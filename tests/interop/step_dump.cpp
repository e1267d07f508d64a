// SPDX-License-Identifier: Apache-2.0
// Writes the gradients and per-token losses of one micro-batch (all rows of a shard) through a
// model and an adapter, for comparison with PEFT:
//   step_dump MODEL/ ADAPTER/ SHARD.nbp f32|bf16 OUT.safetensors
#include <cstdio>
#include <optional>

#include "data/token_rows.h"
#include "io/lines.h"
#include "model/adapter.h"
#include "model/step.h"

namespace {

using namespace nibble;

void dump(const char* model_folder, const char* adapter, const char* data, Dtype compute,
          const fs::path& out) {
  Model model = load_model(model_folder);
  attach_adapter(model, adapter);
  const Arena parameters = model.parameters.lay_out(Device{}, compute, true);
  load_adapter_weights(adapter, model);

  LineReader reader(data);
  TokenRow row;
  Batch batch;
  for (std::string_view line; reader.next(line);) {
    parse_token_row(line, model.config.vocab_size, row);
    batch.append(row.tokens, row.trained);
  }
  const StepOptions options = {.tokens = batch.tokens(),
                               .longest = batch.longest,
                               .labelled = static_cast<int64_t>(batch.rows.size()),
                               .compute = compute};
  const RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, batch.longest);
  std::optional<Step> step;
  const Arena memory = make_arena({}, [&](Arena& a) { step.emplace(model, options, rope, a); });
  model.parameters.zero_gradients();
  step->forward_backward(batch, 1.0f / static_cast<float>(batch.rows.size()), {});

  std::vector<TensorInfo> infos = {tensor_info("losses", Dtype::kF32, {options.labelled})};
  for (const Parameter& p : model.parameters.all())
    infos.push_back(tensor_info(p.name, Dtype::kF32, p.shape));
  TensorWriter writer(out, infos, {}, SIZE_MAX, "gradients");
  writer.write(step->losses().data, infos[0].bytes);
  for (const Parameter& p : model.parameters.all())
    writer.write(model.parameters.gradients().as<float>() + p.begin,
                 static_cast<size_t>(p.count) * sizeof(float));
  writer.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  try {
    dump(argv[1], argv[2], argv[3],
         std::string_view(argv[4]) == "bf16" ? Dtype::kBf16 : Dtype::kF32, argv[5]);
  } catch (const Error& error) {
    std::fprintf(stderr, "step_dump: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
