// SPDX-License-Identifier: Apache-2.0
// nibble-split: instruction data into a part to train on, one to validate on and one to test on.
// Reads JSONL or a JSON array, writes JSONL, each record as it stands.
//   nibble-split data.jsonl --validation=valid.jsonl --test=test.jsonl -o train.jsonl
#include <array>
#include <cmath>
#include <optional>

#include "cli/tool.h"
#include "data/members.h"
#include "data/records.h"
#include "data/split.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, key;
  std::string validation, test, stratify, out;
  double validation_size = 0.1, test_size = 0.1;
  int64_t skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "JSONL or a JSON array; standard input when none is given");
  table.group("Parts");
  table.out(o.out, "what is to be trained on; standard output when not given");
  table.add("validation", "FILE", o.validation, "where to write a part to validate on");
  table.add("validation-size", "SHARE", o.validation_size, "its share of the records")
      .range(0, 1)
      .also({"val-size", "valid-size"});
  table.add("test", "FILE", o.test, "where to write a part to test on");
  table.add("test-size", "SHARE", o.test_size, "its share of the records").range(0, 1);
  table.group("Splitting");
  table
      .add("key", "FIELD,...", o.key,
           "what decides a record's part, and stays in one part: a person, a document, an id; the "
           "whole record when not given")
      .also({"group", "groups", "group-by"});
  table
      .add("stratify", "FIELD", o.stratify,
           "let each part have its share of every value of this field, to within two records")
      .also({"stratify-by", "stratify-by-column"});
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
}

void check(const Options& o) {
  if (o.validation.empty() && o.test.empty())
    throw UsageError("nothing to split off; give --validation=FILE or --test=FILE, or both");
  std::vector<std::string> others = o.files;
  for (const std::string* path : {&o.out, &o.validation, &o.test}) {
    if (path->empty()) continue;
    refuse_to_replace(*path, others);
    for (const std::string& other : others)
      if (other == *path) throw UsageError(cat(*path, ": named twice; give each part its own"));
    others.push_back(*path);
  }
}

struct Keys {
  Digest key, stratum;
};

void run(const Options& o, ToolContext& context) {
  check(o);
  const SplitShares shares = {.validation = o.validation.empty() ? 0 : o.validation_size,
                              .test = o.test.empty() ? 0 : o.test_size};
  if (shares.validation + shares.test > 1)
    throw UsageError("--validation-size and --test-size are more than 1 together");
  const std::vector<MemberPath> key = parse_member_paths(o.key);
  std::optional<MemberPath> stratum;
  if (!o.stratify.empty()) stratum.emplace(o.stratify);

  // In the order of Side.
  const std::array<std::string, kSides> names = {o.out, o.validation, o.test};
  std::array<std::optional<LineWriter>, kSides> parts;
  for (size_t i = 0; i < kSides; ++i)
    if (i == 0 || !names[i].empty()) parts[i].emplace(names[i]);
  std::array<int64_t, kSides> counts = {};
  StratifiedSplit strata(shares, context.seed);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  std::string scratch;
  map_records<Keys>(
      o.files, bad,
      [&](const Record& record, Keys& keys) {
        const auto object = parse_object(record.text);
        keys.key = record_digest(object, key, context.seed);
        if (stratum) keys.stratum = record_digest(object, {&*stratum, 1}, context.seed);
      },
      [&](const Record& record, const Keys& keys) {
        const Side side =
            stratum ? strata.side_of(keys.key, keys.stratum) : side_of(keys.key, shares);
        ++counts[static_cast<size_t>(side)];
        parts[static_cast<size_t>(side)]->line(record_line(record.text, scratch));
      },
      {}, RecordForm::kJson, Overlap::kNo, {.work = "parse and hash", .use = "share out"});
  for (auto& part : parts)
    if (part) part->commit();

  const int64_t all = counts[0] + counts[1] + counts[2];
  const char* const what[kSides] = {"to train on", "to validate on", "to test on"};
  std::string text;
  for (size_t i = 0; i < kSides; ++i) {
    if (!parts[i]) continue;
    const double share = all > 0 ? static_cast<double>(counts[i]) / static_cast<double>(all) : 0;
    text += cat(text.empty() ? "" : ", ", counts[i], " ", what[i], " (",
                std::round(1000 * share) / 10, "%)");
    if (counts[i] == 0) context.warn(cat("no record is left ", what[i]));
  }
  context.say(cat(all, " records: ", text,
                  stratum ? cat("; ", strata.strata(), " values of ", stratum->text()) : ""));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-split",
       .summary = "split data to train on, to validate on and to test on",
       .synopsis = "[FILE...] [--validation=FILE] [--test=FILE] [-o TRAIN.jsonl]",
       .description =
           "Reads JSON records of any form and writes each, as it stands, to one of two or three "
           "parts. A hash of the record, or of the fields that --key names, and of --seed decides: "
           "records that are equal stay together, and each keeps its part when the data grows, "
           "which is why parts are shares, not counts. With --stratify that holds for data that "
           "grows at its end, and memory for the parts is needed, 12 to 24 bytes a record.",
       .examples = {{"nibble-split data.jsonl --test=test.jsonl --test-size=0.05 -o train.jsonl",
                     "one record in twenty to test on"},
                    {"nibble-split chats.jsonl.zst --key=user --validation=valid.jsonl.zst "
                     "-o train.jsonl.zst",
                     "no person's chats in two parts"}},
       .computes = true},
      declare, run);
}
