// SPDX-License-Identifier: Apache-2.0
// nibble-filter: the records of instruction data that have the right length and fields.
// Reads JSONL or a JSON array, writes JSONL, each record as it stands.
//   nibble-filter data.jsonl --where='lang=en' --max-words=500 --removed=removed.jsonl -o
//   kept.jsonl
#include <map>

#include "cli/tool.h"
#include "data/condition.h"
#include "data/records.h"
#include "data/removed.h"
#include "text/extend_tokenizer.h"
#include "text/words.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, where, fields;
  std::optional<Count> min_words, max_words, min_chars, max_chars, min_tokens, max_tokens;
  std::string model, removed, out;
  int64_t skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "JSONL or a JSON array; standard input when none is given");
  table.group("What stays");
  table.add_texts("where", "CONDITION", o.where,
                  "records that meet this: FIELD, !FIELD, FIELD=TEXT, FIELD!=TEXT, FIELD<N (also "
                  "<=, >, >=), FIELD~REGEX, FIELD!~REGEX; may be repeated, and all must hold");
  table.add("min-words", "N", o.min_words, "those with N words at least");
  table.add("max-words", "N", o.max_words, "those with N words at most");
  table.add("min-chars", "N", o.min_chars, "those with N characters at least");
  table.add("max-chars", "N", o.max_chars, "those with N characters at most");
  table.add("min-tokens", "N", o.min_tokens, "those with N tokens of --model at least");
  table.add("max-tokens", "N", o.max_tokens, "those with N tokens of --model at most");
  table.group("Measuring");
  table.add("fields", "FIELD,...", o.fields,
            "whose length counts, in sum: instruction, messages[0].content; all text but roles and "
            "ids when not given");
  table.add("model", "DIR", o.model, "whose tokenizer counts tokens, those of a template not");
  table.group("Reading and writing");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.add("removed", "FILE", o.removed,
            "where to write the rest, each record with the condition that it does not meet");
  table.out(o.out, "what stays; standard output when not given");
}

// A length and what it may be.
struct Limit {
  const char* name;
  std::optional<Count> low, high;
  int64_t (*length)(std::string_view text, const Tokenizer* tokenizer);
};

int64_t words_of(std::string_view text, const Tokenizer*) {
  thread_local std::string words;
  words.clear();
  append_words(words, text);
  return words.empty() ? 0 : 1 + std::count(words.begin(), words.end(), ' ');
}

int64_t characters_of(std::string_view text, const Tokenizer*) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

int64_t tokens_of(std::string_view text, const Tokenizer* tokenizer) {
  thread_local std::vector<int32_t> tokens;
  tokens.clear();
  tokenizer->encode_at(TextPlace::kStart, text, SpecialText::kLiteral, tokens);
  return std::ssize(tokens);
}

// What a record does not meet; an empty condition where it meets all.
struct Verdict {
  std::string condition;
  int64_t length = -1;
};

void run(const Options& o, ToolContext& context) {
  std::vector<Condition> conditions;
  for (const std::string& text : o.where) conditions.emplace_back(text);
  const std::vector<MemberPath> fields = parse_member_paths(o.fields);
  std::vector<Limit> limits = {{"words", o.min_words, o.max_words, words_of},
                               {"chars", o.min_chars, o.max_chars, characters_of},
                               {"tokens", o.min_tokens, o.max_tokens, tokens_of}};
  std::erase_if(limits, [](const Limit& limit) { return !limit.low && !limit.high; });
  if (conditions.empty() && limits.empty())
    throw UsageError("nothing to filter by; give --where=CONDITION or a length, as --max-words=N");
  const bool counts_tokens = o.min_tokens || o.max_tokens;
  if (counts_tokens && o.model.empty())
    throw UsageError("--min-tokens and --max-tokens need --model=DIR, whose tokens they are");
  refuse_to_replace(o.removed, o.files);
  if (!o.removed.empty() && o.removed == o.out)
    throw UsageError(cat(o.out, ": named twice; give --removed a file of its own"));

  LineWriter out(o.out);
  RemovedRecords removed(o.removed);
  std::unique_ptr<Tokenizer> tokenizer;
  if (counts_tokens) tokenizer = load_tokenizer(o.model);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  std::map<std::string, int64_t> counts;
  int64_t read = 0, kept = 0;
  std::string scratch;
  Progress progress(context);
  const auto judge = [&](const Record& record, Verdict& verdict) {
    thread_local std::vector<std::string_view> texts;
    verdict = {};
    const simdjson::dom::element object = parse_object(record.text);
    for (const Condition& condition : conditions)
      if (!condition.holds(object)) return void(verdict.condition = "--where=" + condition.text());
    if (!limits.empty()) record_texts(object, fields, texts);
    for (const Limit& limit : limits) {
      int64_t length = 0;
      for (const std::string_view text : texts) length += limit.length(text, tokenizer.get());
      const bool is_short = limit.low && length < limit.low->value;
      if (!is_short && !(limit.high && length > limit.high->value)) continue;
      verdict = {cat(is_short ? "--min-" : "--max-", limit.name, "=",
                     (is_short ? limit.low : limit.high)->value),
                 length};
      return;
    }
  };
  const auto sort_out = [&](const Record& record, const Verdict& verdict) {
    ++read;
    if (progress.due()) progress.show(cat(read, " records"));
    if (verdict.condition.empty()) {
      ++kept;
      out.line(record_line(record.text, scratch));
      return;
    }
    ++counts[verdict.condition];
    Json::Object details = {{"condition", verdict.condition}};
    if (verdict.length >= 0) details.emplace_back("length", verdict.length);
    removed.add("filtered", record, details);
  };
  map_records<Verdict>(o.files, bad, judge, sort_out, {}, RecordForm::kJson, Overlap::kNo,
                       {.work = "parse and judge", .use = "sort out"});
  removed.commit();
  out.commit();

  for (const auto& [condition, count] : counts) context.say(cat(count, " removed: ", condition));
  context.say(cat(read, " records read, ", kept, " kept, ", read - kept, " removed"));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-filter",
       .summary = "keep the records that have the right length and fields",
       .synopsis = "[FILE...] [--where=CONDITION] [--min-words=N] [--max-words=N] [-o KEPT.jsonl]",
       .description =
           "Reads JSON records of any form and writes those that meet every condition, as they "
           "stand, in order. A FIELD is a name or a path, as meta.lang or messages[0].content; "
           "where it leads to several values, one that meets the condition is enough.",
       .examples =
           {{"nibble-filter data.jsonl --where=lang=en --where='score>=4' -o kept.jsonl",
             "by two fields"},
            {"nibble-filter data.jsonl --max-words=150 --where='output!~(?i)as an ai model'",
             "short ones that do not speak of themselves"}},
       .computes = true},
      declare, run);
}
