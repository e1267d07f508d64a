// SPDX-License-Identifier: Apache-2.0
// nibble-mix: several files of instruction data into one, interleaved.
// Reads JSONL or JSON arrays, writes JSONL, each record as it stands.
//   nibble-mix chat.jsonl code.jsonl --weights=3,1 -o mix.jsonl
#include <cmath>
#include <limits>
#include <numeric>

#include "cli/tool.h"
#include "data/mix.h"

namespace {

using namespace nibble;

struct Options {
  std::vector<std::string> files, weights, epochs;
  std::string stop = "first_exhausted", out;
  std::optional<double> temperature;
  std::optional<Count> limit;
  int64_t skip_bad = 0;
};

void declare(OptionTable& table, Options& o) {
  table.positional("FILE", o.files, "JSONL or JSON arrays, each by itself a source of the mix");
  table.group("Shares");
  table.add("epochs", "X,...", o.epochs,
            "how often each file is to be gone through, 0.5 for half of its records; once each "
            "when no share is given");
  table.add("weights", "W,...", o.weights, "the files' shares of the mix, in proportion, in order")
      .also({"probabilities"});
  table
      .add("temperature", "T", o.temperature,
           "shares in proportion to records^(1/T): 1 as the files are, more for small files above")
      .range(0.01, 1e6);
  table
      .add("stop", "WHEN", o.stop,
           "when a mix by weights or temperature ends: with the first file to end; when all have "
           "ended, those that end early beginning again; or when all have, none beginning again")
      .choices({"first_exhausted", "all_exhausted", "all_exhausted_without_replacement"})
      .also({"stopping-strategy"});
  table.add("limit", "N", o.limit, "write no more than N records");
  table
      .add("skip-bad", "N", o.skip_bad,
           "pass over records that cannot be read, N at most, and count them")
      .range(0, BadRecords::kAll)
      .optional_value(std::to_string(BadRecords::kAll));
  table.out(o.out, "the mix; standard output when not given");
}

// One number a file; or one for all, where `spread` allows it.
std::vector<double> numbers(const char* option, const std::vector<std::string>& texts, size_t files,
                            bool spread) {
  std::vector<double> values;
  for (const std::string& text : texts) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1e9))
      throw UsageError(cat("--", option, ": \"", text, "\" is no number from 0 to 1e9"));
    values.push_back(value);
  }
  if (values.size() == 1 && spread) values.resize(files, values[0]);
  if (values.size() != files)
    throw UsageError(cat("--", option, " has ", values.size(), " numbers for ", files,
                         files == 1 ? " file" : " files; give one for each"));
  if (std::accumulate(values.begin(), values.end(), 0.0) <= 0)
    throw UsageError(cat("--", option, ": all are 0; give one above"));
  return values;
}

std::vector<MixSource> plan(const Options& o) {
  const size_t files = o.files.size();
  if (!o.weights.empty() + !o.epochs.empty() + o.temperature.has_value() > 1)
    throw UsageError("--epochs, --weights and --temperature exclude each other; give one");
  std::vector<MixSource> sources(files);
  for (size_t i = 0; i < files; ++i) sources[i].path = o.files[i];
  if (!o.weights.empty()) {
    const std::vector<double> weights = numbers("weights", o.weights, files, false);
    for (size_t i = 0; i < files; ++i) sources[i].share = weights[i];
    return sources;
  }
  for (const std::string& path : o.files) require_rereadable(path);
  for (MixSource& source : sources) source.records = count_records(source.path, o.skip_bad);
  if (o.temperature) {
    for (MixSource& source : sources)
      source.share = temperature_share(*source.records, *o.temperature);
    return sources;
  }
  const std::vector<double> epochs =
      o.epochs.empty() ? std::vector<double>(files, 1) : numbers("epochs", o.epochs, files, true);
  for (size_t i = 0; i < files; ++i) {
    sources[i].share = std::round(static_cast<double>(*sources[i].records) * epochs[i]);
    sources[i].quota = static_cast<int64_t>(sources[i].share);
  }
  return sources;
}

void run(const Options& o, ToolContext& context) {
  if (o.files.empty()) throw UsageError("no files to mix; name them");
  if (std::count(o.files.begin(), o.files.end(), "-") > 1)
    throw UsageError("standard input is named twice; it can be one source only");
  refuse_to_replace(o.out, o.files);
  const MixStop stop = o.stop == "first_exhausted" ? MixStop::kFirstExhausted
                       : o.stop == "all_exhausted" ? MixStop::kAllExhausted
                                                   : MixStop::kAllExhaustedWithoutReplacement;
  if (context.table->given("stop") && o.weights.empty() && !o.temperature)
    throw UsageError("--stop is for --weights and --temperature; files end when --epochs says");
  const std::vector<MixSource> sources = plan(o);
  LineWriter out(o.out);
  BadRecords bad(o.skip_bad, [&](const std::string& text) { context.say(text + "; skipped"); });
  Progress progress(context);
  int64_t written = 0;
  const std::vector<MixCounts> counts =
      mix(sources, stop, o.limit ? o.limit->value : std::numeric_limits<int64_t>::max(),
          context.seed, bad, [&](std::string_view line) {
            out.line(line);
            ++written;
            if (progress.due()) progress.show(cat(written, " records"));
          });
  out.commit();

  for (size_t i = 0; i < sources.size(); ++i) {
    const MixCounts& c = counts[i];
    const auto rounded = [](double x, double parts) { return std::round(x * parts) / parts; };
    const auto taken = static_cast<double>(c.taken);
    const double share = written > 0 ? 100 * taken / static_cast<double>(written) : 0;
    std::string text = cat(o.files[i], ": ", c.taken, " records, ", rounded(share, 100), "%");
    if (c.records && *c.records > 0)
      text += cat(", ", rounded(taken / static_cast<double>(*c.records), 1000), " epochs");
    else if (c.taken > 0)
      text += ", not to its end";
    if (c.taken == 0) text += ": nothing is taken from it";
    context.say(text);
  }
  context.say(cat(written, " records written"));
  if (bad.count() > 0) context.warn(cat(bad.count(), " bad records were skipped"));
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-mix",
       .summary = "mix several files of data, by weight, temperature or epochs",
       .synopsis = "FILE... [--epochs=X,... | --weights=W,... | --temperature=T] [-o MIX.jsonl]",
       .description =
           "Reads JSON records of any form and writes each as it stands, the files interleaved at "
           "random as --seed says, so that every stretch of the mix has its shares. Each file's "
           "records keep their order. Without --weights the files are read once more before, to "
           "count them; memory holds one record of each.",
       .examples = {{"nibble-mix chat.jsonl code.jsonl -o mix.jsonl", "all records of both, once"},
                    {"nibble-mix big.jsonl.zst small.jsonl --epochs=0.5,3 -o mix.jsonl",
                     "half of one, the other three times"},
                    {"nibble-mix de.jsonl en.jsonl --temperature=2 --stop=all_exhausted",
                     "more of the smaller one than it has of the whole"}},
       .computes = true},
      declare, run);
}
