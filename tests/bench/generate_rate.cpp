// SPDX-License-Identifier: Apache-2.0
// Times reading a prompt (head on its last row only) and decoding after it, batch 1, greedy.
//   generate_rate [--device=cpu|cuda[:N]] [--head=keep|int8|nf4] MODEL/ PROMPT-TOKENS NEW-TOKENS
//   ROUNDS
//     bf16|f32 [BATCH]
// Prints one JSON object: the median rates of some rounds after one that is not counted, and
// whether CUDA graphs were at work.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/rng.h"
#include "base/threads.h"
#include "infer/generator.h"
#include "infer/session.h"
#include "io/json.h"
#include "io/memory.h"

namespace {

using namespace nibble;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void bench(Device device, std::string_view head, int argc, char** argv) {
  const int64_t prompt_tokens = std::atoll(argv[2]), new_tokens = std::atoll(argv[3]);
  const int rounds = std::atoi(argv[4]);
  const Dtype compute = std::string_view(argv[5]) == "f32" ? Dtype::kF32 : Dtype::kBf16;
  const int64_t batch = argc > 6 ? std::atoll(argv[6]) : 1;
  set_threads(0);
  Session session;
  session.model = load_model(argv[1]);
  if (head != "keep") quantize_head(session, head);
  const Model& model = session.model;
  GeneratorOptions options;
  options.batch_size = batch;
  options.context = prompt_tokens + new_tokens + 1;
  options.max_tokens = new_tokens;
  options.compute = compute;
  options.device = device;
  options.sampling.temperature = 0.0;
  Generator generator(model, options);
  Rng rng(1);
  std::vector<std::vector<int32_t>> prompts(static_cast<size_t>(batch));
  for (auto& prompt : prompts)
    for (int64_t i = 0; i < prompt_tokens; ++i)
      prompt.push_back(
          static_cast<int32_t>(rng.below(static_cast<uint64_t>(model.config.vocab_size))));
  std::vector<double> reading, decoding;
  for (int round = 0; round <= rounds; ++round) {
    Clock::time_point first{};
    size_t firsts = 0;
    const auto start = Clock::now();
    const auto on_token = [&](size_t, std::span<const int32_t> tokens) {
      if (tokens.size() == 1 && ++firsts == prompts.size()) first = Clock::now();
      return false;
    };
    generator.run(prompts, 0, on_token, [](size_t, Completion) {});
    if (round == 0) continue;
    const double read = std::chrono::duration<double>(first - start).count();
    reading.push_back(static_cast<double>(batch * prompt_tokens) / read);
    decoding.push_back(static_cast<double>(batch * (new_tokens - 1)) / seconds_since(first));
  }
  const Json report = Json::object({{"prompt_tokens_per_second", median(reading)},
                                    {"decoded_tokens_per_second", median(decoding)},
                                    {"graphs", generator.graphs() > 0},
                                    {"peak_rss_mib", static_cast<int64_t>(peak_rss() >> 20)}});
  std::printf("%s\n", report.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::string device = "cpu", head = "keep";
  const auto take = [&](std::string_view option, std::string& value) {
    if (argc < 2 || !std::string_view(argv[1]).starts_with(option)) return;
    value = argv[1] + option.size();
    --argc, ++argv;
  };
  take("--device=", device);
  take("--head=", head);
  if (argc != 6 && argc != 7) return 64;
  try {
    bench(nibble::parse_device(device), head, argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "generate_rate: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
