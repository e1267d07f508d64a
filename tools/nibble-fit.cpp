// SPDX-License-Identifier: Apache-2.0
// nibble-fit answers before anything is loaded: does it fit, where does the memory go, what would
// make it fit, how fast would it run. Reads a model folder, a config.json, a GGUF file or a number
// of parameters; writes a table, or with --json one object. Exit code 0: fits, 1: does not.
//
//   nibble-fit model-nf4 --gpu=rtx4090 --batch-size=8 --length=2048
#include "base/threads.h"
#include "cli/tool.h"
#include "fit/choose.h"
#include "fit/figures.h"
#include "fit/read_model.h"
#include "fit/render.h"
#include "fit/target.h"
#include "fit/weight_choice.h"
#include "plot/image.h"
#include "plot/text_drawing.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, params, task = "train", quantized, device = "cpu", gpus, find, data;
  std::string optimizer = "adamw", recompute = "auto", compute = "bf16", bias = "none";
  WeightChoice weights;
  std::optional<std::string> gpu, plot;
  Size memory_limit, host_memory, least_memory, most_memory;
  bool list_gpus = false, graphs = true;
  int threads = 0;
  std::optional<int64_t> batch_size;
  int64_t context = 2048;
  Count tokens;
  double price = 0.0, epochs = 1.0, trained_share = 0.0, dropout = 0.0, neftune = 0.0;
  Question question;
};

void declare(OptionTable& t, Options& o) {
  Question& q = o.question;
  t.positional("MODEL", o.model, "model folder, config.json or GGUF file");
  t.add("params", "N", o.params, "in place of MODEL: a number of parameters, 7B");
  t.add("task", "NAME", o.task, "what is to be run").choices({"train", "infer"});
  t.add("quantized", "TYPE", o.quantized, "how the weights are held")
      .choices({"nf4", "fp4", "int8", "none"})
      .default_is("as they are");
  t.group("Where");
  t.add("device", "NAME", o.device, "this machine's processor or GPU: cpu or cuda[:N]");
  t.add("gpu", "NAME", o.gpu, "a GPU of the catalogue: rtx4090, a100-80gb");
  t.add("memory-limit", "SIZE", o.memory_limit, "memory to be had; 0: what the machine has");
  t.add("host-memory", "SIZE", o.host_memory, "memory of the host for what leaves a GPU")
      .default_is("of this machine's, what may be pinned; else as much as the GPU has");
  t.add("gpus", "FILE", o.gpus, "more GPUs, a CSV of the catalogue's columns");
  t.flag("list-gpus", o.list_gpus, "write the catalogue and end");
  t.add("least-memory", "SIZE", o.least_memory, "list those with that much at least");
  t.add("most-memory", "SIZE", o.most_memory, "list those with that much at most; 0: all");
  t.add("threads", "N", o.threads, "threads of the CPU; 0: all that may be used").range(0, 4096);
  t.group("What is asked");
  t.add("find", "WHAT", o.find, "the largest that fits")
      .choices({"batch", "sequence", "rank", "model"});
  t.add("plot", "FILE", o.plot, "draw memory by item and what fits where: .svg, .png, else here")
      .optional_value("-");
  t.add("tokens", "N", o.tokens, "tokens of the data: predicts the run's time");
  t.add("epochs", "N", o.epochs, "passes over the data").range(1e-6, 1e6);
  t.add("price", "X", o.price, "of an hour: predicts the run's cost").range(0, 1e9);
  t.add("trained-share", "X", o.trained_share, "of the parameters, for LoRA in the rules of thumb")
      .range(0, 1)
      .default_is("the adapter's own, else 0.02");
  t.group("Training, as nibble-train");
  t.add("data", "FILE", o.data, "packed shard: gives --length and --tokens");
  t.add("length", "N", q.train.row_length, "tokens of a row, as nibble-pack makes them")
      .range(1, ShardInfo::kMaxRowLength)
      .also({"sequence", "seq-length", "max-seq-length"});
  t.add("batch-size", "N", o.batch_size, "rows of a micro-batch, or sequences that grow together")
      .range(1, 65536)
      .default_is("4 rows, 8 sequences");
  t.add("accumulate", "N", q.train.accumulate, "micro-batches of an update").range(1, 65536);
  t.add("method", "NAME", q.method, "LoRA adapter, or all weights").choices({"lora", "full"});
  t.add("rank", "R", q.lora.rank, "LoRA rank").range(1, 8192).also({"r", "lora-r"});
  t.add("targets", "LIST", q.lora.targets, "module names to adapt, or all-linear");
  t.add("modules-to-save", "LIST", q.lora.modules_to_save, "modules trained in full");
  t.add("bias", "WHICH", o.bias, "biases trained too").choices({"none", "all", "lora_only"});
  t.add("dropout", "P", o.dropout, "dropout before the adapter").range(0, 0.99);
  t.add("neftune", "ALPHA", o.neftune, "noise on embeddings; 0: none").range(0, 1000);
  t.add("optimizer", "NAME", o.optimizer, "update rule")
      .choices({"adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit", "sgd"});
  t.add("momentum", "X", q.train.optimizer.momentum, "of sgd").range(0, 0.999999);
  t.add("recompute", "WHAT", o.recompute, "what backward makes again instead of keeping")
      .choices({"auto", "none", "norm", "layer", "sqrt"});
  t.add("keep-weights", "N", o.weights.keep,
        "layers whose weights are expanded once and kept so: auto, none, all or a number");
  t.add("stream-weights", "N", o.weights.stream,
        "CUDA: layers whose weights come from the host's memory for every use")
      .optional_value("all");
  t.flag("host-embedding", o.weights.host_embedding,
         "CUDA: the embedding table stays in the host's memory");
  t.flag("offload-activations", q.train.offload,
         "what backward needs waits in the host's memory (CUDA)");
  t.add("compute", "TYPE", o.compute, "type of activations").choices({"bf16", "f32"});
  t.negatable("graphs", o.graphs, "on CUDA, launch a micro-batch as one CUDA graph");
  t.group("Inference");
  t.add("context", "N", o.context, "positions of cache a sequence").range(1, 1 << 24);
}

