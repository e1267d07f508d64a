// SPDX-License-Identifier: Apache-2.0
// nibble-quantize reads a dense model folder and writes one whose linear layers are held in 4 or 8
// bits, under bitsandbytes' names, so that transformers loads it as it stands.
//   nibble-quantize smollm2/ -o smollm2-nf4/
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "base/quote.h"
#include "cli/tool.h"
#include "io/json.h"
#include "model/side_files.h"
#include "model/weights.h"
#include "quant/quantize_folder.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, out, type = "nf4";
  int64_t block = 64;
  bool double_quant = true, report = false;
  std::vector<std::string> skip = {"lm_head"};
  Size max_shard{5'000'000'000};
};

void declare(OptionTable& table, Options& o) {
  table.positional("MODEL", o.model, "the model folder, with dense weights");
  table.out(o.out, "the quantised model folder to write").required();
  table
      .add("type", "TYPE", o.type, "nf4: 4-bit NormalFloat; fp4: 4-bit float; int8: rows in 8 bits")
      .choices({"nf4", "fp4", "int8"});
  table.add("block-size", "N", o.block, "4 bits: weights that share a scale; 32, 64, ... 4096");
  table.negatable("double-quant", o.double_quant, "4 bits: quantise the scales too");
  table.add("skip", "LIST", o.skip,
            "modules that stay dense, by name or the end or start of it; none: all are quantised");
  table.flag("report", o.report, "print each weight's error: greatest, RMS, signal to noise");
  table.add("max-shard-size", "SIZE", o.max_shard, "start a new safetensors file beyond this");
}

QuantizeOptions quantize_options(const Options& o) {
  const std::map<std::string, QuantType> types = {
      {"nf4", QuantType::kNf4}, {"fp4", QuantType::kFp4}, {"int8", QuantType::kInt8}};
  return {.type = types.at(o.type), .block = o.block, .double_quant = o.double_quant};
}

/// The linear layers of the blocks, and an untied head, less what is skipped.
std::set<std::string> selected_weights(const ModelConfig& config,
                                       const std::vector<std::string>& skip) {
  std::set<std::string> names;
  for (const WeightSpec& spec : model_weights(config)) {
    const std::string module = spec.name.substr(0, spec.name.rfind(".weight"));
    if (spec.linear && !is_skipped(module, skip)) names.insert(spec.name);
  }
  return names;
}

/// Options that would change nothing: they were meant to.
void refuse_what_is_unused(const Options& o, const ModelConfig& config, const OptionTable& table) {
  for (const char* option : {"block-size", "double-quant"})
    if (o.type == "int8" && table.given(option))
      throw UsageError(cat("--", option, ": --type=int8 has a scale a row; leave it out"));
  if (!table.given("skip") || o.skip == std::vector<std::string>{"none"}) return;
  const std::vector<WeightSpec> specs = model_weights(config);
  for (const std::string& name : o.skip) {
    const bool known = std::any_of(specs.begin(), specs.end(), [&](const WeightSpec& spec) {
      return is_skipped(spec.name.substr(0, spec.name.rfind(".weight")), {name});
    });
    if (!known && !is_skipped("lm_head", {name}))  // a tied one is no weight
      throw UsageError(cat("--skip: ", quote(name), " names no layer of the model; see ",
                           "nibble-inspect ", o.model));
  }
}

std::string report_line(const std::string& name, const QuantizationError& e, bool json) {
  if (json)
    return Json::object({{"tensor", name},
                         {"max", e.max},
                         {"rms", e.rms},
                         {"snr_db", std::isfinite(e.snr_db) ? Json(e.snr_db) : Json()}})
               .dump() +
           "\n";
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, " %11.4g %11.4g %8.2f\n", e.max, e.rms, e.snr_db);
  return name + std::string(name.size() < 48 ? 48 - name.size() : 0, ' ') + numbers;
}

void run(const Options& o, ToolContext& context) {
  const ModelConfig config = load_model(o.model).config;  // with every tensor checked against it
  refuse_what_is_unused(o, config, *context.table);
  std::vector<std::string> skip = o.skip;
  if (skip.size() == 1 && skip[0] == "none") skip.clear();
  // A tied head is the embedding and stays dense; transformers has to be told.
  if (config.tied_embeddings && !is_skipped("lm_head", skip)) skip.push_back("lm_head");
  const std::set<std::string> selected = selected_weights(config, skip);
  AtomicFolder folder(o.out);
  if (o.report && !context.json)
    write_stdout(
        "tensor                                                   max         rms   SNR dB\n");
  Progress progress(context);
  QuantizeFolder job{.source = o.model,
                     .folder = folder.working(),
                     .options = quantize_options(o),
                     .skip = skip,
                     .selects = [&](const std::string& name) { return selected.contains(name); },
                     .max_shard_bytes = o.max_shard.bytes,
                     .device = parse_device(context.device),
                     .progress =
                         [&](size_t done, size_t total, const std::string& name) {
                           if (progress.due()) progress.show(cat(done, "/", total, " ", name));
                         }};
  if (o.report)
    job.report = [&](const std::string& name, const QuantizationError& error) {
      write_stdout(report_line(name, error, context.json));
    };
  const QuantizeFolderReport report = quantize_folder(job);
  copy_side_files(o.model, folder.working());
  folder.commit();
  progress.finish(cat(report.quantized, " weights to ", o.type, ", ", report.dense,
                      " tensors dense: ", format_size(report.bytes_before), " to ",
                      format_size(report.bytes_after), " in ", o.out, "; ",
                      resources_used(context, report.device_bytes)));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-quantize",
       .summary = "hold a model's linear layers in 4 or 8 bits",
       .synopsis = "MODEL/ -o MODEL-nf4/ [OPTION...]",
       .description =
           "Quantises the linear layers of a dense model to NF4, FP4 or INT8, byte for byte as "
           "bitsandbytes does, and writes a folder that transformers and bitsandbytes load as it "
           "stands. Embedding, norms, biases and skipped modules stay dense, in the type that "
           "config.json names. Weights are streamed: memory for a few tensors is enough, and a "
           "tenth "
           "of a GiB of a GPU's, which writes the same bytes. A NaN or infinite weight is refused "
           "by name.",
       .examples = {{"nibble-quantize smollm2/ -o smollm2-nf4/",
                     "NF4 in blocks of 64 with double quantisation"},
                    {"nibble-quantize llama/ -o llama-int8/ --type=int8 --report --json",
                     "INT8, with each weight's error as JSON lines"}},
       .computes = true,
       .on_gpu = true,
       .reports = true},
      declare, run);
}
