// SPDX-License-Identifier: Apache-2.0
#include "fit/render.h"

#include "fit/choose.h"

#include <cmath>

namespace nibble {
namespace {

// Of parameters that LoRA trains, where nothing says how many.
constexpr double kTrainedShare = 0.02;

Json rules_json(const Question& q, const Target& target, const Answer& a) {
  const double p = q.parameters > 0 ? q.parameters : static_cast<double>(a.parameters);
  const double device =
      target.gpu ? target.gpu->memory_gib * 1e9 : static_cast<double>(target.limits.device);
  const double share = q.trained_share > 0                ? q.trained_share
                       : q.training && q.method == "lora" ? static_cast<double>(a.trainable) / p
                                                          : kTrainedShare;
  const TrainingRule training = rule_training32(p);
  const FineTuningRule tuning = rule_fine_tuning16(p);
  Json rules = Json::object(
      {{"parameters", p},
       {"device", target.gpu ? target.gpu->name : ""},
       {"device_bytes", device},
       {"serving_16_bits", rule_serving_bytes(p, 16)},
       {"serving_8_bits", rule_serving_bytes(p, 8)},
       {"serving_4_bits", rule_serving_bytes(p, 4)},
       {"training_32_bits", Json::object({{"weights", training.weights},
                                          {"total", training.total},
                                          {"with_all_overheads", training.most}})},
       {"fine_tuning_16_bits", Json::object({{"full", tuning.full}, {"lora", tuning.lora}})},
       {"lora_parameters_if_square", rule_lora_parameters(p, static_cast<double>(q.lora.rank))}});
  Json table = Json::array();
  for (const CanItRunRow& row : can_it_run(p, share))
    table.as_array().push_back(
        Json::object({{"type", row.type},
                      {"size", row.size},
                      {"inference", row.inference},
                      {"training_adam", row.adam},
                      {"lora", row.lora},
                      {"devices_inference", devices_for(row.inference, device)},
                      {"devices_training", devices_for(row.adam, device)},
                      {"devices_lora", devices_for(row.lora, device)}}));
  rules.set("can_it_run", std::move(table));
  rules.set("trained_share", share);
  if (const auto published = published_figure(std::llround(p)))
    rules.set("published",
              Json::object({{"model", published->model},
                            {"type", published->type},
                            {"size", published->size},
                            {"inference", 1.2 * published->size},
                            {"training_adam", 4.0 * published->size},
                            {"devices_training", devices_for(4.0 * published->size, device)}}));
  return rules;
}

Json cache_json(const Question& q, const Target& target, const Model& model) {
  Json rows = Json::array();
  std::vector<int64_t> contexts;
  for (int64_t t = 1024; t < q.config.max_position; t *= 4) contexts.push_back(t);
  contexts.push_back(q.config.max_position);
  for (const int64_t batch : {int64_t{1}, int64_t{8}, int64_t{64}})
    for (const int64_t context : contexts) {
      const GeneratorSizes sizes{batch, context, q.infer.compute};
      rows.as_array().push_back(
          Json::object({{"batch", batch},
                        {"context", context},
                        {"bytes", cache_bytes(q.config, sizes)},
                        {"fits", plan_generation(model, sizes, q.train.device).total() <=
                                     target.limits.device}}));
    }
  return rows;
}

Json items_json(const MemoryPlan::Items& items) {
  Json out = Json::array();
  for (const auto& [name, bytes] : items)
    out.as_array().push_back(Json::object({{"name", name}, {"bytes", bytes}}));
  return out;
}

Json ways_json(const std::vector<Way>& ways) {
  Json out = Json::array();
  for (const Way& w : ways)
    out.as_array().push_back(
        Json::object({{"options", Json::Array(w.options.begin(), w.options.end())},
                      {"before", w.before},
                      {"same_updates", w.same_updates},
                      {"total", w.bytes},
                      {"saved", w.saved},
                      {"slower", w.slower}}));
  return out;
}

Json question_json(const Question& q) {
  Json out = Json::object({{"task", q.training ? "train" : "infer"}});
  if (!q.training) {
    out.set("batch_size", q.infer.batch_size);
    out.set("context", q.infer.context);
    return out;
  }
  out.set("method", q.method);
  if (q.method == "lora") {
    out.set("rank", q.lora.rank);
    out.set("targets", Json::Array(q.lora.targets.begin(), q.lora.targets.end()));
  }
  out.set("batch_size", q.train.batch_size);
  out.set("accumulate", q.train.accumulate);
  out.set("length", q.train.row_length);
  out.set("optimizer", optimizer_name(q.train.optimizer));
  out.set("recompute", recompute_name(q.train.recompute));
  out.set("offload_activations", q.train.offload);
  out.set("memory", memory_options(q.train));
  out.set("keep_weights", q.train.weights.kept_layers);
  out.set("stream_weights", q.train.weights.streamed_layers);
  out.set("host_embedding", q.train.weights.host_embedding);
  out.set("compute", torch_name(q.train.compute));
  return out;
}

}  // namespace

Json gpus_json(const std::vector<Gpu>& gpus) {
  Json out = Json::array();
  for (const Gpu& g : gpus)
    out.as_array().push_back(Json::object({{"name", g.name},
                                           {"memory_gib", g.memory_gib},
                                           {"bandwidth_gb", g.bandwidth_gb},
                                           {"fp32", g.fp32},
                                           {"bf16", g.bf16},
                                           {"fp16", g.fp16},
                                           {"fp8", g.fp8},
                                           {"int8", g.int8},
                                           {"compute_capability", g.compute_capability},
                                           {"year", g.year},
                                           {"kind", g.kind},
                                           {"usable_bytes", g.usable_bytes()},
                                           {"source", g.source}}));
  return out;
}

Json answer_json(const Question& q, const Target& target, const Answer& a, const Extras& extras) {
  Json out = Json::object({{"model", q.name},
                           {"parameters", a.parameters},
                           {"trainable", a.trainable},
                           {"asked", question_json(q)},
                           {"machine", target.name},
                           {"limit", target.limits.device},
                           {"fits", a.fits},
                           {"total", a.plan.total()},
                           {"plan", items_json(a.plan.items)}});
  if (!a.plan.host.empty()) {
    out.set("host", items_json(a.plan.host));
    out.set("host_total", a.plan.host_total());
    out.set("host_limit", target.limits.host);
  }
  if (!a.fits) out.set("ways", ways_json(a.ways));
  for (const auto& [name, largest] : extras.largest) {
    out.set("largest_" + name, largest.value);
    if (!largest.memory.empty()) out.set("largest_" + name + "_with", largest.memory);
  }
  if (!extras.models.empty()) {
    Json models = Json::array();
    for (const ModelFit& m : extras.models)
      models.as_array().push_back(Json::object({{"name", m.name},
                                                {"parameters", m.parameters},
                                                {"total", m.bytes},
                                                {"fits", m.fits},
                                                {"memory", m.memory}}));
    out.set("models", std::move(models));
  }
  if (!q.training) out.set("cache", cache_json(q, target, prepare(q)));
  if (a.prediction) {
    const Prediction& p = *a.prediction;
    Json predicted =
        Json::object({{"step_seconds", p.seconds}, {"tokens_per_second", p.tokens_per_second}});
    if (!q.training) predicted.set("prompt_tokens_per_second", p.prompt_tokens_per_second);
    if (p.run_seconds > 0) predicted.set("run_seconds", p.run_seconds);
    if (p.cost > 0) predicted.set("cost", p.cost);
    out.set("predicted", std::move(predicted));
    out.set("rates", Json::object({{"matmul_flops", target.rates.matmul_flops},
                                   {"memory_bytes", target.rates.memory_bytes},
                                   {"measured", target.rates.vector_flops > 0}}));
  }
  out.set("rules_of_thumb", rules_json(q, target, a));
  out.set("assumes", Json::Array(a.assumptions.begin(), a.assumptions.end()));
  return out;
}

}  // namespace nibble
