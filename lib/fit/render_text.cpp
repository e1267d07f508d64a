// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "fit/render.h"
#include "fit/text.h"

namespace nibble {
namespace {

using Rows = std::vector<std::vector<std::string>>;

double number(const Json& object, std::string_view name) {
  return object.at(name).as_number();
}

std::string list_text(const Json& items, std::string_view between) {
  std::string out;
  for (const Json& item : items.as_array())
    out += (out.empty() ? "" : std::string(between)) + item.as_string();
  return out;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g%%", 100.0 * share);
  return text;
}

std::string asked_text(const Json& asked) {
  const auto integer = [&](std::string_view name) { return asked.at(name).as_integer(); };
  if (asked.at("task").as_string() == "infer")
    return cat("infer: batch ", integer("batch_size"), ", context ", integer("context"));
  std::string out = cat("train: ", asked.at("method").as_string());
  if (asked.find("rank"))
    out += cat(" of rank ", integer("rank"), " on ", list_text(asked.at("targets"), ", "));
  return cat(out, ", batch ", integer("batch_size"), " x ", integer("length"), " tokens",
             integer("accumulate") > 1 ? cat(" x ", integer("accumulate")) : "", ", ",
             asked.at("optimizer").as_string(), ", ", asked.at("memory").as_string());
}

std::string plan_text(const Json& d) {
  Rows rows;
  for (const Json& item : d.at("plan").as_array())
    rows.push_back({item.at("name").as_string(), binary_size(number(item, "bytes"))});
  rows.push_back({"total", binary_size(number(d, "total"))});
  const Json* host = d.find("host");
  if (host) {
    for (const Json& item : host->as_array())
      rows.push_back({cat("in the host's memory: ", item.at("name").as_string()),
                      binary_size(number(item, "bytes"))});
    rows.push_back({"in the host's memory: total", binary_size(number(d, "host_total"))});
  }
  const bool fits = d.at("fits").as_bool();
  return cat("plan\n", table_text(rows), fits ? "fits" : "does not fit", " into ",
             d.at("machine").as_string(), ": ", binary_size(number(d, "limit")), " to be had",
             host ? cat(", and ", binary_size(number(d, "host_limit")), " of the host") : "", "\n");
}

std::string ways_text(const Json& d) {
  const Json* ways = d.find("ways");
  if (!ways) return {};
  if (ways->as_array().empty())
    return "nothing that can be set makes it fit; take a smaller model or a larger device\n";
  Rows rows;
  for (const Json& w : ways->as_array()) {
    std::string what = list_text(w.at("options"), " ");
    if (const std::string& before = w.at("before").as_string(); !before.empty())
      what = cat(before, what.empty() ? "" : cat(", then ", what));
    const double slower = number(w, "slower");
    const auto share = std::lround(100.0 * std::abs(slower));
    rows.push_back({what, cat("saves ", binary_size(number(w, "saved"))),
                    share == 0 ? "same time" : cat(share, slower > 0 ? "% slower" : "% faster"),
                    w.at("same_updates").as_bool() ? "same updates" : ""});
  }
  return cat("what would make it fit, cheapest first; options of nibble-train\n", table_text(rows));
}

std::string found_text(const Json& d) {
  std::string out;
  const auto with = [&](const char* what) {
    const Json* memory = d.find(cat("largest_", what, "_with"));
    return memory ? cat(", with ", memory->as_string()) : "";
  };
  for (const char* what : {"batch", "sequence", "rank"})
    if (const Json* n = d.find(cat("largest_", what)))
      out += n->as_integer() > 0
                 ? cat("largest ", what, " that fits: ", n->as_integer(), with(what), "\n")
                 : cat("no ", what, " fits\n");
  if (const Json* models = d.find("models")) {
    Rows rows;
    const std::string* largest = nullptr;
    for (const Json& m : models->as_array()) {
      const bool fits = m.at("fits").as_bool();
      rows.push_back({m.at("name").as_string(), count_text(number(m, "parameters")),
                      binary_size(number(m, "total")), fits ? "fits" : "no",
                      m.at("memory").as_string()});
      if (fits) largest = &m.at("name").as_string();
    }
    out += cat("models, so asked\n", table_text(rows),
               "largest model that fits: ", largest ? *largest : "none", "\n");
  }
  if (const Json* cache = d.find("cache")) {
    Rows rows = {{"key/value cache", "batch", "context", "bytes", ""}};
    for (const Json& c : cache->as_array())
      rows.push_back({"", cat(c.at("batch").as_integer()), cat(c.at("context").as_integer()),
                      binary_size(number(c, "bytes")), c.at("fits").as_bool() ? "fits" : "no"});
    out += table_text(rows);
  }
  return out;
}

std::string predicted_text(const Json& d) {
  const Json* p = d.find("predicted");
  if (!p) return {};
  std::string out = "predicted: ";
  if (const Json* prompts = p->find("prompt_tokens_per_second"))
    out += cat("prompts at ", count_text(prompts->as_number()), " tokens/s, completions at ");
  out += cat(count_text(number(*p, "tokens_per_second")), " tokens/s, a step in ",
             time_text(number(*p, "step_seconds")));
  if (const Json* run = p->find("run_seconds"))
    out += cat("; the run in ", time_text(run->as_number()));
  if (const Json* cost = p->find("cost")) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", cost->as_number());
    out += cat(", for ", text);
  }
  const Json& rates = d.at("rates");
  char text[64];
  std::snprintf(text, sizeof text, "%.4g TFLOP/s and %.4g GB/s",
                number(rates, "matmul_flops") / 1e12, number(rates, "memory_bytes") / 1e9);
  return cat(out, "\n  of ", text, rates.at("measured").as_bool() ? ", measured just now\n" : "\n");
}

std::string rules_text(const Json& d) {
  const Json& r = d.at("rules_of_thumb");
  const auto at = [&](std::string_view name) { return decimal_size(number(r, name)); };
  const Json &training = r.at("training_32_bits"), &tuning = r.at("fine_tuning_16_bits");
  std::string out = "rules of thumb (estimates from the number of parameters; GB are 10^9)\n";
  out += table_text({
      {"serving, P x 4 B / (32 / Q) x 1.2: 16, 8, 4 bits", at("serving_16_bits"),
       at("serving_8_bits"), at("serving_4_bits")},
      {"training at 32 bits, 24 B each: weights, all, up to",
       decimal_size(number(training, "weights")), decimal_size(number(training, "total")),
       decimal_size(number(training, "with_all_overheads"))},
      {"fine-tuning in 16 bits, 12 or 4 B each: full, LoRA", decimal_size(number(tuning, "full")),
       decimal_size(number(tuning, "lora"))},
  });
  if (d.at("asked").find("rank"))
    out += cat("  trained by LoRA, were every weight one square, 2 r sqrt(P): ",
               count_text(number(r, "lora_parameters_if_square")), "; truly ",
               count_text(number(d, "trainable")), "\n");
  Rows rows = {{"can it run", "size", "inference x 1.2", "Adam x 4",
                cat("LoRA ", percent(number(r, "trained_share"))), "devices"}};
  for (const Json& row : r.at("can_it_run").as_array())
    rows.push_back(
        {row.at("type").as_string(), decimal_size(number(row, "size")),
         decimal_size(number(row, "inference")), decimal_size(number(row, "training_adam")),
         decimal_size(number(row, "lora")),
         cat(row.at("devices_inference").as_integer(), ", ",
             row.at("devices_training").as_integer(), ", ", row.at("devices_lora").as_integer())});
  out += table_text(rows);
  const std::string& device = r.at("device").as_string();
  out += cat("  devices: of ", device.empty() ? "" : device + ", ",
             decimal_size(number(r, "device_bytes")), ", that inference, Adam and LoRA need\n");
  out += "  LoRA there: (size + share of P x 16 B) x 1.2, 16 B as Rajbhandari et al. 2020 count\n";
  if (const Json* p = r.find("published")) {
    const double size = 4.0 * number(r, "parameters");
    out +=
        cat("  published for ", p->at("model").as_string(), " in ", p->at("type").as_string(), ": ",
            decimal_size(number(*p, "size")), ", x 1.2 ", decimal_size(number(*p, "inference")),
            ", x 4 ", decimal_size(number(*p, "training_adam")), " (",
            p->at("devices_training").as_integer(), " devices); its ",
            grouped(std::llround(number(r, "parameters"))), " numbers are truly ",
            decimal_size(size), ", ", binary_size(size), "\n");
  }
  return out;
}

}  // namespace

