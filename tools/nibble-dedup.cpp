// SPDX-License-Identifier: Apache-2.0
// nibble-dedup: instruction data without what is there twice, or nearly so, or in a benchmark.
// Reads JSONL or a JSON array, writes JSONL, each record as it stands.
//   nibble-dedup data.jsonl --near --against=benchmark.jsonl --removed=removed.jsonl -o clean.jsonl
#include <array>
#include <cmath>

#include "cli/tool.h"
#include "data/dedup.h"
#include "data/removed.h"
#include "text/words.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, fields, known, against;
  std::string shingle = "words:3", removed, out;
  std::optional<double> near, novelty;
  bool exact = true, normalize = false;
  int64_t ngram = 13, skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "JSONL or a JSON array; standard input when none is given");
  table.group("What goes");
  table.negatable("exact", o.exact, "records equal to one before");
  table.flag("normalize", o.normalize,
             "take texts for equal where their words are, whatever the case and the signs");
  table
      .add("near", "T", o.near,
           "records whose shingles have a Jaccard similarity of T or more with one before, found "
           "by MinHash-LSH and verified")
      .range(0.01, 1)
      .optional_value("0.8")
      .also({"threshold"});
  table.add("shingle", "UNIT:N", o.shingle,
            "what a shingle is: N words (words:3) or characters (chars:5)");
  table
      .add("novelty", "F", o.novelty,
           "records whose words have a ROUGE-L F-measure of F or more with one before, as "
           "Self-Instruct removes them")
      .range(0.01, 1)
      .optional_value("0.7");
  table.add("against", "FILE", o.against,
            "records that have an n-gram of words in common with these benchmarks (JSON, any "
            "fields)");
  table.add("ngram", "N", o.ngram, "words of an n-gram").range(1, 1000);
  table.group("Comparing");
  table.add("fields", "FIELD,...", o.fields,
            "what is compared: instruction, meta.text, messages[0].content; everything when not "
            "given, and of texts all but roles and ids");
  table.add("known", "FILE", o.known, "records to compare with as if they came before");
  table.group("Reading and writing");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.add("removed", "FILE", o.removed, "where to write what goes, each record with the reason");
  table.out(o.out, "the rest; standard output when not given");
}

// Where records came from, 24 bytes each.
class Places {
 public:
  void add(const Record& record) {
    if (files_.empty() || files_.back() != *record.file) files_.push_back(*record.file);
    places_.push_back({files_.size() - 1, record.line, record.item});
  }
  std::string operator[](int64_t i) const {
    const Place& p = places_[static_cast<size_t>(i)];
    return place_of({.file = &files_[p.file], .line = p.line, .item = p.item});
  }
  size_t size() const { return places_.size(); }

 private:
  struct Place {
    size_t file;
    int64_t line, item;
  };
  std::vector<std::string> files_;
  std::vector<Place> places_;
};

// The n-grams of the benchmarks' texts, and where they are.
void read_benchmarks(const std::vector<std::string>& files, BadRecords& bad, NgramSet& ngrams,
                     Places& places) {
  map_records<std::vector<std::string>>(
      files, bad,
      [](const Record& record, std::vector<std::string>& words) {
        std::vector<std::string_view> texts;
        record_texts(parse_object(record.text), {}, texts);
        words.resize(texts.size());
        for (size_t i = 0; i < texts.size(); ++i) {
          words[i].clear();
          append_words(words[i], texts[i]);
        }
      },
      [&](const Record& record, const std::vector<std::string>& words) {
        if (places.size() == UINT32_MAX) throw DataError("more than 4294967295 benchmark records");
        for (const std::string& text : words)
          ngrams.add(text, static_cast<uint32_t>(places.size()));
        places.add(record);
      },
      {}, RecordForm::kJson, Overlap::kNo, {.use = "add n-grams"});
}

void check(const Options& o) {
  if (!o.exact && !o.near && !o.novelty && o.against.empty())
    throw UsageError("nothing to remove; give --near, --novelty or --against=FILE");
  if (o.normalize && !o.exact) throw UsageError("--normalize is of no use with --no-exact");
  for (const auto* files : {&o.known, &o.against}) refuse_to_replace(o.out, *files);
  for (const auto* files : {&o.files, &o.known, &o.against}) refuse_to_replace(o.removed, *files);
  if (!o.removed.empty() && o.removed == o.out)
    throw UsageError(cat(o.out, ": named twice; give --removed a file of its own"));
}

std::string percent(double share) {
  return cat(std::round(1000 * share) / 10, "%");
}

