// SPDX-License-Identifier: Apache-2.0
#include "fit/figures.h"

#include <algorithm>
#include <cstdio>

#include "fit/text.h"

namespace nibble {
namespace {

// One for every size of memory that is common.
constexpr const char* kShownGpus[] = {
    "RTX 3060 Laptop", "RTX 4060",  "RTX 3060",  "RTX 4080", "RTX 4090",
    "RTX 5090",        "RTX A6000", "A100 80GB", "H200",     "B200"};

struct Method {
  const char *title, *name, *weights;
};
constexpr Method kMethods[] = {{"LoRA through NF4 weights", "lora", "nf4"},
                               {"LoRA through 16-bit weights", "lora", "none"},
                               {"all weights", "full", "none"}};

BarPanel items_panel(const Target& target, const Answer& answer) {
  BarPanel panel{.title = "memory by item",
                 .value = {.title = "bytes", .unit = Unit::kBytes, .from_zero = true},
                 .parts = {"plan"}};
  auto items = answer.plan.items;
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const auto total = static_cast<double>(answer.plan.total());
  panel.rows.push_back({"total", {total}, binary_size(total)});
  for (const auto& [name, bytes] : items) {
    const auto size = static_cast<double>(bytes);
    if (size < total / 1000.0) continue;
    panel.rows.push_back({name, {size}, binary_size(size)});
  }
  panel.marks = {{target.name, static_cast<double>(target.limits.device)}};
  return panel;
}

// The plans of a model with every way to recompute, by the time that costs.
std::vector<uint64_t> totals(Question q) {
  std::vector<uint64_t> out;
  const Model model = prepare(q);
  for (const Recompute policy : kRecomputes) {
    q.train.recompute = policy;
    out.push_back(plan(q, model).total());
  }
  return out;
}

MatrixPanel fits_panel(const Question& asked, const Method& method,
                       const std::vector<const Gpu*>& gpus) {
  MatrixPanel panel{.title = cat("does it fit, all on the device: ", method.title, ", GiB"),
                    .row_title = "model",
                    .column_title = "GPU",
                    .legend = {{Tint::kGood, "fits, nothing made again"},
                               {Tint::kFair, "fits, made again in part"},
                               {Tint::kBad, "does not fit"}}};
  for (const Gpu* gpu : gpus) panel.columns.push_back(gpu->name);
  for (const KnownModel& model : known_models()) {
    Question q = asked;
    q.training = true;
    q.method = method.name;
    q.config = model.config;
    set_quantized(q.config, method.weights);
    q.train.row_length = q.train.longest = std::min(q.train.row_length, q.config.max_position);
    q.train.device = DeviceKind::kCuda;
    q.train.weights = {};
    q.train.offload = q.train.optimizer.paged = false;
    const auto bytes = totals(q);
    std::vector<Cell> cells;
    for (const Gpu* gpu : gpus) {
      const auto fits = std::find_if(bytes.begin(), bytes.end(),
                                     [&](uint64_t n) { return n <= gpu->usable_bytes(); });
      const uint64_t shown =
          fits == bytes.end() ? *std::min_element(bytes.begin(), bytes.end()) : *fits;
      char text[32];
      const double gib = static_cast<double>(shown) / 1073741824.0;
      std::snprintf(text, sizeof text, gib < 10 ? "%.1f" : "%.0f", gib);
      cells.push_back({text, fits == bytes.end()     ? Tint::kBad
                             : fits == bytes.begin() ? Tint::kGood
                                                     : Tint::kFair});
    }
    panel.rows.push_back(model.name);
    panel.cells.push_back(std::move(cells));
  }
  return panel;
}

}  // namespace

Figure draw_answer(const Question& q, const Target& target, const Answer& answer,
                   const std::vector<Gpu>& catalogue) {
  Figure figure{.title = q.name};
  figure.subtitle = cat(answer.fits ? "fits" : "does not fit", " into ", target.name, ": ",
                        binary_size(static_cast<double>(answer.plan.total())), " of ",
                        binary_size(static_cast<double>(target.limits.device)));
  figure.panels.push_back(items_panel(target, answer));
  if (!q.training) return figure;
  std::vector<const Gpu*> gpus;
  for (const char* name : kShownGpus)
    for (const Gpu& g : catalogue)
      if (g.name == name) gpus.push_back(&g);
  // The one that was asked about is among them.
  if (target.gpu && std::none_of(gpus.begin(), gpus.end(),
                                 [&](const Gpu* g) { return g->name == target.gpu->name; }))
    gpus.push_back(&*target.gpu);
  for (const Method& method : kMethods) figure.panels.push_back(fits_panel(q, method, gpus));
  return figure;
}

}  // namespace nibble
