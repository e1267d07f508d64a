// SPDX-License-Identifier: Apache-2.0
// nibble-score: what texts are worth against references, by the metrics that papers report.
// Reads predictions and references (JSONL, text, CSV, TSV); writes a table, or JSON.
//
//   nibble-score --metric=rouge,bleu --references=refs.txt out.txt
#include <algorithm>

#include "cli/outputs.h"
#include "cli/tool.h"
#include "io/lines.h"
#include "score/report.h"

namespace {

using namespace nibble;

struct Options {
  std::string predictions = "-", against, each, out, test = "randomization";
  std::string prediction_field, reference_field, match;
  std::string prediction_layout = "auto", reference_layout = "auto";
  std::vector<std::string> metrics, references;
  int64_t bootstrap = 0, trials = 0;
};

void declare(OptionTable& t, Options& o) {
  const std::vector<std::string> layouts = {"auto", "lines", "groups", "records", "table"};
  t.positional("PREDICTIONS", o.predictions, "what a system wrote; standard input if not given");
  t.add("metric", "NAME[:OPTION=VALUE],...", o.metrics, "what to compute: see Metrics above")
      .required();
  t.add("references", "FILE", o.references,
        "what it should have written; several files are several references of each example. Not "
        "given: records hold both")
      .also({"ref", "refs", "reference"});
  t.add("against", "FILE", o.against, "another system's predictions: is the difference chance?");
  t.group("Reading");
  t.add("prediction-layout", "LAYOUT", o.prediction_layout,
        "lines of text, records (JSON) or a table (CSV, TSV); auto: as the file's name says, and "
        "records where it begins with {")
      .choices(layouts);
  t.add("reference-layout", "LAYOUT", o.reference_layout,
        "likewise; groups: a text file where blank lines part the references of examples")
      .choices(layouts);
  t.add("prediction-field", "NAME", o.prediction_field,
        "field or column of predictions; usual names are known");
  t.add("reference-field", "NAME", o.reference_field, "field or column of references, likewise");
  t.add("match", "NAME", o.match,
        "match predictions to references by this field or column, not by order; tables are matched "
        "by their mr or id");
  t.group("How sure");
  t.add("bootstrap", "N", o.bootstrap, "intervals of 95 % from N resamples; 1000 where bare")
      .range(0, 10'000'000)
      .optional_value("1000");
  t.add("test", "TEST", o.test, "paired test of --against").choices({"randomization", "bootstrap"});
  t.add("trials", "N", o.trials, "of the paired test; 0: 10000, or 1000 for bootstrap")
      .range(0, 10'000'000);
  t.group("Writing");
  t.add("each", "FILE", o.each, "JSONL: the scores of every example");
  t.out(o.out, "the report; standard output when not given");
}

// Reads and measures one system.
Scorer measure(const Options& o, const std::string& predictions, bool keep_rows,
               const std::string& each, CorpusFacts& facts, const ToolContext& context) {
  Scorer scorer(o.metrics);
  ExampleReader reader({.predictions = predictions,
                        .references = o.references,
                        .prediction_layout = layout_by_name(o.prediction_layout),
                        .reference_layout = layout_by_name(o.reference_layout),
                        .prediction_field = o.prediction_field,
                        .reference_field = o.reference_field,
                        .match = o.match,
                        .ids = !each.empty()},
                       scorer.needs());
  if (each.empty()) {
    scorer.run(reader, keep_rows);
  } else {
    LineWriter out(each);
    const auto titles = score_titles(scorer.metrics());
    int64_t number = 0;
    scorer.run(reader, keep_rows,
               [&](const ScoreExample& example, std::span<const std::vector<double>> scores) {
                 out.line(example_json(example, ++number, scorer.metrics(), titles, scores));
               });
    out.commit();
  }
  facts.references = reader.references_each();
  const auto warn_of = [&](const std::string& file, int64_t count, std::string_view what) {
    if (count > 0)
      context.warn(cat(file, ": ", count, " ", what, count == 1 ? " is" : "s are", " empty"));
  };
  warn_of(reader.name(), reader.empty_hypotheses(), "prediction");
  warn_of(o.references.empty() ? reader.name() : o.references[0], reader.empty_references(),
          "reference");
  return scorer;
}

void run(const Options& o, ToolContext& context) {
  std::vector<std::string> inputs = o.references;
  inputs.insert(inputs.end(), {o.predictions, o.against});
  if (std::ranges::count(inputs, "-") > 1) throw UsageError("standard input can be read once only");
  refuse_lost_files({o.out, o.each}, inputs);
  LineWriter out(o.out);
  const bool paired = !o.against.empty();
  const PairedTest test =
      o.test == "bootstrap" ? PairedTest::kBootstrap : PairedTest::kRandomization;
  ScoreReport report{.bootstrap = o.bootstrap, .seed = context.seed, .against = o.against};
  if (paired) {
    report.test = o.test;
    report.trials = o.trials > 0 ? o.trials : test == PairedTest::kBootstrap ? 1000 : 10000;
  }
  CorpusFacts facts, other_facts;
  const Scorer scorer =
      measure(o, o.predictions, paired || o.bootstrap > 0, o.each, facts, context);
  std::optional<Scorer> other;
  if (paired) {
    other = measure(o, o.against, true, {}, other_facts, context);
    if (other->examples() != scorer.examples())
      throw DataError(cat(o.against, ": ", other->examples(), " predictions, but ", o.predictions,
                          " has ", scorer.examples()));
  }
  facts.trials = trials_text(report);
  report.examples = scorer.examples();
  for (size_t k = 0; k < scorer.metrics().size(); ++k) {
    const Measured& m = scorer.metrics()[k];
    MetricReport& r = report.metrics.emplace_back();
    r.measured = &m;
    r.signature = m.metric->signature(facts);
    r.scores = scorer.scores(m);
    if (o.bootstrap > 0) r.intervals = bootstrap(m, o.bootstrap, context.seed);
    if (!paired) continue;
    const Measured& baseline = other->metrics()[k];
    r.against = other->scores(baseline);
    r.p = paired_test(test, m, baseline, r.scores, r.against, report.trials, context.seed);
  }
  if (context.json)
    out.line(report_json(report).dump());
  else
    for (const std::string& line : report_table(report, context.verbose)) out.line(line);
  out.commit();
}

// The metrics and their options, for help.
std::string described_metrics() {
  std::string text = "Metrics, with their options and what these are where not given:";
  for (const MetricKind* kind : metric_kinds()) {
    text += cat("\n\n", kind->name, ": ", kind->help);
    for (const MetricOption& option : kind->options) {
      text += cat("\n:", option.name, "=", option.standard, "  ", option.help);
      for (size_t i = 0; i < option.choices.size() && option.choices != kYesNo; ++i)
        text +=
            cat(i == 0 ? " (" : ", ", option.choices[i], i + 1 == option.choices.size() ? ")" : "");
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool<Options>(
      argc, argv,
      {.name = "nibble-score",
       .summary = "score texts against references by the metrics that papers report",
       .synopsis = "--metric=NAME,... [--references=FILE]... [PREDICTIONS]",
       .description = described_metrics(),
       .examples =
           {{"nibble-score --metric=rouge --references=answers.jsonl completions.jsonl",
             "completions against the answers of instruction data"},
            {"nibble-score --metric=bleu,chrf --references=a.txt,b.txt --bootstrap out.txt",
             "two references a line; with intervals"},
            {"nibble-score --metric=mteval --references=test.csv tgen.tsv --against=slug.tsv",
             "two systems of the E2E challenge"}},
       .computes = true,
       .reports = true},
      declare, run);
}
