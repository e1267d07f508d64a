// SPDX-License-Identifier: Apache-2.0
// nibble-merge writes a model with an adapter merged into its weights: W + scale * B A, trained
// modules and biases in place of the base's. Reads a model folder and a PEFT adapter folder.
//   nibble-merge --model=model-nf4 --adapter=adapter -o merged --type=bf16
#include "cli/tool.h"
#include "model/merge.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, adapter, out, type = "keep";
};

void declare(OptionTable& table, Options& o) {
  table.add("model", "DIR", o.model, "the base model's folder").required().also({"base-model"});
  table.add("adapter", "DIR", o.adapter, "the adapter's folder").required().also({"lora"});
  table.out(o.out, "the model folder to write").required();
  table
      .add("type", "TYPE", o.type,
           "of the weights; keep: as the base stores them, quantised ones quantised again")
      .choices({"keep", "f32", "f16", "bf16", "nf4", "fp4", "int8"})
      .also({"dtype"});
}

void run(const Options& o, ToolContext& context) {
  Progress progress(context);
  const MergeReport report =
      merge_adapter(o.model, o.adapter, o.out,
                    {.type = o.type,
                     .device = parse_device(context.device),
                     .progress = [&](size_t done, size_t total, const std::string& name) {
                       if (progress.due()) progress.show(cat(done, "/", total, " ", name));
                     }});
  progress.finish(cat(o.out, ": ", report.adapted, " layers merged, ", report.replaced,
                      " tensors replaced; ", report.tensors, " tensors, ",
                      format_size(report.bytes), "; ",
                      resources_used(context, report.device_bytes)));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-merge",
       .summary = "merge a LoRA adapter into its base model",
       .synopsis = "--model=DIR --adapter=DIR -o MODEL/ [--type=TYPE]",
       .description =
           "Adds the adapter's products to the weights of the layers it adapts, computed in f32 "
           "and rounded once, and puts modules and biases that were trained in full in place of "
           "the base's. The result needs no adapter: transformers and llama.cpp load it, and "
           "nibble-quantize and nibble-export take it. A quantised base is dequantised "
           "(--type=bf16) or quantised again (--type=keep), which rounds the adapter as well. "
           "Weights are streamed; on a GPU too, whose memory need not hold a layer.",
       .examples = {{"nibble-merge --model=model --adapter=adapter -o merged",
                     "a dense model, in the base's own type"},
                    {"nibble-merge --model=model-nf4 --adapter=adapter -o merged --type=bf16",
                     "a 4-bit base, dequantised"}},
       .computes = true,
       .on_gpu = true},
      declare, run);
}
