// SPDX-License-Identifier: Apache-2.0
#include "fit/weight_choice.h"

#include <charconv>

#include "model/device_model.h"

namespace nibble {
namespace {

int64_t layers_of(std::string_view option, std::string_view text, int64_t layers) {
  if (text == "none" || text == "auto") return 0;
  if (text == "all") return layers;
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 0 || n > layers)
    throw UsageError(cat("--", option, "=", text,
                         ": not auto, none, all or a number of the model's ", layers, " layers"));
  return n;
}

}  // namespace

WeightPlacement placement_asked(const WeightChoice& choice, const Model& model, DeviceKind device) {
  const int64_t layers = model.config.layers;
  const WeightPlacement p{.kept_layers = layers_of("keep-weights", choice.keep, layers),
                          .streamed_layers = layers_of("stream-weights", choice.stream, layers),
                          .host_embedding = choice.host_embedding};
  if (p.kept_layers + p.streamed_layers > layers)
    throw UsageError(cat("--keep-weights=", choice.keep, " and --stream-weights=", choice.stream,
                         " are more than the model's ", layers, " layers"));
  if (device != DeviceKind::kCuda && p.streamed_layers > 0)
    throw UsageError("--stream-weights is for --device=cuda; a CPU reads weights where they are");
  if (device != DeviceKind::kCuda && p.host_embedding)
    throw UsageError("--host-embedding is for --device=cuda; a CPU has all in its memory");
  if (p.host_embedding && !embedding_may_leave(model))
    throw UsageError(cat("--host-embedding: the device needs this embedding, which ",
                         model.embedding.parameter >= 0 ? "is trained" : "is the head too"));
  return p;
}

int64_t layers_to_keep(const Model& model, TrainJob job, uint64_t limit) {
  if (job.device != DeviceKind::kCuda) return 0;
  const auto fits = [&](int64_t kept) {
    job.weights.kept_layers = kept;
    return plan_training(model, job).total() <= limit;
  };
  // With all layers kept there is no panel: nearly all may need more than all.
  const int64_t most = model.config.layers - job.weights.streamed_layers;
  if (fits(most)) return most;
  int64_t good = 0, bad = most;
  while (bad - good > 1) {
    const int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

int64_t layers_to_stream(const Model& model, TrainJob job, uint64_t limit) {
  const auto needs = [&](int64_t streamed) {
    job.weights.streamed_layers = streamed;
    return plan_training(model, job).total();
  };
  const auto fits = [&](int64_t streamed) { return needs(streamed) <= limit; };
  if (job.device != DeviceKind::kCuda || fits(0)) return 0;
  int64_t bad = 0, good = model.config.layers;
  if (!fits(good)) return needs(good) < needs(0) ? good : 0;
  while (good - bad > 1) {
    const int64_t middle = good - (good - bad) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace nibble