void run(const Options& o, ToolContext& context) {
  check(o);
  LineWriter out(o.out);
  RemovedRecords removed(o.removed);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  Places kept, benchmarks;
  NgramSet ngrams(o.ngram);
  if (!o.against.empty()) {
    read_benchmarks(o.against, bad, ngrams, benchmarks);
    context.say(cat(ngrams.size(), " n-grams of ", benchmarks.size(), " benchmark records"));
    if (ngrams.too_short() > 0)
      context.say(cat(ngrams.too_short(), " texts of benchmarks have fewer than ",
                      std::min(o.ngram, NgramSet::kShortest), " words and are not looked for"));
  }
  Dedup dedup({.fields = parse_member_paths(o.fields),
               .exact = o.exact,
               .normalize = o.normalize,
               .near = o.near,
               .shingles = parse_shingle_rules(o.shingle),
               .novelty = o.novelty,
               .benchmarks = o.against.empty() ? nullptr : &ngrams,
               .seed = context.seed});
  std::array<int64_t, kReasons> counts = {};
  int64_t read = 0;
  std::string scratch;
  Progress progress(context);
  const auto look = [&](const Record& record, Dedup::Traits& traits) {
    dedup.look(record.text, traits);
  };
  const RecordPhases phases = {.work = o.near ? "parse, hash and sketch" : "parse and hash",
                               .use = "compare"};
  if (!o.known.empty())
    map_records<Dedup::Traits>(
        o.known, bad, look,
        [&](const Record& record, const Dedup::Traits& traits) {
          dedup.keep(traits);
          kept.add(record);
        },
        {}, RecordForm::kJson, Overlap::kNo, phases);
  map_records<Dedup::Traits>(
      o.files, bad, look,
      [&](const Record& record, const Dedup::Traits& traits) {
        ++read;
        if (progress.due()) progress.show(cat(read, " records"));
        const std::optional<Removal> removal = dedup.decide(traits);
        if (!removal) {
          kept.add(record);
          out.line(record_line(record.text, scratch));
          return;
        }
        ++counts[static_cast<size_t>(removal->reason)];
        Json::Object details;
        const bool contaminated = removal->reason == Reason::kContaminated;
        details.emplace_back("of", (contaminated ? benchmarks : kept)[removal->of]);
        if (contaminated) details.emplace_back("ngram", removal->ngram);
        if (removal->reason == Reason::kNearDuplicate)
          details.emplace_back("jaccard", removal->similarity);
        if (removal->reason == Reason::kNotNovel)
          details.emplace_back("rouge_l", removal->similarity);
        removed.add(reason_name(removal->reason), record, details);
      },
      {}, RecordForm::kJson, Overlap::kNo, phases);
  removed.commit();
  out.commit();

  const char* const what[kReasons] = {" duplicates", " contaminated", " near duplicates",
                                      " not novel"};
  std::string text;
  int64_t gone = 0;
  for (size_t i = 0; i < kReasons; ++i) {
    gone += counts[i];
    if (counts[i] > 0) text += cat(text.empty() ? "" : ", ", counts[i], what[i]);
  }
  context.say(
      cat(read, " records read, ", read - gone, " kept, ", gone, " removed",
          gone > 0 ? cat(" (", percent(static_cast<double>(gone) / read), "): ", text) : ""));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-dedup",
       .summary = "remove duplicates, near duplicates and what benchmarks hold",
       .synopsis = "[FILE...] [--near[=T]] [--novelty[=F]] [--against=FILE] [-o CLEAN.jsonl]",
       .description =
           "Reads JSON records of any form and writes those that are to stay as they stand, in "
           "order. A record is compared with those before it that stayed, so that the first of "
           "several like ones stays. Words are compared in lower case, without signs. Memory is "
           "needed for each record that stays, whatever its length: about 60 bytes, with "
           "--near=0.8 "
           "another 300; --near puts shingles into a temporary file in $TMPDIR, --novelty keeps "
           "words in memory. A benchmark's text shorter than an n-gram counts as one where it has "
           "8 words or more.",
       .examples = {{"nibble-dedup data.jsonl --near=0.8 --removed=removed.jsonl -o clean.jsonl",
                     "without equal and nearly equal records, and what these were"},
                    {"nibble-dedup data.jsonl --against=arc.jsonl --against=boolq.jsonl",
                     "without what has 13 words in a row in common with a benchmark"},
                    {"nibble-dedup seeds.jsonl new.jsonl --novelty=0.7 --fields=instruction",
                     "what Self-Instruct would keep"}},
       .computes = true},
      declare, run);
}
