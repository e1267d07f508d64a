// SPDX-License-Identifier: Apache-2.0
// nibble-export reads a model folder, dense or quantised, and writes what other programs run: a
// GGUF file for llama.cpp, a dense Hugging Face folder, or an adapter alone as GGUF.
//   nibble-export smollm2/ -o smollm2.gguf --type=q8_0
#include "base/quote.h"
#include "cli/tool.h"
#include "model/export.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, out, type, adapter;
  Size max_shard{5'000'000'000};
};

void declare(OptionTable& table, Options& o) {
  table.positional("MODEL", o.model, "the model folder");
  table.out(o.out, "FILE.gguf, or a folder to write safetensors into").required();
  table
      .add("type", "TYPE", o.type,
           "type of the weights; the model's own where it is not given (an adapter: f32); folders "
           "and adapters take f32, f16 and bf16")
      .choices({"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"});
  table.add("adapter", "DIR", o.adapter, "write this adapter alone, for llama.cpp's --lora");
  table.add("max-shard-size", "SIZE", o.max_shard,
            "folders: start a new safetensors file beyond this");
}

void run(const Options& o, ToolContext& context) {
  const bool gguf = std::string_view(o.out).ends_with(".gguf");
  const bool block_type = o.type.starts_with("q");
  if (o.model.empty()) throw UsageError("no MODEL; name a model folder");
  if (!o.adapter.empty() && !gguf)
    throw UsageError(cat("--adapter writes GGUF; name the output FILE.gguf, not ", quote(o.out)));
  if (block_type && (!gguf || !o.adapter.empty()))
    throw UsageError(cat("--type=", o.type, ": folders and adapters take f32, f16 and bf16"));
  Progress progress(context);
  ExportOptions options{.max_shard_bytes = o.max_shard.bytes,
                        .progress = [&](size_t done, size_t total, const std::string& name) {
                          if (progress.due()) progress.show(cat(done, "/", total, " ", name));
                        }};
  if (!o.type.empty()) options.type = ggml_type_from_name(o.type);
  const ExportReport report = !o.adapter.empty()
                                  ? export_adapter(o.model, o.adapter, o.out, options)
                              : gguf ? export_gguf(o.model, o.out, options)
                                     : export_folder(o.model, o.out, options);
  for (const std::string& note : report.notes) context.warn(note);
  progress.finish(cat(report.tensors, " tensors, ", format_size(report.bytes), " to ", o.out));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-export",
       .summary = "write a model as GGUF or dense safetensors, or an adapter as GGUF",
       .synopsis = "MODEL/ -o FILE.gguf|DIR/ [OPTION...]",
       .description =
           "Writes a model folder as a GGUF file that llama.cpp runs, tokenizer and chat template "
           "included, or as a dense Hugging Face folder. Quantised weights are dequantised. With "
           "--adapter, writes the adapter alone for llama.cpp's --lora. With q4_0 and q4_1, "
           "embedding and head are stored as q8_0; vectors are always f32.",
       .examples = {{"nibble-export smollm2/ -o smollm2.gguf --type=q8_0", "for llama.cpp"},
                    {"nibble-export smollm2-nf4/ -o dense/ --max-shard-size=100MB",
                     "a dense folder, sharded"},
                    {"nibble-export smollm2/ --adapter=adapter/ -o adapter.gguf",
                     "an adapter for llama.cpp's --lora"}},
       .converts = true},
      declare, run);
}
