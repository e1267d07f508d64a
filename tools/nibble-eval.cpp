// SPDX-License-Identifier: Apache-2.0
// nibble-eval: how well a model, with or without an adapter, predicts a text or packed data.
// Reads text, or a .nbp shard; writes a table, or JSON.
//
//   nibble-eval --model=model-nf4 --adapter=adapter --perplexity=wiki.txt
#include <cmath>

#include "cli/tool.h"
#include "eval/perplexity.h"
#include "infer/session.h"
#include "io/lines.h"

namespace {

using namespace nibble;

struct Options {
  std::string model, adapter, perplexity, data, log, compute = "bf16", head = "keep", out;
  int64_t length = 0, stride = 0, batch_size = 4;
};

void declare(OptionTable& t, Options& o) {
  t.add("model", "DIR", o.model, "model folder, dense or quantised").required();
  t.add("adapter", "DIR", o.adapter, "adapter to apply, without merging it");
  t.group("What to measure");
  t.add("perplexity", "TEXT", o.perplexity, "of this text file, or of standard input for -");
  t.add("data", "FILE", o.data, "of the trained tokens of this packed shard");
  t.group("How");
  t.add("length", "N", o.length, "tokens of a window; 0: 1024, or the model's context if shorter")
      .range(0, 1 << 24)
      .also({"max-length", "context", "n-ctx"});
  t.add("stride", "N", o.stride, "new tokens a window; 0: half its length").range(0, 1 << 24);
  t.add("batch-size", "N", o.batch_size, "windows or rows at a time").range(1, 4096);
  t.add("compute", "TYPE", o.compute, "type of activations").choices({"bf16", "f32"});
  t.add("head", "TYPE", o.head, "what the head is read in: fewer bits are faster, and coarser")
      .choices({"keep", "int8", "nf4"});
  t.add("log", "FILE", o.log, "JSONL: position, id and log-probability of every scored token");
  t.out(o.out, "the report; standard output when not given");
}

std::string read_all(const std::string& path) {
  if (path != "-" && !path.ends_with(".zst")) return read_text_file(path);
  LineReader reader(path);
  std::string text;
  for (std::string_view line; reader.next(line);) text += cat(line, "\n");
  return text;
}

int64_t count_words(std::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    words += inside && space;
    inside = !space;
  }
  return words + inside;
}

// Null where it is too large for a number: a long text without a space is one word.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json report_of(const Perplexity& p, const Options& o) {
  if (!std::isfinite(p.nll))
    throw DataError(cat(o.model, o.adapter.empty() ? "" : " with " + o.adapter,
                        ": the loss is not finite; look for NaN with nibble-inspect --stats"));
  return Json::object(
      {{"tokens", p.tokens}, {"loss", p.loss()}, {"perplexity", finite(p.perplexity())}});
}

Json measure_text(const Options& o, Session& session, PerplexityOptions options) {
  const std::string text = read_all(o.perplexity);
  std::vector<int32_t> ids = session.tokenizer->encode(text, SpecialText::kLiteral);
  if (session.tokenizer->add_bos && session.tokenizer->bos)
    ids.insert(ids.begin(), *session.tokenizer->bos);
  if (ids.size() < 2)
    throw DataError(cat(o.perplexity, ": fewer than two tokens; give a longer text"));
  std::optional<LineWriter> log;
  if (!o.log.empty()) log.emplace(o.log);
  const auto score = [&](int64_t position, float value) {
    log->line(Json::object({{"position", position},
                            {"id", static_cast<int64_t>(ids[static_cast<size_t>(position)])},
                            {"logprob", value}})
                  .dump());
  };
  const Perplexity p =
      text_perplexity(session.model, ids, options, log ? TokenScore(score) : TokenScore());
  if (log) log->commit();
  Json report = report_of(p, o);
  const auto bytes = static_cast<double>(text.size());
  report.set("bits_per_byte", p.nll / std::log(2.0) / bytes);
  report.set("word_perplexity", finite(std::exp(p.nll / static_cast<double>(count_words(text)))));
  report.set("length", options.context);
  report.set("stride", options.stride);
  return report;
}

void run(const Options& o, ToolContext& context) {
  if (o.perplexity.empty() == o.data.empty())
    throw UsageError("give either --perplexity=TEXT or --data=FILE.nbp; see --help");
  for (const std::string& written : {o.out, o.log})
    refuse_to_replace(written, std::vector{o.perplexity, o.data});
  const Dtype compute = o.compute == "f32" ? Dtype::kF32 : Dtype::kBf16;
  const auto session = load_session(o.model, o.adapter, compute);
  quantize_head(*session, o.head);
  const int64_t most = session->model.config.max_position;
  PerplexityOptions options{.context = o.length > 0 ? o.length : std::min<int64_t>(1024, most),
                            .batch_size = o.batch_size,
                            .compute = compute};
  if (options.context > most || options.context < 2)
    throw UsageError(
        cat("--length=", options.context, " is outside 2 to the model's context, ", most));
  options.stride = o.stride > 0 ? o.stride : std::max<int64_t>(1, options.context / 2);
  if (options.stride > options.context)
    throw UsageError(cat("--stride=", options.stride, " is above --length=", options.context));
  Json report;
  if (!o.perplexity.empty()) {
    report = measure_text(o, *session, options);
  } else {
    ShardReader shard(o.data);
    expect_examples(shard);
    if (shard.info().tokenizer != session->tokenizer->fingerprint)
      throw DataError(cat(o.data, ": made with another tokenizer than the model's",
                          "; tokenize and pack with --model of this model"));
    report = report_of(shard_perplexity(session->model, shard, options), o);
  }
  LineWriter out(o.out);
  if (context.json)
    out.line(report.dump());
  else
    for (const auto& [name, value] : report.as_object()) out.line(cat(name, "\t", value.dump()));
  out.commit();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-eval",
       .summary = "measure how well a model predicts a text or packed data",
       .synopsis = "--model=DIR [--adapter=DIR] --perplexity=TEXT | --data=FILE.nbp",
       .description = "A text longer than a window is read in windows that overlap by length - "
                      "stride. Every token but the first is scored once; where windows do not "
                      "overlap, none that begins a window is, having nothing before it there.",
       .examples = {{"nibble-eval --model=model-nf4 --perplexity=wiki.txt --length=512",
                     "perplexity of a text, in windows of 512"},
                    {"nibble-eval --model=model --adapter=adapter --data=valid.nbp --json",
                     "loss on trained tokens, as JSON"}},
       .computes = true,
       .reports = true},
      declare, run);
}
