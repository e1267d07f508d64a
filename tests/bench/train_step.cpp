// SPDX-License-Identifier: Apache-2.0
// Times QLoRA steps on random tokens, every one labelled: forward, backward and update.
//   train_step MODEL/ BATCH LENGTH STEPS none|norm|layer|sqrt bf16|f32
// Prints one JSON object: tokens/s of every step but the first, their median, and peak memory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/rng.h"
#include "base/threads.h"
#include "io/json.h"
#include "io/memory.h"
#include "model/lora.h"
#include "model/step.h"
#include "train/optimizer.h"

namespace {

using namespace nibble;
using Clock = std::chrono::steady_clock;

Batch random_batch(int64_t rows, int64_t length, int64_t vocabulary) {
  Batch batch;
  Rng rng(1);
  std::vector<int32_t> ids(static_cast<size_t>(length));
  for (int64_t r = 0; r < rows; ++r) {
    for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary)));
    batch.append(ids, {});
  }
  return batch;
}

void bench(char** argv) {
  const int64_t rows = std::atoll(argv[2]), length = std::atoll(argv[3]);
  const int64_t steps = std::atoll(argv[4]);
  const Dtype compute = std::string_view(argv[6]) == "f32" ? Dtype::kF32 : Dtype::kBf16;
  set_threads(0);
  Model model = load_model(argv[1]);
  const LoraConfig lora = {.rank = 16, .alpha = 32};
  attach_lora(model, lora);
  const StepOptions options = {.tokens = rows * length,
                               .longest = length,
                               .labelled = rows * length,
                               .compute = compute,
                               .recompute = parse_recompute(argv[5])};
  const Arena parameters = model.parameters.lay_out(Device{}, compute, true);
  std::optional<Optimizer> optimizer;
  const Arena state =
      make_arena({}, [&](Arena& a) { optimizer.emplace(OptimizerOptions{}, model.parameters, a); });
  init_trained(model, lora, 0);
  model.parameters.refresh();
  const RopeTable rope = make_rope_table(model.config.rope, model.config.head_dim, length);
  std::optional<Step> step;
  const Arena memory = make_arena({}, [&](Arena& a) { step.emplace(model, options, rope, a); });
  const Batch batch = random_batch(rows, length, model.config.vocab_size);
  const float scale = 1.0f / static_cast<float>(batch.rows.size());

  std::vector<double> speeds;
  double loss = 0.0;
  for (int64_t i = 0; i <= steps; ++i) {
    const auto start = Clock::now();
    model.parameters.zero_gradients();
    loss = step->forward_backward(batch, scale, {.micro_batch = static_cast<uint64_t>(i)}) *
           static_cast<double>(scale);
    optimizer->update(i + 1, 2e-4, 1.0);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i > 0) speeds.push_back(static_cast<double>(batch.tokens()) / seconds);
  }
  std::sort(speeds.begin(), speeds.end());
  const Json report =
      Json::object({{"tokens_per_second", Json::Array(speeds.begin(), speeds.end())},
                    {"median", speeds[speeds.size() / 2]},
                    {"loss", loss},
                    {"planned_mib", static_cast<int64_t>(memory.peak() >> 20)},
                    {"peak_rss_mib", static_cast<int64_t>(peak_rss() >> 20)}});
  std::printf("%s\n", report.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 64;
  try {
    bench(argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "train_step: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
