// SPDX-License-Identifier: Apache-2.0
#include "fit/catalogue.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/quote.h"
#include "fit/csv.h"
#include "fit/embedded.h"
#include "fit/weight_bytes.h"
#include "model/init.h"

namespace nibble {
namespace {

// Letters and digits alone, small: how names are compared.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

Gpu read_gpu(const CsvRow& row) {
  Gpu g{.name = row.text("name"),
        .memory_gib = row.number("memory", 0.1),
        .bandwidth_gb = row.number("bandwidth", 1.0),
        .fp32 = row.number("fp32"),
        .bf16 = row.number("bf16"),
        .fp16 = row.number("fp16"),
        .fp8 = row.number("fp8"),
        .int8 = row.number("int8"),
        .compute_capability = row.number("compute", 1.0),
        .year = row.integer("year", 1990),
        .kind = row.text("kind"),
        .ecc = row.has("ecc") && row.integer("ecc") != 0,
        .source = row.has("source") ? row.text("source") : ""};
  if (folded(g.name).empty()) row.fail("no name");
  if (g.memory_gib > 1e6) row.fail("\"memory\" is more than a million GiB");
  if (g.fp32 + g.bf16 + g.fp16 <= 0.0) row.fail("no rate: one of fp32, bf16 and fp16 is needed");
  return g;
}

std::vector<Gpu> read_gpus(std::string_view text, const std::string& place) {
  std::vector<Gpu> out;
  for (const CsvRow& row : read_csv(text, place,
                                    {"name", "memory", "bandwidth", "fp32", "bf16", "fp16", "fp8",
                                     "int8", "compute", "year", "kind"}))
    out.push_back(read_gpu(row));
  return out;
}

}  // namespace

uint64_t Gpu::bytes() const {
  return static_cast<uint64_t>(memory_gib * 1073741824.0);
}

uint64_t Gpu::usable_bytes() const {
  constexpr double kBesideEcc = 15.0 / 16.0;
  return static_cast<uint64_t>(static_cast<double>(bytes()) * (ecc ? kBesideEcc : 1.0) *
                               kUsableShare);
}

Rates Gpu::rates() const {
  const double best = bf16 > 0 ? bf16 : fp16 > 0 ? fp16 : fp32;
  const bool hopper = compute_capability >= 9.0 && compute_capability < 12.0;  // or Blackwell
  // A processor issues to 128 threads a cycle, and has as many fp32 lanes, of two operations each;
  // that of 8.0, and those before 8.6, half as many (CUDA C++ Programming Guide, arithmetic
  // instructions).
  const double issued = compute_capability < 8.6 ? 1.0 : 0.5;
  return {.matmul_flops = best * 1e12,
          .memory_bytes = bandwidth_gb * 1e9,
          .attention_share = hopper ? kHopperAttentionShare : kGpuAttentionShare,
          .wgmma_share = compute_capability == 9.0 ? kWgmmaAttentionShare : 0.0,
          .launch_seconds = kLaunchSeconds,
          .gap_seconds = kGapSeconds,
          .hides_expansion = true,
          .instructions = issued * fp32 * 1e12,
          .host_bytes = compute_capability >= 9.0 ? kPcie5Bytes : kPcie4Bytes};
}

std::vector<Gpu> gpu_catalogue(const std::string& file) {
  std::vector<Gpu> all = read_gpus(kGpusCsv, "gpus.csv");
  if (file.empty()) return all;
  for (Gpu& g : read_gpus(read_text_file(file, size_t{1} << 24), file)) {
    const auto old = std::find_if(all.begin(), all.end(), [&](const Gpu& other) {
      return folded(other.name) == folded(g.name);
    });
    if (old == all.end())
      all.push_back(std::move(g));
    else
      *old = std::move(g);
  }
  return all;
}

std::vector<Gpu> filter_gpus(std::vector<Gpu> gpus, uint64_t least, uint64_t most) {
  std::erase_if(gpus,
                [&](const Gpu& g) { return g.bytes() < least || (most > 0 && g.bytes() > most); });
  return gpus;
}

const Gpu& find_gpu(const std::vector<Gpu>& catalogue, std::string_view name) {
  const std::string wanted = folded(name);
  std::vector<const Gpu*> ending, holding;
  for (const Gpu& g : catalogue) {
    const std::string one = folded(g.name);
    if (one == wanted) return g;
    if (!wanted.empty() && one.ends_with(wanted)) ending.push_back(&g);
    if (!wanted.empty() && one.find(wanted) != one.npos) holding.push_back(&g);
  }
  if (ending.size() == 1) return *ending[0];
  if (holding.size() == 1) return *holding[0];
  std::string names;
  for (const Gpu* g : holding) {
    if (names.size() > 100) break;
    names += (names.empty() ? "" : ", ") + g->name;
  }
  throw UsageError(cat("--gpu=", quote(name),
                       names.empty() ? ": not in the catalogue; --list-gpus shows it, --gpus=FILE "
                                       "adds to it"
                                     : cat(": which of these is meant: ", names, "?")));
}

const Gpu* match_device(const std::vector<Gpu>& catalogue, std::string_view driver_name,
                        uint64_t bytes) {
  const std::string device = folded(driver_name);
  const Gpu* best = nullptr;
  double best_score = 0.0;
  for (const Gpu& g : catalogue) {
    // The model's number must be there ("4090", "a100"); memory tells variants apart, the rest of
    // the name ("Ti", "Laptop") what memory cannot.
    std::string_view rest = g.name;
    double words = 0.0;
    bool all = true;
    while (!rest.empty()) {
      const size_t space = std::min(rest.find(' '), rest.size());
      const std::string word = folded(rest.substr(0, space));
      rest.remove_prefix(std::min(space + 1, rest.size()));
      if (word.ends_with("gb")) continue;
      if (device.find(word) == device.npos && word != "sxm") all = false;
      words += static_cast<double>(word.size());
    }
    const double ratio = static_cast<double>(bytes) / static_cast<double>(g.bytes());
    if (!all || ratio < 0.85 || ratio > 1.1) continue;
    if (words > best_score) {
      best_score = words;
      best = &g;
    }
  }
  return best;
}

std::vector<KnownModel> known_models() {
  std::vector<KnownModel> out;
  for (const CsvRow& row :
       read_csv(kModelsCsv, "models.csv",
                {"name", "family", "vocab_size", "hidden_size", "layers", "heads", "kv_heads",
                 "head_dim", "intermediate_size", "max_position", "tied"})) {
    const Json config = shape_config({.family = row.text("family"),
                                      .layers = row.integer("layers", 1),
                                      .hidden_size = row.integer("hidden_size", 1),
                                      .heads = row.integer("heads", 1),
                                      .kv_heads = row.integer("kv_heads", 1),
                                      .head_dim = row.integer("head_dim", 1),
                                      .intermediate_size = row.integer("intermediate_size", 1),
                                      .vocab_size = row.integer("vocab_size", 1),
                                      .max_position = row.integer("max_position", 1),
                                      .tied = row.integer("tied") != 0});
    KnownModel m{row.text("name"), parse_model_config(config, row.text("name"))};
    m.config.dtype = Dtype::kBf16;
    out.push_back(std::move(m));
  }
  std::stable_sort(out.begin(), out.end(), [](const KnownModel& a, const KnownModel& b) {
    return parameter_count(a.config) < parameter_count(b.config);
  });
  return out;
}

ModelConfig shape_of_size(double parameters) {
  if (!(parameters >= 1e6 && parameters <= 1e13))
    throw UsageError("--params: models of 1M to 10T parameters can be planned");
  // As LLaMA: heads of 128 (64 in small models), an MLP of 8/3 the width, and about a layer for
  // every 100 of width; small models tie their embeddings.
  const bool small = parameters < 1e9;
  const int64_t head = small ? 64 : 128, vocabulary = parameters < 5e7 ? 4096 : 32000;
  ModelShape best;
  double best_error = 1e300;
  for (int64_t width = 2 * head; width <= 65536; width += head) {
    const int64_t mlp = (width * 8 / 3 + 255) / 256 * 256;
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    const double block = 4.0 * real(width) * real(width) + 3.0 * real(width) * real(mlp);
    const double tables = (small ? 1.0 : 2.0) * real(vocabulary) * real(width);
    const auto layers = static_cast<int64_t>(std::llround((parameters - tables) / block));
    if (layers < 1 || layers > 1000) continue;
    const double error = std::abs(real(layers) * block + tables - parameters) / parameters;
    // A per cent of size weighs as much as a shape that is a third off.
    const double skew = std::abs(std::log(real(width) / real(layers) / 100.0)) / 30.0;
    if (error + skew >= best_error) continue;
    best_error = error + skew;
    best = {.layers = layers,
            .hidden_size = width,
            .heads = width / head,
            .intermediate_size = mlp,
            .vocab_size = vocabulary,
            .max_position = 131072,
            .tied = small};
  }
  ModelConfig config = parse_model_config(shape_config(best), "--params");
  config.dtype = Dtype::kBf16;
  return config;
}

double parse_parameters(std::string_view text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const std::string unit = folded(std::string_view(at, static_cast<size_t>(end - at)));
  const double scale = unit.empty()  ? 1.0
                       : unit == "k" ? 1e3
                       : unit == "m" ? 1e6
                       : unit == "b" ? 1e9
                       : unit == "t" ? 1e12
                                     : 0.0;
  if (error != std::errc() || scale == 0.0 || !std::isfinite(value) || value <= 0.0 || end - at > 1)
    throw UsageError(cat("--params=", quote(text), ": not a number of parameters like 7B or 350M"));
  return value * scale;
}

}  // namespace nibble
