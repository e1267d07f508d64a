// SPDX-License-Identifier: Apache-2.0
#include "fit/answer.h"

#include <algorithm>

#include "fit/advice.h"
#include "fit/cuda_plan.h"
#include "fit/infer_cost.h"
#include "fit/text.h"
#include "fit/weight_bytes.h"

namespace nibble {
namespace {

constexpr size_t kMostWays = 6;

double seconds_of(const Question& q, const Model& model, const Rates& rates) {
  if (q.training) return training_cost(model, q.train).seconds(rates, q.train.accumulate);
  return decoding_seconds(model, q.infer, q.train.device, rates);
}

class Ways {
 public:
  Ways(const Question& asked, const Model& model, const Target& target, uint64_t total)
      : asked_(asked),
        target_(target),
        total_(total),
        rates_(rates_or_typical(target.rates, asked.train.device)),
        now_(seconds_of(asked, model, rates_)) {}

  std::vector<Way> find() {
    if (asked_.training)
      training_ways();
    else
      inference_ways();
    std::stable_sort(out_.begin(), out_.end(), [](const Way& a, const Way& b) {
      if (a.same_updates != b.same_updates) return a.same_updates;
      return a.slower < b.slower;
    });
    if (out_.size() > kMostWays) out_.resize(kMostWays);
    return out_;
  }

 private:
  void training_ways() {
    knobs(asked_, "", {}, true);
    // What changes the result comes after what does not.
    if (!asked_.config.quantization && asked_.method == "lora") {
      Question q = asked_;
      set_quantized(q.config, "nf4");
      knobs(q, "nibble-quantize --type=nf4", {}, false);
    }
    if (asked_.method == "full") {
      Question q = asked_;
      q.method = "lora";
      knobs(q, "", {"--method=lora"}, false);
      set_quantized(q.config, "nf4");
      knobs(q, "nibble-quantize --type=nf4", {"--method=lora"}, false);
    }
    if (asked_.method == "lora" && asked_.lora.rank > 8) {
      Question q = asked_;
      q.lora.rank = 8;
      knobs(q, "", {"--rank=8"}, false);
    }
    for (int64_t length = asked_.train.row_length / 2; length >= 64; length /= 2) {
      Question q = asked_;
      q.train.row_length = q.train.longest = length;
      if (knobs(q, cat("nibble-pack --length=", length), {}, false)) break;
    }
  }

  // Adds the cheapest ways with this variant of the question; whether there was one.
  bool knobs(const Question& q, const std::string& before, std::vector<std::string> options,
             bool same) {
    const Model model = prepare(q);
    const auto found = remedies(model, q.train, target_.limits, rates_);
    const double now = seconds_of(q, model, rates_);
    for (size_t i = 0; i < std::min<size_t>(found.size(), same ? 3 : 1); ++i) {
      Way way{.options = options, .before = before, .same_updates = same, .bytes = found[i].bytes};
      way.options.insert(way.options.end(), found[i].options.begin(), found[i].options.end());
      way.slower = (found[i].slower + 1.0) * now / now_ - 1.0;
      way.saved = total_ - std::min(total_, way.bytes);
      out_.push_back(std::move(way));
    }
    return !found.empty();
  }

  void inference_ways() {
    const auto add = [&](const Question& q, const std::string& before,
                         std::vector<std::string> options) {
      const Model model = prepare(q);
      const uint64_t bytes = plan(q, model).total();
      if (bytes > target_.limits.device) return false;
      const double per_token =
          seconds_of(q, model, rates_) / static_cast<double>(q.infer.batch_size);
      const double now = now_ / static_cast<double>(asked_.infer.batch_size);
      out_.push_back({std::move(options), before, false, bytes, total_ - std::min(total_, bytes),
                      per_token / now - 1.0});
      return true;
    };
    for (const bool quantized : {false, true}) {
      if (quantized && asked_.config.quantization) break;
      Question base = asked_;
      const std::string before = quantized ? "nibble-quantize --type=nf4" : "";
      if (quantized) set_quantized(base.config, "nf4");
      if (quantized && add(base, before, {})) continue;
      for (int64_t batch = base.infer.batch_size / 2; batch > 0; batch /= 2) {
        Question q = base;
        q.infer.batch_size = batch;
        if (add(q, before, {cat("--batch-size=", batch)})) break;
      }
      for (int64_t context = base.infer.context / 2; context >= 64; context /= 2) {
        Question q = base;
        q.infer.context = context;
        if (add(q, before, {cat("--context=", context)})) break;
      }
    }
  }

  const Question& asked_;
  const Target& target_;
  uint64_t total_;
  Rates rates_;
  double now_;
  std::vector<Way> out_;
};

}  // namespace

Answer answer(const Question& q, const Model& model, const Target& target, const RunSize& run) {
  Answer a;
  a.plan = plan(q, model);
  a.parameters = parameter_count(model.config);
  a.trainable = model.parameters.trainable();
  a.fits = target.limits.hold(a.plan);
  const bool predicts = target.rates.matmul_flops > 0;
  if (!a.fits) a.ways = Ways(q, model, target, a.plan.total()).find();
  if (q.train.device == DeviceKind::kCuda) {
    a.assumptions = cuda_assumptions();
    if (!a.plan.host.empty())
      a.assumptions.push_back(cat("the host has ",
                                  binary_size(static_cast<double>(target.limits.host)),
                                  " for what leaves the device: ", target.host));
  }
  if (!predicts) return a;
  Prediction p{.seconds = seconds_of(q, model, target.rates)};
  const int64_t tokens = q.training ? q.train.tokens() * q.train.accumulate : q.infer.batch_size;
  p.tokens_per_second = static_cast<double>(tokens) / p.seconds;
  p.run_seconds = run.tokens / p.tokens_per_second;
  p.cost = p.run_seconds / 3600.0 * run.price;
  if (!q.training)
    p.prompt_tokens_per_second =
        1.0 / prompt_token_seconds(model, q.infer, q.train.device, target.rates);
  a.prediction = p;
  const StepCost cost = q.training ? training_cost(model, q.train) : StepCost{};
  for (std::string& text :
       q.training ? cost_assumptions(target.rates, cost) : generation_assumptions(target.rates))
    a.assumptions.push_back(std::move(text));
  return a;
}

std::vector<ModelFit> fit_models(const Question& asked, const Target& target) {
  std::vector<ModelFit> out;
  for (const KnownModel& known : known_models()) {
    Question q = asked;
    const auto quantization = q.config.quantization;
    q.config = known.config;
    q.config.quantization = quantization;
    const Model model = prepare(q);
    if (q.training) choose_memory(q, model, target.limits, target.rates);
    const MemoryPlan p = plan(q, model);
    out.push_back({known.name, parameter_count(known.config), p.total(), target.limits.hold(p),
                   q.training ? memory_options(q.train) : ""});
  }
  return out;
}

Extras find_extras(const Question& q, const Target& target, const std::string& what) {
  Extras extras;
  if (!q.training && what.empty())  // how far the cache may grow
    for (const auto& [name, find] :
         {std::pair{"batch", Find::kBatch}, {"sequence", Find::kSequence}})
      extras.largest.emplace_back(name, find_largest(q, find, target.limits, target.rates));
  if (what == "model") extras.models = fit_models(q, target);
  for (const auto& [name, find] :
       {std::pair{"batch", Find::kBatch}, {"sequence", Find::kSequence}, {"rank", Find::kRank}})
    if (what == name)
      extras.largest.emplace_back(name, find_largest(q, find, target.limits, target.rates));
  return extras;
}

}  // namespace nibble
