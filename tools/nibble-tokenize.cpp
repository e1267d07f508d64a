// SPDX-License-Identifier: Apache-2.0
// nibble-tokenize: text to token ids, and back.
// Reads segments (JSONL, from nibble-format) or lines of text, writes token rows, JSONL
// {"input_ids":[...],"labels":[...]}, of preferences as TRL has them (lib/data/token_rows.h).
//   nibble-format alpaca.json --template=SmolLM2 | nibble-tokenize --model=SmolLM2 -o rows.jsonl
#include <algorithm>

#include "cli/tool.h"
#include "data/example.h"
#include "data/records.h"
#include "data/tokenize.h"
#include "text/extend_tokenizer.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files;
  std::string model, add_tokens, out;
  bool text = false, decode = false, literal = false, bos = false, eos = false;
  int64_t skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "the input; standard input when none is given");
  table.add("model", "DIR", o.model, "whose tokenizer: a model's folder, or the tokenizer's file")
      .required();
  table.add("add-tokens", "FILE", o.add_tokens,
            "new tokens, one a line, as nibble-train --add-tokens adds them");
  table.group("Reading");
  table.flag("text", o.text, "the input is text, a line an example, all of it trained on");
  table.flag("literal", o.literal,
             "\"<s>\" and the like in the input are text, not special tokens");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.group("Writing");
  table.negatable("bos", o.bos, "rows begin with bos, unless their text does")
      .default_is("the model's own rule");
  table.negatable("eos", o.eos, "rows end with eos, unless their text does")
      .default_is("the model's own rule; on with --text");
  table.flag("decode", o.decode,
             "the other way: token rows to segments, or with --text to their text");
  table.out(o.out, "the rows; standard output when not given");
}

TokenizeRules rules_of(const Options& o, const Tokenizer& tokenizer, const OptionTable& table) {
  TokenizeRules rules;
  rules.special = o.literal ? SpecialText::kLiteral : SpecialText::kParse;
  rules.bos = table.given("bos") ? o.bos : tokenizer.add_bos;
  rules.eos = table.given("eos") ? o.eos : tokenizer.add_eos || (o.text && tokenizer.eos);
  if (rules.bos && !tokenizer.bos) throw UsageError(cat("--bos: ", o.model, " has no bos token"));
  if (rules.eos && !tokenizer.eos) throw UsageError(cat("--eos: ", o.model, " has no eos token"));
  return rules;
}

struct Made {
  std::string line;
  int64_t tokens = 0, trained = 0;
};

// One record, whatever the direction; an empty line where it holds nothing.
void make(const Options& o, const Tokenizer& tokenizer, const TokenizeRules& rules,
          std::string_view record, Made& made) {
  thread_local SegmentedExample example;
  thread_local TokenRow row;
  made.line.clear();
  if (o.decode) {
    parse_token_row(record, tokenizer.vocab_size(), row);
    detokenize(tokenizer, rules, row, example);
    if (o.text)
      made.line = joined_text(example.segments);
    else if (!example.segments.empty())
      append_example(made.line, example);
  } else {
    if (o.text) {
      example.segments.resize(1);  // the rest stays as it was made
      example.segments[0].label = true;
      example.segments[0].text = record;
    } else {
      parse_example(record, example);
    }
    tokenize_example(tokenizer, rules, example, row);
    if (!row.tokens.empty()) append_token_row(made.line, row);
  }
  made.tokens = std::ssize(row.tokens);
  made.trained = std::count(row.trained.begin(), row.trained.end(), 1);
}

void run(const Options& o, ToolContext& context) {
  const auto tokenizer = load_tokenizer(o.model, o.add_tokens);
  const TokenizeRules rules = rules_of(o, *tokenizer, *context.table);
  LineWriter out(o.out);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  Progress progress(context);
  int64_t rows = 0, empty = 0, tokens = 0, trained = 0;

  const auto work = [&](const Record& record, Made& made) {
    make(o, *tokenizer, rules, record.text, made);
  };
  const auto use = [&](const Record& record, const Made& made) {
    if (made.line.empty()) {
      ++empty;
      return;
    }
    ++rows;
    tokens += made.tokens;
    trained += made.trained;
    out.line(made.line);
    if (progress.due()) progress.show(cat(place_of(record), ", ", tokens, " tokens"));
  };
  const RecordForm form = o.text && !o.decode ? RecordForm::kLines : RecordForm::kJson;
  map_records<Made>(o.files, bad, work, use, {}, form, Overlap::kYes,
                    {.work = o.decode ? "decode" : "encode"});
  out.commit();
  progress.finish(cat(rows, " rows, ", tokens, " tokens, ", trained, " of them trained on"));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
  if (empty > 0) context.warn(cat(empty, " records hold no text and were skipped"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-tokenize",
       .summary = "write text as a model's token ids, and ids as text",
       .synopsis = "--model=DIR [FILE...] [-o OUT.jsonl]",
       .description =
           "Reads segments, JSONL {\"segments\":[{\"label\":false,\"text\":\"...\"}, ...]}, or "
           "lines of text, and writes token rows, JSONL {\"input_ids\":[...],\"labels\":[...]} "
           "with the label -100 where nothing is learnt. A preference pair becomes prompt_ids, "
           "chosen_ids and rejected_ids with their labels, a rated answer prompt_ids, "
           "completion_ids and label, as TRL has them. Each segment is encoded by itself, going "
           "on from the one before, so that a prompt has the tokens that generation gives it. "
           "Bytes that are no UTF-8 are read as U+FFFD.",
       .examples = {{"nibble-tokenize --model=SmolLM2 segments.jsonl -o rows.jsonl",
                     "what nibble-format wrote"},
                    {"nibble-tokenize --model=SmolLM2 --text corpus.txt.zst -o rows.jsonl.zst",
                     "plain text, a line an example"},
                    {"nibble-tokenize --model=SmolLM2 --decode rows.jsonl", "rows to read"}},
       .computes = true},
      declare, run);
}