DescribedModel read(const Options& o) {
  if (o.model.empty() == o.params.empty())
    throw UsageError("give one of MODEL (a folder, config.json or GGUF) and --params=N");
  if (!o.params.empty()) {
    const ModelConfig config = shape_of_size(parse_parameters(o.params));
    return {cat("a model shaped as LLaMA's of ", config.layers, " layers of ", config.hidden_size),
            config, std::nullopt};
  }
  return describe_model(o.model);
}

Question resolve(const Options& o, DescribedModel& model) {
  Question q = o.question;
  q.name = model.name;
  if (!o.params.empty()) q.parameters = parse_parameters(o.params);
  q.trained_share = o.trained_share;
  q.config = model.config;
  if (!o.quantized.empty()) {
    set_quantized(q.config, o.quantized);
    model.stored.reset();
  }
  q.training = o.task == "train";
  set_optimizer(q.train.optimizer, o.optimizer);
  if (o.recompute != "auto") q.train.recompute = parse_recompute(o.recompute);
  q.lora.bias = o.bias == "all"         ? LoraBias::kAll
                : o.bias == "lora_only" ? LoraBias::kLoraOnly
                                        : LoraBias::kNone;
  q.train.compute = q.infer.compute = o.compute == "bf16" ? Dtype::kBf16 : Dtype::kF32;
  q.train.dropout = q.method == "full" ? 0.0f : static_cast<float>(o.dropout);
  q.train.neftune_alpha = static_cast<float>(o.neftune);
  q.train.device = o.device != "cpu" || o.gpu ? DeviceKind::kCuda : DeviceKind::kCpu;
  if (q.train.offload && q.train.device == DeviceKind::kCpu)
    throw UsageError(
        "--offload-activations: --device=cpu has them in the host's memory; leave it out");
  q.open = {.recompute = o.recompute == "auto",
            .offload = !q.train.offload,
            .paged = !q.train.optimizer.paged,
            .keep = o.weights.keep == "auto",
            .stream = o.weights.stream == "auto",
            .embedding = !o.weights.host_embedding};
  q.train.graphs = q.infer.graphs = o.graphs;
  q.train.longest = q.train.row_length;
  q.train.batch_size = o.batch_size.value_or(4);
  q.infer.batch_size = o.batch_size.value_or(8);
  q.infer.context = o.context;
  if (!o.data.empty()) add_shard(q.train, ShardReader(o.data));
  const int64_t longest = q.training ? q.train.longest : q.infer.context;
  if (longest > q.config.max_position)
    throw UsageError(cat(q.training ? "--length=" : "--context=", longest,
                         ": the model's context is ", q.config.max_position));
  check_question(q);
  return q;
}

