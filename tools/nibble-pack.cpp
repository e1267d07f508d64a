// SPDX-License-Identifier: Apache-2.0
// nibble-pack: token rows to a packed shard that nibble-train reads.
// Reads JSONL {"input_ids":[...],"labels":[...]}, writes .nbp (lib/io/nbp.h).
//   nibble-pack --model=SmolLM2 --length=2048 rows.jsonl -o train.nbp
#include <cmath>
#include <numeric>
#include <optional>

#include "base/rng.h"
#include "cli/tool.h"
#include "data/pack.h"
#include "data/records.h"
#include "data/spool.h"
#include "io/json.h"
#include "text/extend_tokenizer.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files;
  std::string model, add_tokens, mode = "pack", out;
  int64_t length = 2048, skip_bad = 0;
  bool shuffled = false, split_long = false, truncate = false;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "token rows; standard input when none is given");
  table.group("Packing");
  table.add("model", "DIR", o.model, "the model whose tokenizer made the rows").required();
  table.add("add-tokens", "FILE", o.add_tokens, "new tokens, as nibble-tokenize was given them");
  table.add("length", "N", o.length, "tokens of a row")
      .range(2, ShardInfo::kMaxRowLength)
      .also({"max-length", "max-seq-length", "sequence-len"});
  table
      .add("mode", "MODE", o.mode,
           "pack: several examples a row; pad: one; group: one, with those of like length side by "
           "side")
      .choices({"pack", "pad", "group"});
  table.flag("shuffle", o.shuffled, "put the examples in random order first, as --seed says");
  table.flag("split-long", o.split_long,
             "cut examples longer than a row into pieces; else they are dropped");
  table.flag("truncate", o.truncate, "cut examples longer than a row off at its end");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over rows that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.out(o.out, "the packed shard").required();
}

// What config.json says under that name, or `otherwise`.
int64_t model_number(const std::string& model, const char* name, int64_t otherwise) {
  const fs::path path = fs::path(model) / "config.json";
  if (!input_exists(path)) return otherwise;
  const Json config = read_json_file(path);
  const Json* value = config.find(name);
  return value && value->is_integer() && value->as_integer() > 0 ? value->as_integer() : otherwise;
}

void report(const ToolContext& context, const PackCounts& c, const ShardInfo& info) {
  const auto percent = [](int64_t part, int64_t whole) {
    return cat(std::round(1000.0 * static_cast<double>(part) / static_cast<double>(whole)) / 10,
               "%");
  };
  if (c.rows > 0)
    context.say(cat(c.rows, " rows of ", info.row_length, " from ", c.sequences, " sequences, ",
                    c.tokens, " tokens: ", percent(c.tokens, c.rows * info.row_length), " full, ",
                    percent(info.trained, c.tokens), " trained on"));
  const auto warn = [&](int64_t count, std::string_view what) {
    if (count > 0) context.warn(cat(count, count == 1 ? " example" : " examples", what));
  };
  warn(c.dropped, cat(" longer than ", info.row_length, " tokens dropped; ",
                      info.kind == ExampleKind::kPlain ? "--split-long or --truncate keeps them"
                                                       : "--truncate keeps them"));
  warn(c.truncated, cat(" cut off at ", info.row_length, " tokens"));
  warn(c.split, " cut into pieces");
  warn(c.empty, " without tokens skipped");
  if (c.untrained > 0)
    context.warn(cat(c.untrained, c.untrained == 1 ? " example or piece" : " examples or pieces",
                     " with nothing to train on skipped"));
}

void run(const Options& o, ToolContext& context) {
  if (o.split_long && o.truncate)
    throw UsageError("--split-long and --truncate exclude each other");
  if (o.out == "-") refuse_terminal("a packed shard");
  refuse_to_replace(o.out, o.files);
  const auto tokenizer = load_tokenizer(o.model, o.add_tokens);
  int64_t vocab = tokenizer->vocab_size();
  // A model may have fewer rows than its tokenizer has tokens; it grows for added ones.
  if (o.add_tokens.empty()) vocab = std::min(vocab, model_number(o.model, "vocab_size", vocab));
  const PackRules rules = {.length = o.length,
                           .mode = o.mode == "pack"  ? PackMode::kPack
                                   : o.mode == "pad" ? PackMode::kPad
                                                     : PackMode::kGroup,
                           .long_examples = o.split_long ? LongExamples::kSplit
                                            : o.truncate ? LongExamples::kTruncate
                                                         : LongExamples::kDrop};
  ShardWriter writer(o.out, {.row_length = o.length,
                             .vocab_size = vocab,
                             .tokenizer = tokenizer->fingerprint,
                             .mode = o.mode});
  Packer packer(rules, [&](const PackedRow& row) { writer.add(row); });
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  std::optional<TokenSpool> spool;
  if (o.shuffled) spool.emplace();
  Progress progress(context);
  std::optional<ExampleKind> kind;
  map_records<TokenRow>(
      o.files, bad,
      [&](const Record& record, TokenRow& row) { parse_token_row(record.text, vocab, row); },
      [&](const Record& record, TokenRow& row) {
        if (!kind) {
          kind = row.kind;
          writer.set_kind(row.kind);
          if (o.split_long && row.kind != ExampleKind::kPlain)
            throw UsageError(cat("--split-long: ", kind_title(row.kind),
                                 " are not cut into pieces; use --truncate"));
        }
        if (row.kind != *kind)
          return bad.add(cat(place_of(record), ": of ", kind_title(row.kind),
                             ", where the rows before are ", kind_title(*kind),
                             "; a shard holds one kind"));
        if (spool)
          spool->add(row);
        else
          packer.add(std::move(row));
        if (progress.due()) progress.show(cat(packer.counts().examples, " examples"));
      },
      {}, RecordForm::kJson, Overlap::kNo, {.use = "gather"});
  if (spool) {
    const Span span("shuffle");
    std::vector<int64_t> order(static_cast<size_t>(spool->size()));
    std::iota(order.begin(), order.end(), 0);
    Rng rng(context.seed, static_cast<uint64_t>(RngStream::kShuffle));
    shuffle(order.begin(), order.end(), rng);
    TokenRow row;
    for (const int64_t i : order) {
      spool->read(i, row);
      packer.add(std::move(row));
    }
  }
  packer.finish();
  const PackCounts& counts = packer.counts();
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad rows were skipped"));
  report(context, counts, writer.info());
  const int64_t limit = model_number(o.model, "max_position_embeddings", counts.longest);
  if (counts.longest > limit)
    context.warn(cat("the longest sequence has ", counts.longest, " tokens, more than the model's ",
                     "context of ", limit, "; use --length=", limit));
  if (counts.rows == 0)
    throw DataError(cat(o.out, ": no example is left to pack; nothing was written"));
  writer.commit();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-pack",
       .summary = "pack token rows into a shard for training",
       .synopsis = "--model=DIR [--length=N] [FILE...] -o OUT.nbp",
       .description =
           "Reads token rows, JSONL {\"input_ids\":[...],\"labels\":[...]} with -100 where a token "
           "is not trained on, and fills rows of one length. Examples in a row never see each "
           "other in training, and none is split unless --split-long asks for it. The two sides of "
           "a preference pair stay side by side in one row, both whole or with --truncate both cut "
           "off; a shard holds preference pairs, rated answers or neither.",
       .examples = {{"nibble-pack --model=SmolLM2 --length=2048 rows.jsonl -o train.nbp",
                     "rows of 2048 tokens, several examples in each"}},
       .computes = true},
      declare, run);
}
