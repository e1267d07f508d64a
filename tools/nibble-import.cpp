// SPDX-License-Identifier: Apache-2.0
// nibble-import reads a model in whatever form it comes (a Hugging Face folder, a GGUF file, a
// llama2.c checkpoint) and writes a model folder: config.json, tokenizer files, safetensors.
//   nibble-import SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2/
#include "cli/tool.h"
#include "model/import.h"

namespace {

using namespace nibble;

struct Options {
  std::string source, out, dtype = "keep", tokenizer;
  Size max_shard{5'000'000'000};
};

void declare(OptionTable& table, Options& o) {
  table.positional("SOURCE", o.source,
                   "a Hugging Face folder, a .gguf file or a llama2.c .bin file");
  table.out(o.out, "the model folder to write").required();
  table
      .add("dtype", "TYPE", o.dtype,
           "type of the weights; keep: floats as they are, quantised GGUF ones as bf16")
      .choices({"keep", "f32", "f16", "bf16"});
  table.add("max-shard-size", "SIZE", o.max_shard, "start a new safetensors file beyond this");
  table.add("tokenizer", "FILE", o.tokenizer,
            "llama2.c: the vocabulary (tokenizer.bin or tokenizer.model); looked for beside the "
            "checkpoint");
}

std::optional<Dtype> dtype_option(const std::string& name) {
  if (name == "f32") return Dtype::kF32;
  if (name == "f16") return Dtype::kF16;
  if (name == "bf16") return Dtype::kBf16;
  return std::nullopt;
}

void run(const Options& o, ToolContext& context) {
  Progress progress(context);
  const ImportReport report =
      import_model(o.source, o.out,
                   {.dtype = dtype_option(o.dtype),
                    .max_shard_bytes = o.max_shard.bytes,
                    .tokenizer = o.tokenizer,
                    .progress = [&](size_t done, size_t total, const std::string& name) {
                      if (progress.due()) progress.show(cat(done, "/", total, " ", name));
                    }});
  progress.finish(cat(report.source, " (", report.config.family, ", ", report.config.layers,
                      " layers, vocabulary ", report.config.vocab_size, "): ", report.tensors,
                      " tensors, ", format_size(report.bytes), " to ", o.out, "; ",
                      resources_used()));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-import",
       .summary =
           "make a model folder of a Hugging Face folder, a GGUF file or a llama2.c checkpoint",
       .synopsis = "SOURCE -o MODEL/ [OPTION...]",
       .description =
           "Reads a LLaMA, Mistral, Qwen2 or Qwen3 model and writes it as a Hugging Face folder, "
           "tokenizer, special tokens and chat template included. Folders that transformers and "
           "bitsandbytes quantised are passed through as they are. Weights are streamed: importing "
           "needs memory for a few tensors. Anything else is refused by name.",
       .examples = {{"nibble-import SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2/",
                     "a quantised GGUF file, decoded to bf16"},
                    {"nibble-import stories260K.bin -o stories/ --tokenizer=tok512.bin",
                     "a llama2.c checkpoint"}},
       .converts = true},
      declare, run);
}