std::string render_answer(const Json& d) {
  const double parameters = number(d, "parameters"), trainable = number(d, "trainable");
  std::string out =
      cat(d.at("model").as_string(), ": ", grouped(d.at("parameters").as_integer()), " parameters");
  if (trainable > 0)
    out += cat(", ", grouped(d.at("trainable").as_integer()), " trained (",
               percent(trainable / parameters), ")");
  out += cat("\n", asked_text(d.at("asked")), "\n\n", plan_text(d));
  for (const std::string& part : {ways_text(d), found_text(d), predicted_text(d), rules_text(d)})
    if (!part.empty()) out += "\n" + part;
  const auto& assumes = d.at("assumes").as_array();
  if (!assumes.empty()) out += "\nassumes\n";
  for (const Json& text : assumes) out += "  " + text.as_string() + "\n";
  return out;
}

std::string render_gpus(const std::vector<Gpu>& gpus) {
  const auto plain = [](double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", x);
    return std::string(text);
  };
  Rows rows = {{"name", "GiB", "GB/s", "fp32", "bf16", "fp16", "fp8", "int8", "compute", "year",
                "kind", "source"}};
  for (const Gpu& g : gpus) {
    std::vector<std::string> row = {g.name, plain(g.memory_gib), plain(g.bandwidth_gb)};
    for (const double rate : {g.fp32, g.bf16, g.fp16, g.fp8, g.int8})
      row.push_back(rate > 0 ? plain(rate) : "-");
    char compute[16];
    std::snprintf(compute, sizeof compute, "%.1f", g.compute_capability);
    row.insert(row.end(), {compute, cat(g.year), g.kind, g.source});
    rows.push_back(std::move(row));
  }
  return table_text(rows) +
         "  rates: 10^12 operations a second, dense\n"
         "  source: NVIDIA's data sheet, architecture paper or AI TOPS; cores times boost clock\n";
}

}  // namespace nibble