Target target_of(const Options& o, const Question& q, const ToolContext& context) {
  std::vector<std::string> notes;
  Target target = find_target(
      {o.gpu, o.gpus, o.device, o.memory_limit.bytes, o.host_memory.bytes, q.train.compute}, notes);
  for (const std::string& note : notes) context.warn(note);
  return target;
}

// Whether it went into a file, so that standard output is still free.
bool draw(const Figure& figure, const std::string& file) {
  if (file == "-") {
    write_stdout(draw_text(figure, standard_output_options()));
    return false;
  }
  const bool png = file.ends_with(".png");
  if (!png && !file.ends_with(".svg"))
    throw UsageError(cat("--plot=", file, ": a file of .svg or .png is drawn"));
  AtomicFile out(file);
  out.write(draw_image(figure, {.format = png ? ImageFormat::kPng : ImageFormat::kSvg}));
  out.commit();
  return true;
}

Exit run(const Options& o, ToolContext& context) {
  set_threads(o.threads);
  if (o.list_gpus) {
    const auto gpus = filter_gpus(gpu_catalogue(o.gpus), o.least_memory.bytes, o.most_memory.bytes);
    write_stdout(context.json ? gpus_json(gpus).dump() + "\n" : render_gpus(gpus));
    return gpus.empty() ? Exit::kNo : Exit::kDone;
  }
  DescribedModel described = read(o);
  Question q = resolve(o, described);
  const Target target = target_of(o, q, context);
  const Model model = prepare(q, std::move(described.stored));
  if (q.training) {
    q.train.weights = placement_asked(o.weights, model, q.train.device);
    choose_memory(q, model, target.limits, target.rates);
  }
  const double tokens = o.data.empty() ? static_cast<double>(o.tokens.value)
                                       : static_cast<double>(q.train.data_tokens);
  const Answer a = answer(q, model, target, {tokens * o.epochs, o.price});
  const Extras extras = find_extras(q, target, o.find);
  const Json document = answer_json(q, target, a, extras);
  if (o.plot && !draw(draw_answer(q, target, a, gpu_catalogue(o.gpus)), *o.plot))
    return a.fits ? Exit::kDone : Exit::kNo;
  write_stdout(context.json ? document.dump() + "\n" : render_answer(document));
  return a.fits ? Exit::kDone : Exit::kNo;
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-fit",
       .summary = "say whether a model fits, what would make it fit, and how fast it would run",
       .synopsis = "MODEL | --params=N [OPTION...]",
       .description =
           "Plans memory by the code that lays nibble-train's buffers out, before anything is "
           "loaded, and sets it against a GPU of the catalogue, this machine, or a limit. Rules "
           "of thumb stand beside the plan, as such. Speed is predicted by roofline, with the "
           "assumptions printed.",
       .examples = {{"nibble-fit model-nf4 --gpu=rtx4090", "QLoRA with the defaults on a GPU"},
                    {"nibble-fit --params=7B --quantized=nf4 --gpu=l4 --find=sequence",
                     "the longest rows that a GPU takes"},
                    {"nibble-fit config.json --task=infer --memory-limit=24GiB --json | jq .fits",
                     "for scripts"}},
       .exit_codes = {{1, "it does not fit"}},
       .reports = true},
      declare, run);
}
