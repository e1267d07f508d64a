// SPDX-License-Identifier: Apache-2.0
// nibble-init makes a new model folder with random weights, of a shape given by options or by a
// config.json, and with a tokenizer that it trains on text or copies.
//   nibble-init --corpus=corpus.txt --vocab-size=1024 --layers=4 --hidden-size=192 -o base/
#include "base/threads.h"
#include "cli/tool.h"
#include "io/json.h"
#include "model/init.h"
#include "model/init_tokenizer.h"

namespace {

using namespace nibble;

struct Options {
  std::string out, config_json, tokenizer, dtype = "f32";
  std::vector<std::string> corpus;
  std::optional<Count> vocab_size;
  ModelShape shape;
};

void declare(OptionTable& table, Options& o) {
  table.out(o.out, "the model folder to write").required();
  table.group("Shape");
  table.add("config-json", "FILE", o.config_json,
            "a config.json to take instead of the options below");
  table.add("family", "NAME", o.shape.family, "model family")
      .choices({"llama", "mistral", "qwen2", "qwen3"})
      .also({"model-type"});
  table.add("layers", "N", o.shape.layers, "blocks").range(1, 4096).also({"num-hidden-layers"});
  table.add("hidden-size", "N", o.shape.hidden_size, "width of the residual stream")
      .range(1, 1 << 20);
  table.add("heads", "N", o.shape.heads, "query heads")
      .range(1, 1 << 16)
      .also({"num-attention-heads"});
  table.add("kv-heads", "N", o.shape.kv_heads, "key/value heads; as many as query heads")
      .range(1, 1 << 16)
      .also({"num-key-value-heads"});
  table.add("head-dim", "N", o.shape.head_dim, "width of a head; hidden size over heads")
      .range(1, 1 << 16);
  table
      .add("intermediate-size", "N", o.shape.intermediate_size,
           "width of the MLP; 8/3 of the hidden size, rounded up to 64")
      .range(1, 1 << 24);
  table.add("max-position", "N", o.shape.max_position, "longest sequence")
      .range(1, 1 << 24)
      .also({"max-position-embeddings"});
  table.add("rope-theta", "X", o.shape.rope_theta, "base of the rotary positions").range(1, 1e12);
  table.flag("tied", o.shape.tied, "the head is the embedding").also({"tie-word-embeddings"});
  table.add("dtype", "TYPE", o.dtype, "type of the weights").choices({"f32", "bf16", "f16"});
  table.group("Tokenizer");
  table.add("corpus", "TEXT", o.corpus, "train a SentencePiece BPE vocabulary on these files");
  table
      .add("vocab-size", "N", o.vocab_size,
           "pieces to train, or rows of the embedding; the tokenizer's own")
      .range(1, 1 << 24);
  table.add("tokenizer", "PATH", o.tokenizer,
            "copy the tokenizer of a model folder, or a tokenizer.model or tokenizer.json");
}

int64_t elements(const ModelConfig& config) {
  int64_t total = 0;
  for (const WeightSpec& w : model_weights(config)) {
    int64_t n = 1;
    for (const int64_t d : w.shape) n *= d;
    total += n;
  }
  return total;
}

void run(const Options& o, ToolContext& context) {
  AtomicFolder folder(o.out);
  const std::string place = o.config_json.empty() ? "--family" : o.config_json;
  Json config = o.config_json.empty() ? shape_config(o.shape) : read_json_file(o.config_json);
  std::optional<int64_t> vocab_size;
  if (o.vocab_size) vocab_size = o.vocab_size->value;
  init_tokenizer(folder.working(), config,
                 {.corpus = o.corpus,
                  .source = o.tokenizer,
                  .vocab_size = vocab_size,
                  .seed = context.seed,
                  .threads = threads()});
  const Dtype dtype = o.dtype == "f32"   ? Dtype::kF32
                      : o.dtype == "f16" ? Dtype::kF16
                                         : Dtype::kBf16;
  const ModelConfig model =
      write_initial_model(folder.working(), std::move(config), place, dtype, context.seed);
  folder.commit();
  context.say(cat(o.out, ": ", model.family, ", ", model.layers, " layers, vocabulary ",
                  model.vocab_size, ", ", elements(model), " parameters"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-init",
       .summary = "make a new model with random weights, and its tokenizer",
       .synopsis = "-o MODEL/ [SHAPE...] [--corpus=TEXT --vocab-size=N | --tokenizer=PATH]",
       .description =
           "Writes a model folder that nibble and transformers load: config.json of the given "
           "shape, weights drawn as transformers initialises them (normal with standard deviation "
           "0.02, norms one, biases zero), and a tokenizer. The same seed and options make the "
           "same bytes.",
       .examples =
           {{"nibble-init --corpus=corpus.txt --vocab-size=1024 --hidden-size=192 --heads=6 "
             "-o base/",
             "a small LLaMA with its own vocabulary"},
            {"nibble-init --config-json=model/config.json --tokenizer=model/ -o fresh/",
             "the shape and tokenizer of another model"}},
       .computes = true},
      declare, run);
}
